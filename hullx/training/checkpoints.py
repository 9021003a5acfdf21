"""Checkpoints of a training run, by Orbax: atomic, verified on reading, never overwritten."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from hullx.errors import ArgumentTypeError, CheckpointError
from hullx.runs.atomic import write
from hullx.runs.fingerprint import digest, reserved_for
from hullx.types import Array

# Checkpoints kept: the last two, in case the last is damaged.
KEPT = 2
VARIABLES = "variables"
# The hashes of a checkpoint's files, stored beside them.
FILES = "files.json"


class Checkpoints(NamedTuple):
    """A run's checkpoints, open for reading and writing; see `opened`."""

    manager: ocp.CheckpointManager

    def save(self, step: int, state: Any, record: dict[str, np.ndarray]) -> None:
        """Write a state (any tree of arrays and keys) and its record, synchronously.

        Args:
            step: its number, larger than earlier ones.
        """
        state = jax.tree.map(_data, state)
        hashes = {"state": _digest(state), "record": _digest(record), VARIABLES: _digest(getattr(state, VARIABLES, ()))}
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), record=ocp.args.StandardSave(record), hashes=ocp.args.JsonSave(hashes)
        )
        self.manager.save(step, args=items)
        self.manager.wait_until_finished()
        place = Path(self.manager.directory) / str(step)
        write(place / FILES, json.dumps(_hashes(place)).encode())

    def restore(self, like: Any) -> tuple[Any, dict[str, np.ndarray]] | None:
        """The last state and its record; None without a checkpoint.

        Args:
            like: a state of the same structure, whose devices are used.

        Raises:
            CheckpointError: the checkpoint is damaged, or the structure differs.
        """
        step = self.manager.latest_step()
        if step is None:
            return None
        place = Path(self.manager.directory) / str(step)
        _require_intact(place)
        plain = jax.tree.map(_data, like)
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(jax.tree.map(ocp.utils.to_shape_dtype_struct, plain)),
            record=ocp.args.StandardRestore(),
            hashes=ocp.args.JsonRestore(),
        )
        try:
            found: Any = self.manager.restore(step, args=items)
        except Exception as error:  # Orbax and TensorStore raise many error classes
            raise CheckpointError(
                f"checkpoint {place} cannot be read ({_first_line(error)}). If model and optimizer are unchanged, it is "
                "damaged: remove it to resume from the previous one, or choose another folder"
            ) from error
        record = {name: np.asarray(values) for name, values in found.record.items()}
        if (found.hashes["state"], found.hashes["record"]) != (_digest(found.state), _digest(record)):
            raise _damaged(place)
        return jax.tree.map(_like, like, found.state), record


@contextmanager
def opened(folder: str | Path, fingerprint: dict[str, Any]) -> Iterator[Checkpoints]:
    """The checkpoints in a folder, which is created if needed and locked until the `with` block ends.

    Args:
        fingerprint: everything that determines the run's results.

    Raises:
        CheckpointError: the folder belongs to another run, is in use by another process, or holds other things.
        ArgumentTypeError: the folder is not a path.
    """
    if not isinstance(folder, str | os.PathLike):
        raise ArgumentTypeError(f"checkpoint: got {type(folder).__name__}, expected a folder: give its path")
    folder = Path(folder).absolute()
    options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, cleanup_tmp_directories=True, enable_async_checkpointing=False)
    with (
        reserved_for(folder, fingerprint, "checkpoint", error=CheckpointError),
        ocp.CheckpointManager(folder / "steps", options=options) as manager,
    ):
        yield Checkpoints(manager)


def load_variables(folder: str | Path) -> Any:
    """The variables of a training run's last checkpoint, for `model.apply`; the optimizer is not needed.

    Args:
        folder: as given to `FitConfig(checkpoint=…)`, of a run that has ended.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.

    Example:
        >>> load_variables("runs/nothing")
        Traceback (most recent call last):
        hullx.errors.CheckpointError: checkpoint runs/nothing holds no training run: give the folder of FitConfig(checkpoint=…)
    """
    steps = Path(folder).absolute() / "steps"
    if not steps.is_dir():
        raise CheckpointError(f"checkpoint {folder} holds no training run: give the folder of FitConfig(checkpoint=…)")
    with ocp.CheckpointManager(steps, options=ocp.CheckpointManagerOptions(create=False)) as manager:
        step = manager.latest_step()
        if step is None:
            raise CheckpointError(f"checkpoint {folder} has no finished epoch: train further, or give another folder")
        _require_intact(steps / str(step))
        items = ocp.args.Composite(state=ocp.args.StandardRestore(), hashes=ocp.args.JsonRestore())
        try:
            found: Any = manager.restore(step, args=items)
            variables = jax.tree.map(np.asarray, found.state[VARIABLES])
        except Exception as error:  # Orbax and TensorStore raise many error classes
            raise _damaged(steps / str(step)) from error
    if found.hashes.get(VARIABLES) != _digest(variables):
        raise _damaged(steps / str(step))
    return variables


def _require_intact(place: Path) -> None:
    """Check the files before Orbax reads them. Orbax reads arrays in parallel; if one fails, the others print tracebacks that
    cannot be caught (orbax-checkpoint 0.12.8). A run killed before it wrote the hashes has none; then the arrays' own hashes,
    which are always checked, suffice.
    """
    if not (place / FILES).exists():
        return
    try:
        intact = json.loads((place / FILES).read_bytes()) == _hashes(place)
    except (OSError, ValueError) as error:
        raise _damaged(place) from error
    if not intact:
        raise _damaged(place)


def _hashes(place: Path) -> dict[str, str]:
    files = (path for path in sorted(place.rglob("*")) if path.is_file() and path.name != FILES)
    return {path.relative_to(place).as_posix(): _hash(path) for path in files}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _damaged(place: Any) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {place} is damaged, because its contents have changed: remove it to resume from the previous one, "
        "or choose another folder"
    )


def _data(leaf: Array) -> Array:
    """Random keys as arrays of integers."""
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _like(leaf: Array, restored: Array) -> Array:
    """The inverse of `_data`."""
    if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return restored
    return jax.random.wrap_key_data(restored, impl=jax.random.key_impl(leaf))


def _digest(tree: Any) -> str:
    return digest([np.asarray(leaf) for leaf in jax.tree.leaves(tree)])


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
