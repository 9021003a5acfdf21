"""Training histories: metrics by epoch, stopping, and summaries."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from hullx.errors import DivergedError


class History(NamedTuple):
    """Training metrics, one row per epoch; in an ensemble the last axis has one number per member.

    - loss, accuracy: of each step's batch, before the step: (epochs, steps).
    - train_loss, train_accuracy, test_loss, test_accuracy: of the whole split after the epoch; NaN if not requested.

    Losses are mean cross entropies in nats, accuracies shares from 0 to 1.
    """

    loss: Float[np.ndarray, "e s ..."]
    accuracy: Float[np.ndarray, "e s ..."]
    train_loss: Float[np.ndarray, "e ..."]
    train_accuracy: Float[np.ndarray, "e ..."]
    test_loss: Float[np.ndarray, "e ..."]
    test_accuracy: Float[np.ndarray, "e ..."]


def stacked(rows: list[History]) -> History:
    """Stack histories of single epochs along a new first axis."""
    return History(*map(np.stack, zip(*rows, strict=True)))


def unstacked(whole: History) -> list[History]:
    """Split a history into single epochs; the inverse of `stacked`."""
    return [History(*(field[i] for field in whole)) for i in range(len(whole.loss))]


def reached(rows: list[History], until: float | None) -> bool:
    """Whether all members that have not diverged have the requested training accuracy.

    Args:
        rows: one per epoch; only the last is used.
        until: from 0 to 1; None for never.
    """
    if until is None or not rows:
        return False
    return bool(((rows[-1].train_accuracy >= until) | ~np.isfinite(rows[-1].loss[-1])).all())


def check_finite(loss: np.ndarray, epochs: int) -> None:
    """Check that at least one member's loss is finite in all steps of an epoch.

    Args:
        loss: (steps,) or (steps, members).
        epochs: number of epochs before this one.

    Raises:
        DivergedError: no member has finite losses.

    Example:
        >>> check_finite(np.array([2.3, np.inf]), 0)
        Traceback (most recent call last):
        hullx.errors.DivergedError: loss is inf at step 2 (epoch 1): lower the learning rate or the initial scale
    """
    finite = np.isfinite(loss)
    if not finite.all(0).any():
        first = int(finite.reshape(len(loss), -1).any(1).argmin())
        value = loss[first].ravel()[0]
        raise DivergedError(
            f"loss is {value} at step {epochs * len(loss) + first + 1:,} (epoch {epochs + 1})"
            f"{' in every member' if loss.ndim > 1 else ''}: lower the learning rate or the initial scale"
        )


def summary(rows: list[History]) -> dict[str, Any]:
    """The last epoch's metrics by name; loss and accuracy are means over its steps."""
    last = rows[-1]
    named = last._asdict() | {"loss": last.loss.mean(0), "accuracy": last.accuracy.mean(0)}
    known = {name: values.tolist() for name, values in named.items() if not np.isnan(values).all()}
    return {"epoch": len(rows), "step": len(rows) * len(last.loss), **known}


def note(rows: list[History]) -> str:
    """A short summary for the progress display."""
    last = rows[-1]
    words = [f"epoch {len(rows)}", f"loss {np.nanmean(last.loss):.3g}", f"accuracy {np.nanmean(last.accuracy):.1%}"]
    if np.isfinite(last.test_accuracy).any():
        words.append(f"test {np.nanmean(last.test_accuracy):.1%}")
    diverged = int((~np.isfinite(last.loss[-1])).sum())
    return ", ".join(words + [f"{diverged} diverged"] * (diverged > 0))
