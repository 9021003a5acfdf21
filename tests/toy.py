"""An experiment that computes next to nothing: are numbers positive?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hullx import runs
from hullx.runs import plotting


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings.

    Attributes:
        size: how many numbers.
        names: of groups.
        share: of something, if any.
    """

    size: int = 20
    names: tuple[str, ...] = ("a", "b")
    share: float | None = None


class Drawn(NamedTuple):
    """Numbers, and what they are called."""

    name: str
    numbers: np.ndarray


# What was computed, and what happens then.
computed: list[str] = []
after = {"do": lambda name: None}


def drawn(seed: int, name: str, size: int) -> Drawn:
    computed.append(name)
    return Drawn(name, runs.generator(seed, name).normal(1, 1, size))


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Numbers by group."""
    runs.known("--names", config.names, "abcd")
    for name in config.names:
        found = run.cached(f"numbers {name}", drawn, config.seed, name, config.size)
        run.table(f"numbers {name}", {"number": found.numbers})
        run.record("number", found.numbers, data="toy", group=name)
        run.record("share positive", found.numbers > 0, data="toy", group=name)
        run.record("undecided", np.zeros(config.size, bool), data="toy", group=name, statistic="count")
        run.metric(step=1, name=name)
        after["do"](name)


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Whether numbers are positive."""
    for name in results.names("group"):
        share = results.estimate("share positive", group=name)
        yield runs.Claim.of(share, f"{name} is positive", "nobody", "all", runs.all_of(share), data="toy", group=name, unit="%")


def figures(results: runs.Results) -> plotting.Figures:
    """One."""
    figure, axes = plotting.figure(size=(2, 2), title="numbers")
    plotting.boxes(axes[0, 0], {name: results.table(f"numbers {name}")["number"] for name in results.names("group")})
    yield "numbers", figure


experiment = runs.Experiment(Config, {"smoke": Config(), "large": Config(size=50)}, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
