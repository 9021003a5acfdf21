"""What does a projection cost a GPU: kernels, waits for the host, and bytes to and from it? Counted without a GPU.

    pip install jax-cuda13-plugin==THE_VERSION_OF_JAXLIB
    python -m experiments.bench_programs                    digits, 20 seconds
    python -m experiments.bench_programs cpu                MNIST, half a minute

XLA compiles the programs for an H100 on any machine, without CUDA's libraries. The host starts the kernels of a program one
after the other. It waits before each turn of a loop whose length depends on the data, because it must read the loop's
condition. Bytes are those of queries, states and results; the points stay on the device. Turns are not counted, because they
depend on the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

from hullx import runs
from hullx.errors import PackageError

from .gpu_programs import BRANCH, PROGRAMS, compiled

KERNELS, WAITS, COPIED, SENT, FETCHED = "kernels", "waits of the host", "copied", "sent to the GPU", "fetched from it"
# Points, and their dimension.
SHAPES = {"digits": (1437, 64), "MNIST": (60_000, 784), "CIFAR-10": (50_000, 3072)}


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the benchmark.

    Attributes:
        data: names in SHAPES.
        queries: number of queries.
    """

    data: tuple[str, ...] = ("digits",)
    queries: int = 256


PRESETS = {"smoke": Config(), "cpu": Config(data=("MNIST",), queries=2048)}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Compile each program and count."""
    runs.known("--data", config.data, SHAPES)
    if find_spec("jax_cuda13_plugin") is None:
        raise PackageError(f"bench_programs needs jax-cuda13-plugin: pip install jax-cuda13-plugin=={version('jaxlib')}")
    for data in config.data:
        for name in PROGRAMS:
            program = run.cached(f"{name}, {data}", compiled, name, *SHAPES[data], config.queries)
            seen = Counter[str]()
            for part in program.parts:
                seen[part.name] += 1
                again = f" ({seen[part.name]})" if seen[part.name] > 1 else ""
                where = {"": "", BRANCH: f": {BRANCH}"}.get(part.name, f": each turn of a loop in {part.name}") + again
                run.record(KERNELS, part.kernels, data=data, group=name + where)
                run.record(COPIED, part.copied / 1e6, data=data, group=name + where, unit=" MB")
                if part.name:
                    run.record(WAITS, int(part.waits), data=data, group=name + where)
            for quantity, size in ((SENT, program.arguments), (FETCHED, program.results)):
                run.record(quantity, size / 1e6, data=data, group=name, unit=" MB")


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """None: counts, not measurements."""
    yield from ()


experiment = runs.Experiment(Config, PRESETS, measure, claims)
if __name__ == "__main__":
    experiment.main()
