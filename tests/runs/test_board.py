"""Metrics for TensorBoard, against a writer that remembers; and with tensorboardX where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hullx.runs.tensorboard import Board, find_board


class Remembering:
    def __init__(self) -> None:
        self.points: dict[str, tuple[float, int | None]] = {}

    def add_scalar(self, tag: str, value: float, step: int | None) -> None:
        self.points[tag] = value, step

    def flush(self) -> None:
        pass


def test_curves_are_named_by_words_and_members() -> None:
    writer = Remembering()
    Board(writer).draw(
        {
            "model": "mlp",
            "conditions": ["true", "random"],
            "step": 40,
            "loss": [0.5, 0.25],
            "epoch": np.int64(2),
            "table": {"a": 1},
        }
    )
    assert writer.points == {
        "mlp/true/random/loss/0": (0.5, 40),
        "mlp/true/random/loss/1": (0.25, 40),
        "mlp/true/random/epoch": (2.0, 40),
    }


def test_files_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="pip install 'hullx[tensorboard]'")
    board = find_board()(tmp_path / "board")
    board.draw({"step": 1, "loss": 0.5})
    board.writer.close()  # ends its thread, which the next test would disturb
    assert list((tmp_path / "board").glob("events.out.tfevents*"))


def test_what_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'hullx\[tensorboard\]'"):
        find_board()
