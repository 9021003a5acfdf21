"""The pattern of an experiment: a question in a docstring, settings, and three functions.

@dataclass(frozen=True)
class Config(runs.Config):                 # inherited: seed, rtol, data_dir, out, tensorboard
    data: tuple[Sample, ...] = (Sample("digits"),)

def measure(config, run):                  # computes, and writes to the run folder
    distances = []
    for seed in range(10):
        result = run.cached(f"sweep {seed}", hullx.sweep, *halves(seed))  # a resumed run does not repeat it
        run.record("share outside", result.outside, group=f"seed {seed}")
        distances.append(result.distance.mean())
    run.record("distance", distances)      # of seeds: their mean, with an interval

def claims(results):                       # a pure function of the folder: thresholds can change without recomputing
    far = results.estimate("distance")
    yield runs.Claim.of(far, "test images are farther than 0.5", "arXiv 2101.09849", "> 0.5", runs.above(far, 0.5))

def figures(results):                      # a pure function of the folder
    yield "distances", drawn

experiment = runs.Experiment(Config, {"smoke": Config()}, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hullx.errors import HullxError, PackageError, ResumeError
from hullx.runs.claims import Claim
from hullx.runs.command import parse, restored, stop
from hullx.runs.compilation import compile_quickly, keep_compiled
from hullx.runs.fingerprint import reserved
from hullx.runs.folder import Run, again, start, write_json
from hullx.runs.modules import module_name, module_named
from hullx.runs.results import CLAIMS, CONFIG, FAILED, PROVENANCE, UNDECIDED, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Config:
    """Settings of every experiment.

    Attributes:
        seed: seed of all random choices.
        rtol: relative width of the certified bracket at which a distance is accepted.
        data_dir: folder of TFDS data sets; TFDS's default if None.
        out: parent folder of run folders.
        tensorboard: whether to write metrics to TensorBoard too.
    """

    seed: int = 0
    rtol: float = 1e-6
    data_dir: str | None = None
    out: Path = Path("runs")
    tensorboard: bool = False


C = TypeVar("C", bound=Config)

SMOKE = "smoke"


@dataclass(frozen=True)
class Experiment(Generic[C]):
    """An experiment, documented by the module docstring of its function `measure`.

    Attributes:
        config: the dataclass of its settings.
        presets: settings by name; the first is the default. `smoke` is a quick check: with its own settings, it compiles with
            few optimisations, unless the experiment's name begins with ``bench_``.
        measure: computes the results and writes them to the run folder.
        claims: returns claims with their verdicts, from a run folder.
        figures: returns figures by name, from a run folder; no figures by default.
    """

    config: type[C]
    presets: Mapping[str, C]
    measure: Callable[[C, Run[C]], None]
    claims: Callable[[Results], Iterable[Claim]]
    figures: Callable[[Results], Iterable[tuple[str, Figure]]] = lambda results: ()

    @property
    def module(self) -> str:
        """The module name that starts the experiment."""
        return module_name(self.measure)

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Run the experiment from a command line, `[preset] [--field value …]`; the process's own if None.

        Prints the closing table, then the run folder on the last line. User errors print one line on standard error and exit
        with status 2; an interrupt exits with 130.
        """
        doc = sys.modules[self.measure.__module__].__doc__
        try:
            preset, config = parse(self.module, doc, self.presets, sys.argv[1:] if arguments is None else arguments)
            self._prepare_to_compile(preset, config)
            run = start(self.module, preset, config, config.out, tensorboard=config.tensorboard)
        except HullxError as error:
            stop(str(error))
        with _ending(run.folder, run.discard), reserved(run.folder, "the run's folder"):
            self._perform(run)

    def resume(self, folder: Path) -> None:
        """Resume an interrupted run in its folder with its settings; the results are identical.

        Raises an error for a finished run.
        """
        with _ending(folder):
            results = Results(folder)
            if "seconds" in results.json(PROVENANCE):
                raise ResumeError(f"{folder} is finished: show it with `python -m hullx.runs show {folder}`")
            config = restored(self.config, results.config)
            self._prepare_to_compile(results.json(CONFIG)["preset"], config)
            with reserved(folder, "the run's folder"):
                self._perform(again(folder, config, tensorboard=config.tensorboard))

    def judge(self, folder: Path) -> None:
        """Write claims.json from the run folder, with undecided queries and failed runs beside each claim."""
        results = Results(folder)
        judged = []
        for claim in self.claims(results):
            about = {name: value for name in ("data", "group") if (value := getattr(claim, name))}
            undecided, queries = results.total(UNDECIDED, **about)
            failed, attempts = results.total(FAILED, **about)
            beside = {"undecided": undecided, "queries": queries, "failed": failed, "runs": max(attempts, claim.seeds)}
            judged.append(claim._asdict() | beside)
        write_json(folder / CLAIMS, {"claims": judged})

    def draw(self, folder: Path) -> list[Path]:
        """Draw the figures from the run folder; return their paths."""
        from hullx.runs.plotting import saved

        return saved(folder, lambda: self.figures(Results(folder)))

    def _prepare_to_compile(self, preset: str, config: C) -> None:
        """Choose how the process compiles: quickly for a quick check, but not for benchmarks, which measure time."""
        keep_compiled()
        if preset == SMOKE and preset in self.presets and not self.module.rpartition(".")[2].startswith("bench_"):
            usual = {field.name: getattr(config, field.name) for field in fields(Config)}
            if config == replace(self.presets[preset], **usual):
                compile_quickly()

    def _perform(self, run: Run[C]) -> None:
        from hullx.runs.closing import show

        self.measure(run.config, run)
        self.judge(run.folder)
        self.draw(run.folder)
        run.finish()
        show(run.folder)
        print(run.folder)


def of_folder(folder: Path) -> Experiment[Any]:
    """The experiment of a run folder.

    Raises:
        ResumeError: this is not a run folder, or its experiment no longer exists.
        PackageError: the experiment needs a package that is not installed.
    """
    name = Results(folder).json(CONFIG)["module"]
    try:
        return module_named(name).experiment
    except PackageError:  # an ImportError that names the package to install
        raise
    except (ImportError, AttributeError) as error:
        raise ResumeError(
            f"{folder} is a run of {name}, which cannot be imported: start from the folder that holds it"
        ) from error


@contextmanager
def _ending(folder: Path, discard: Callable[[], None] = lambda: None) -> Iterator[None]:
    """On failure, one line for an error of hullx, else where partial results are and the command that resumes."""
    where = f"partial results are in {folder}\nresume with: python -m hullx.runs resume {folder}"
    try:
        yield
    except HullxError as error:
        discard()
        stop(str(error))
    except KeyboardInterrupt:
        print(f"\ninterrupted; {where}", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        error.add_note(where)
        raise
