"""The points on one device, in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hullx.core import rounds
from hullx.core.hull import SAMPLE, Frame, Hull, centre_of, frame_of, half_squares, spread
from hullx.core.placed import Placed
from hullx.core.rounds import Batch, Round
from hullx.core.scores import GROUP
from hullx.core.stage import Stage
from hullx.types import Array

# On a CPU a product of so many queries is as fast per query as any (measured at n = 60,000, d = 784: 128 as 512, 64 a tenth
# slower), and the fewer there are, the less the last, partly filled rounds cost.
CPU_BATCH = 128
# Sets below this size are padded to one of four sizes an octave, so that sets of similar size share compiled programs.
SMALL = 2**14

_nearest = jax.jit(rounds.nearest, static_argnames=("count",))
_advance = jax.jit(rounds.advance, static_argnames=("stage",))


class DeviceSource:
    """The points on a device, for a sweep: a round is one program."""

    def __init__(self, hull: Hull) -> None:
        self.placed, self.rows = Placed(hull), len(hull.placed)
        self.frame = jax.tree.map(np.asarray, hull.frame)
        on_cpu = next(iter(hull.placed.devices())).platform == "cpu"
        self.batch = CPU_BATCH if on_cpu else 1024
        self.threads = (os.cpu_count() or 1) if on_cpu else 1
        self._compiling, self._compiled = Lock(), set[Any]()

    def nearest(self, queries: Array, count: int) -> Array:
        """`rounds.nearest`."""
        return self._one_by_one(("nearest", len(queries), count), False, partial(_nearest, self.placed, queries, count=count))

    def advance(self, batch: Batch, left: Array, active: Array, stage: Stage) -> Round:
        """`rounds.advance`."""
        # Programs with batched LAPACK kernels run one at a time, for two may each hold a thread that the other waits for.
        run = partial(_advance, self.placed, batch, left, active, stage=stage)
        return self._one_by_one(stage, stage.method.factors, run)

    def _one_by_one(self, shape: Any, always: bool, run: Callable[[], Any]) -> Any:
        """Threads that meet a new shape wait for the first of them, or each would compile it."""
        with nullcontext() if shape in self._compiled and not always else self._compiling:
            found = jax.block_until_ready(run())
            self._compiled.add(shape)
        return found


def on_device(points: np.ndarray) -> DeviceSource:
    """The points and what is derived from them, committed to JAX's default device: threads have one of their own.

    Args:
        points: raw, (n, d), finite; to be called under jax.enable_x64(True).
    """
    (device,) = jnp.zeros(()).devices()
    count, rows = len(points), width(len(points))
    centre = centre_of(points[:: max(1, count // SAMPLE)])
    if count < SMALL:
        points = np.concatenate([points, np.repeat(points[:1], rows - count, 0)])
    points = jax.device_put(points, device)
    frame = frame_of(centre, *spread(points, centre))
    return DeviceSource(
        Hull(points, *_placed(points, frame, count, rows=rows), *jax.device_put((np.int32(count), frame), device))
    )


def width(n: int) -> int:
    """How many rows n points are padded to.

    Example:
        >>> width(1437), width(60_000)
        (1536, 60000)
    """
    step = max(GROUP, 2 ** (n.bit_length() - 3)) if n < SMALL else GROUP
    return -(-n // step) * step


@partial(jax.jit, static_argnames=("rows",))
def _placed(points: Array, frame: Frame, count: Array, *, rows: int) -> tuple[Array, Array]:
    placed = jnp.pad(frame.place(points).astype(jnp.float32), ((0, rows - len(points)), (0, 0)))
    # A padding row is the centre, which never scores above all points: it cannot displace the worst violator. It may be nearer
    # than all of them, and so lies at infinity where the nearest is asked for.
    real = jnp.arange(rows) < count
    placed = jnp.where(real[:, None], placed, 0)
    return placed, jnp.where(real, half_squares(placed), jnp.inf)
