"""The calls of `experiments.bench_projection`, and the lines of its table with their targets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

BASELINE, NONE = 0.0, float("inf")  # targets: not slower than the baseline; no target


class Call(NamedTuple):
    """A call that a worker times."""

    function: str  # project, jit (of project), sweep; shapes: project at SHAPES
    data: str  # as in `Sample`, or gaussian<d>:n
    queries: int
    dtype: str = "float32"
    prepared: bool = False
    fresh: bool = False


class Row(NamedTuple):
    """A line of the table: seconds × scale of one call, or the ratio of two calls' seconds per query."""

    number: int
    label: str
    target: float  # largest allowed value
    call: Call
    beside: Call | None = None
    scale: float = 1.0


def rows(quick: bool) -> Iterator[Row]:
    """All lines of the table, in order."""
    mnist, cifar, many, some = ("mnist:2000", "cifar10:2000", 64, 16) if quick else ("mnist:60000", "cifar10:50000", 1000, 512)
    dtypes = ("float32",) if quick else ("float32", "float64")
    for dtype, m, prepared in product(dtypes, (64, 1), (True, False)):
        target = {64: 2.0, 1: 12.0}[m] if prepared else BASELINE
        label = f"`project`{' prepared' * prepared}, queries: {m} ÷ `sweep`, a query; {mnist}, {dtype}"
        yield Row(1, label, target, Call("project", mnist, m, dtype, prepared), Call("sweep", mnist, many, dtype))
    few = [(data, m, False) for data in ("gaussian64:1000", "gaussian16:4000") for m in (1, 64)]
    for data, m, _ in few:
        yield Row(2, f"`project`, queries: {m}, ms; {data}", BASELINE, Call("project", data, m), scale=1000)
    for data, m, prepared in (*few, (mnist, 1, False), (mnist, 1, True)):
        project, sweep = (Call(name, data, m, prepared=prepared) for name in ("project", "sweep"))
        yield Row(2, f"`sweep` ÷ `project`{', both prepared' * prepared}, queries: {m}; {data}", 2.0, sweep, project)
    for dtype in dtypes:
        label = f"`jit(project)`, queries: 64 ÷ `sweep`, a query; {mnist}, {dtype}"
        yield Row(3, label, 2.5, Call("jit", mnist, 64, dtype), Call("sweep", mnist, many, dtype))
    for dtype in dtypes:
        project, sweep, shapes = (
            Call(name, "gaussian64:1000", 64, dtype, fresh=True) for name in ("project", "sweep", "shapes")
        )
        for call in (project, sweep):
            yield Row(4, f"`{call.function}`, first call, queries: 64, s; {call.data}, {dtype}", NONE, call)
        yield Row(4, f"`project` ÷ `sweep`, first calls; {project.data}, {dtype}", 1.2, project, sweep)
        if dtype == "float32":
            yield Row(5, "`project`, first call, queries: 64, s; gaussian64:1000", NONE, project)
            yield Row(5, "`project`, 7 further shapes ÷ first call, seconds", 1.5, shapes, project)
    for data, m in ((mnist, many), (cifar, some)):
        yield Row(6, f"`sweep`, queries: {m}, s; {data}", BASELINE, Call("sweep", data, m))
