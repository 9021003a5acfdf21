"""What the text of a compiled program says of its kernels and loops; XLA writes that of CPUs in the same way."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from commands import started
from jax import lax

from experiments import bench_programs, gpu_programs

pytestmark = pytest.mark.unoptimised


def until_large(start: jax.Array) -> jax.Array:
    return lax.while_loop(lambda x: x.sum() < 10, lambda x: jnp.sin(x).cumsum() + 1, start)


def three_times(start: jax.Array) -> jax.Array:
    return lax.fori_loop(0, 3, lambda _, x: jnp.sin(x) @ x.T, start)


def text(function, *shape: int) -> str:
    found = jax.jit(function).lower(jnp.ones(shape)).compile().as_text()
    assert found is not None
    return found


def test_a_loop_of_unknown_length_waits() -> None:
    outside, *loops = gpu_programs.parts(text(until_large, 8))
    assert not outside.name
    assert not outside.waits
    loop = next(part for part in loops if part.name == "until_large")
    assert loop.waits
    assert loop.kernels >= 1


def test_a_loop_of_known_length_does_not() -> None:
    loops = [part for part in gpu_programs.parts(text(three_times, 4, 4)) if part.name == "three_times"]
    assert [part.waits for part in loops] == [False]


def test_copies_and_shapes_are_counted() -> None:
    found = list(
        gpu_programs.parts(
            "\nENTRY %main (x: f32[4,8]) -> (f32[4,8], s32[]) {\n"
            "  %x = f32[4,8]{1,0} parameter(0)\n"
            "  %start = (f32[4,8]{1,0}, f32[4,8]{1,0}, u32[]) copy-start(%x)\n"
            "  %done = f32[4,8]{1,0} copy-done(%start)\n"
            "  ROOT %fusion = f32[4,8]{1,0} fusion(%done), kind=kLoop\n"
            "}\n"
        )
    )
    assert found == [gpu_programs.Part("", 2, 4 * 8 * 4, False)]


def test_the_plugin_is_named_if_it_is_missing(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_programs, "find_spec", lambda name: None)
    done = started(bench_programs.experiment.main, "--out", tmp_path)
    assert done.status
    assert "pip install jax-cuda13-plugin==" in done.errors
