"""Runs that stop and go on: bit for bit the losses of one that did not; foreign or damaged checkpoints are refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

from hullx.data import CropFlip, Split, load
from hullx.errors import CheckpointError
from hullx.models import CNN
from hullx.training import Checkpointing, Fit, FitConfig, fit, load_variables
from hullx.training.checkpoints import opened

pytestmark = pytest.mark.unoptimised

KEY = jax.random.key(0)
OPTIMIZER = optax.adam(optax.exponential_decay(1e-2, 3, 0.9))  # one for all runs, or each would compile its own step


@pytest.fixture(scope="module")
def few() -> Split:
    return load("digits").train.take(np.arange(120))


def trained(few: Split, folder: Path | None, epochs: int = 12, **changes: Any) -> Fit:
    """A run with dropout, augmentation and a schedule, whose every part must come back."""
    optimizer = changes.pop("optimizer", OPTIMIZER)
    checkpoint = None if folder is None else Checkpointing(folder, seconds=0)
    settings = {"batch": 40, "checkpoint": checkpoint, "title": None} | changes
    key, on_epoch = settings.pop("key", KEY), settings.pop("on_epoch", None)
    config = FitConfig(epochs=epochs, augment=CropFlip(1, flip=False), **settings)
    return fit(key, CNN(10, embedding=4), optimizer, few, config, test=few, on_epoch=on_epoch)


def assert_same(a: Fit, b: Fit) -> None:
    for x, y in zip(a.history, b.history, strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(jax.tree.leaves(a.state.variables), jax.tree.leaves(b.state.variables), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(jax.random.key_data(a.state.key), jax.random.key_data(b.state.key))


@pytest.mark.parametrize("key", [pytest.param(KEY, marks=pytest.mark.slow), jax.random.split(KEY, 2)], ids=["one", "ensemble"])
def test_interrupted_run_goes_on_bit_for_bit(few: Split, tmp_path: Path, key: jax.Array) -> None:
    whole = trained(few, None, key=key)
    rng, ended, interrupts = np.random.default_rng(0), None, 0
    while ended is None:
        left = int(rng.integers(1, 6))

        def interrupt(metrics: dict) -> None:
            nonlocal left
            left -= 1
            if not left and metrics["epoch"] < 12:
                raise KeyboardInterrupt

        try:
            ended = trained(few, tmp_path / "run", key=key, on_epoch=interrupt)
        except KeyboardInterrupt:
            interrupts += 1
    assert interrupts >= 2
    assert_same(whole, ended)


def test_more_epochs_go_on_from_the_last(few: Split, tmp_path: Path) -> None:
    trained(few, tmp_path / "run", epochs=3)
    assert_same(trained(few, tmp_path / "run", epochs=5), trained(few, None, epochs=5))
    seen: list[dict] = []
    assert len(trained(few, tmp_path / "run", epochs=5, on_epoch=seen.append).history.loss) == 5
    assert not seen  # nothing was left to do


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_damaged_checkpoint_is_named_and_left_alone(few: Split, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trained(few, folder, epochs=3)
    last = folder / "steps" / "3"
    largest = max((path for path in (last / "state").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(value ^ 0xFF for value in data[middle : middle + 64])
    largest.write_bytes(data)
    before = contents(folder)
    with pytest.raises(CheckpointError, match=r"steps/3 .*damaged.*: remove it to resume from the previous one"):
        trained(few, folder, epochs=4)
    assert contents(folder) == before
    shutil.rmtree(last)
    assert_same(trained(few, folder, epochs=4), trained(few, None, epochs=4))


def test_truncated_checkpoint(few: Split, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trained(few, folder, epochs=1)
    for path in (folder / "steps" / "1" / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(CheckpointError, match=r"steps/1 is damaged"):
        trained(few, folder, epochs=2)


def test_killed_before_the_list_of_files_was_written(few: Split, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trained(few, folder, epochs=2)
    (folder / "steps" / "2" / "files.json").unlink()
    assert_same(trained(few, folder, epochs=3), trained(few, None, epochs=3))
    (folder / "steps" / "3" / "files.json").write_bytes(b"{")
    with pytest.raises(CheckpointError, match=r"steps/3 is damaged"):
        trained(few, folder, epochs=4)
    (folder / "steps" / "3" / "files.json").unlink()
    (hashes,) = (
        path for path in (folder / "steps" / "3" / "hashes").rglob("*") if path.is_file() and b'"state"' in path.read_bytes()
    )
    hashes.write_bytes(hashes.read_bytes().replace(b'"state": "', b'"state": "0'))
    with pytest.raises(CheckpointError, match=r"steps/3 is damaged, because its contents have changed"):
        trained(few, folder, epochs=4)


def test_foreign_checkpoints_are_refused(few: Split, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    trained(few, folder, epochs=1)
    before = contents(folder)
    with pytest.raises(CheckpointError, match="run holds results of other batch, key: choose another folder"):
        trained(few, folder, epochs=2, key=jax.random.key(1), batch=30)
    with pytest.raises(CheckpointError, match="holds results of other images, labels"):
        trained(few.take(np.arange(100)), folder, epochs=2)
    for other in (optax.sgd(0.1), optax.adam(2e-3), optax.adam(optax.exponential_decay(1e-2, 3, 0.8))):
        with pytest.raises(CheckpointError, match="holds results of other optimizer: choose another folder"):
            trained(few, folder, epochs=2, optimizer=other)
    assert contents(folder) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("…")
    with pytest.raises(CheckpointError, match="mine is not empty and holds no results of such a run"):
        trained(few, tmp_path / "mine", epochs=1)
    with pytest.raises(CheckpointError, match=r"checkpoint: .*thesis.txt is a file, expected a folder"):
        trained(few, tmp_path / "mine" / "thesis.txt", epochs=1)
    for damaged in ("", "{"):
        (folder / "fingerprint.json").write_text(damaged)
        with pytest.raises(CheckpointError, match=r"fingerprint.json is damaged, so that nobody can tell of what"):
            trained(few, folder, epochs=2)


@pytest.mark.slow
def test_fingerprints_of_functions_are_the_same_in_every_process(few: Split, tmp_path: Path) -> None:
    """Optimizers and augmentations are closures: what they compute is what counts, and not where they lie in memory."""
    trained(few, tmp_path / "run", epochs=1, optimizer=optax.adam(optax.exponential_decay(1e-2, 3, 0.9)))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from test_checkpoint import OPTIMIZER, load, trained\n"
        "few = load('digits').train.take(np.arange(120))\n"
        "print(len(trained(few, Path(sys.argv[2]), epochs=2).history.loss))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "run")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "2\n"


def test_variables_are_read_without_an_optimizer(few: Split, tmp_path: Path) -> None:
    fitted = trained(few, tmp_path / "run", epochs=1)
    found = load_variables(tmp_path / "run")
    assert jax.tree.structure(found) == jax.tree.structure(dict(fitted.state.variables))
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(fitted.state.variables), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(CheckpointError, match="holds no training run: give the folder"):
        load_variables(tmp_path)
    for path in (tmp_path / "run" / "steps").rglob("d/*"):
        path.write_bytes(bytes(reversed(path.read_bytes())))
    with pytest.raises(CheckpointError, match="is damaged"):
        load_variables(tmp_path / "run")


def test_save_and_restore_any_tree(tmp_path: Path) -> None:
    tree = {"key": jax.random.key(7), "numbers": jax.numpy.arange(5.0), "step": jax.numpy.asarray(3)}
    with opened(tmp_path / "any", {"kind": "test"}) as checkpoints:
        assert checkpoints.restore(tree) is None
        checkpoints.save(1, tree, {"loss": np.array([0.1, np.nan], np.float32)})
        found, history = checkpoints.restore(tree) or ({}, {})
    np.testing.assert_array_equal(jax.random.key_data(found["key"]), jax.random.key_data(tree["key"]))
    np.testing.assert_array_equal(found["numbers"], tree["numbers"])
    np.testing.assert_array_equal(history["loss"], np.array([0.1, np.nan], np.float32))


RUN = """
import sys
import jax, numpy as np, optax
from hullx.data import load
from hullx.models import MLP
from hullx.training import Checkpointing, FitConfig, fit
mesh = jax.make_mesh((jax.device_count(),), ("data",)) if jax.device_count() > 1 else None
fitted = fit(
    jax.random.key(0), MLP(10), optax.adam(1e-3), load("digits").train,
    FitConfig(epochs=EPOCHS, batch=16, mesh=mesh, title=None, checkpoint=Checkpointing(sys.argv[1], seconds=0)),
    on_epoch=lambda metrics: print(metrics["epoch"], flush=True),
)
np.savez(sys.argv[2], **fitted.history._asdict(), weights=fitted.state.variables["params"]["dense_1"]["kernel"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 8])
def test_killed_at_ten_random_steps(devices: int, tmp_path: Path) -> None:
    """SIGKILL, at any moment of an epoch or of a save; then again, until the run ends."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags}
    program = RUN.replace("EPOCHS", "60")

    def start(folder: str) -> subprocess.Popen:
        command = [sys.executable, "-c", program, str(tmp_path / folder), str(tmp_path / f"{folder}.npz")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    with start("whole") as process:
        assert process.wait() == 0
    rng, kills = np.random.default_rng(devices), 0
    while kills < 10:
        with start("killed") as process:
            assert process.stdout is not None
            for _ in range(int(rng.integers(1, 5))):
                process.stdout.readline()
            try:
                process.wait(timeout=rng.uniform(0, 0.3))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
        assert not (tmp_path / "killed.npz").exists(), "the run ended before its ten kills: give it more epochs"
    with start("killed") as process:
        assert process.wait() == 0
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "killed.npz") as killed:
        for name in whole:
            np.testing.assert_array_equal(whole[name], killed[name])
