"""Text that is cut off or overlaps is found, and ordinary figures are clean."""

from __future__ import annotations

import numpy as np
import pytest

from hullx.runs import plotting
from hullx.runs.legibility import faults
from hullx.runs.statistics import Estimate


def test_an_ordinary_figure_is_legible() -> None:
    drawn, axes = plotting.figure(1, 2, title="Distances to the hull")
    for place in axes[0]:
        place.plot([1, 2, 3], label="test images")
        place.set(xlabel="distance", ylabel="share", title="MNIST")
        place.legend()
    assert faults(drawn) == []


@pytest.mark.parametrize("where", [(0.99, 0.5), (0.5, -0.02), (-0.1, 0.5)])
def test_text_beyond_the_edge(where: tuple[float, float]) -> None:
    drawn, _ = plotting.figure(title="A title")
    drawn.text(*where, "a long remark")
    assert "'a long remark' is cut off" in faults(drawn)


def test_tick_labels_that_collide() -> None:
    drawn, axes = plotting.figure(title="A title", size=(2, 2))
    axes[0, 0].set_xticks(np.linspace(0, 1, 30))
    assert any("overlap" in fault for fault in faults(drawn))
    axes[0, 0].set_axis_off()
    assert faults(drawn) == []


@pytest.mark.parametrize("values", [(1.05e-3, 1.2e-3), (1e-3, 1e-3), (2e-5, 4e4)])
def test_a_logarithmic_axis_of_any_length_is_legible(values: tuple[float, float]) -> None:
    drawn, axes = plotting.figure(title="Seconds", size=(2.5, 2))
    axes[0, 0].plot(values, (0, 1), "o")
    plotting.whole_decades(axes[0, 0], [*values, np.nan])
    shortest, longest = axes[0, 0].get_xlim()
    assert shortest <= min(values) <= max(values) <= longest
    assert faults(drawn) == []


def test_ticks_outside_the_limits_and_slanted_labels_are_no_faults() -> None:
    drawn, axes = plotting.figure(title="A title")
    axes[0, 0].set_xticks([0, 1, 1.01, 1.02, 1.03], ["first", "last", "hidden", "hidden", "hidden"], rotation=45)
    axes[0, 0].set_xlim(0, 1)
    assert faults(drawn) == []


def test_intervals_beyond_the_limits_get_arrows() -> None:
    drawn, axes = plotting.figure(title="cut")
    found = {"within": Estimate(0.1, -0.2, 0.4, 20), "cut": Estimate(0.2, -3.0, 0.5, 20), "beyond": Estimate(2.0, 1.5, 3.0, 20)}
    plotting.intervals(axes[0, 0], found, "x", limits=(-1, 1))
    assert axes[0, 0].get_xlim() == (-1, 1)
    arrows = [line for line in axes[0, 0].lines if line.get_marker() in ("<", ">")]
    assert [(line.get_marker(), float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in arrows] == [
        ("<", -1, 1),
        (">", 1, 2),
    ]
    assert faults(drawn) == []
