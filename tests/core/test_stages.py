"""Which stages a traced program has."""

from __future__ import annotations

import jax
import pytest

from hullx.core.stages import Method, Setup, largest_support, traced_stages


def methods(n: int, d: int, setup: Setup) -> list[Method]:
    return [stage.method for stage in traced_stages(8, n, d, setup, rows=n)]


@pytest.mark.parametrize("x64", [False, True])
def test_small_supports_end_in_extended_precision_and_large_ones_on_request(x64: bool) -> None:
    first, wide = (Method.FLOAT32, Method.FLOAT64) if x64 else (Method.SLICED, Method.SLICED)
    with jax.enable_x64(x64):
        for small in ((1000, 64), (128, 784)):
            assert methods(*small, Setup()) == methods(*small, Setup(extended=True)) == [first, Method.EXTENDED]
            assert methods(*small, Setup(extended=False)) == [first]
        large = 1000, 784
        assert methods(*large, Setup()) == methods(*large, Setup(extended=False)) == [first, wide]
        assert methods(*large, Setup(extended=True)) == [first, wide, Method.EXTENDED]
        # A capacity makes supports small.
        assert methods(*large, Setup(capacity=64)) == [first, Method.EXTENDED]


def test_the_last_stage_has_room_for_any_support() -> None:
    for n, d in ((5, 3), (129, 784), (1000, 200), (1000, 784)):
        last = traced_stages(8, n, d, Setup(), rows=n)[-1]
        assert last.capacity == largest_support(n, d, Setup()) == min(n, d + 1)
        assert last.capacity <= last.candidates <= n
