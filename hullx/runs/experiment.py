"""The pattern of an experiment: a question in a docstring, settings, and three functions.

@dataclass(frozen=True)
class Config(runs.Config):                 # what is inherited: seed, rtol, data_dir, out, tensorboard
    data: tuple[Sample, ...] = (Sample("digits"),)

def measure(config, run):                  # computes, and writes to the run folder
    result = run.keep("distances", hullx.sweep, test, train)
    run.record("share outside", result.outside, data="digits", group="test images")

def claims(results):                       # a pure function of the folder: thresholds change without computing anew
    share = results.estimate("share outside", group="test images")
    yield runs.Claim.of(share, "test images are outside", "arXiv 2101.09849", "all", runs.all_of(share))

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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hullx.errors import HullxError, PackageError, ResumeError
from hullx.runs.claims import Claim
from hullx.runs.command import keep_compiled, parse, restored, stop
from hullx.runs.fingerprint import reserved
from hullx.runs.folder import Run, again, start, write_json
from hullx.runs.pieces import module_name, module_named
from hullx.runs.results import CLAIMS, CONFIG, FAILED, PROVENANCE, UNDECIDED, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Config:
    """Settings that every experiment has.

    Attributes:
        seed: of every random choice.
        rtol: relative width of the certified bracket at which a distance is done.
        data_dir: where TFDS data sets lie; TFDS's default if not given.
        out: where run folders go.
        tensorboard: whether metrics go to TensorBoard as well.
    """

    seed: int = 0
    rtol: float = 1e-6
    data_dir: str | None = None
    out: Path = Path("runs")
    tensorboard: bool = False


C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Experiment(Generic[C]):
    """An experiment; its docstring is that of the module of its function `measure`.

    Attributes:
        config: the dataclass of its settings.
        presets: settings by name; the first is the default.
        measure: computes what is to be known, and writes it to the run folder.
        claims: claims with their verdicts, from a run folder.
        figures: figures by name, from a run folder; none if not given.
    """

    config: type[C]
    presets: Mapping[str, C]
    measure: Callable[[C, Run[C]], None]
    claims: Callable[[Results], Iterable[Claim]]
    figures: Callable[[Results], Iterable[tuple[str, Figure]]] = lambda results: ()

    @property
    def module(self) -> str:
        """The name by which it is started."""
        return module_name(self.measure)

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Runs the experiment as a command line asks for: `[preset] [--field value …]`; the process's own if None.

        Prints the closing table, and as its last line the run folder. What cannot be done is one line on standard error, with
        exit status 2; an interrupt ends with 130.
        """
        doc = sys.modules[self.measure.__module__].__doc__
        try:
            preset, config = parse(self.module, doc, self.presets, sys.argv[1:] if arguments is None else arguments)
            run = start(self.module, preset, config, config.out, tensorboard=config.tensorboard)
        except HullxError as error:
            stop(str(error))
        with _ending(run.folder, run.discard), reserved(run.folder, "the run's folder"):
            self._perform(run)

    def resume(self, folder: Path) -> None:
        """Goes on with a run that was killed, in its folder and with its settings, to the same results.

        A finished run stays as it is.
        """
        with _ending(folder):
            results = Results(folder)
            if "seconds" in results.json(PROVENANCE):
                raise ResumeError(f"{folder} is finished: look at it by `python -m hullx.runs show {folder}`")
            config = restored(self.config, results.config)
            with reserved(folder, "the run's folder"):
                self._perform(again(folder, config, tensorboard=config.tensorboard))

    def judge(self, folder: Path) -> None:
        """Writes claims.json from what the run has left; beside each claim, what a verdict cannot do without."""
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
        """Draws the figures from what the run has left; their files."""
        from hullx.runs.plotting import saved

        return saved(folder, lambda: self.figures(Results(folder)))

    def _perform(self, run: Run[C]) -> None:
        from hullx.runs.closing import show

        keep_compiled()
        self.measure(run.config, run)
        self.judge(run.folder)
        self.draw(run.folder)
        run.finish()
        show(run.folder)
        print(run.folder)


def of_folder(folder: Path) -> Experiment[Any]:
    """The experiment whose run a folder holds.

    Raises:
        ResumeError: it holds none, or that of an experiment that there is no more.
        PackageError: the experiment needs a package that is not installed.
    """
    name = Results(folder).json(CONFIG)["module"]
    try:
        return module_named(name).experiment
    except PackageError:  # an ImportError that says what to install
        raise
    except (ImportError, AttributeError) as error:
        raise ResumeError(f"{folder} is a run of {name}, which cannot be imported: start from the repository's root") from error


@contextmanager
def _ending(folder: Path, discard: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Says of whatever ends a run where the finished pieces are, and how to go on."""
    where = f"what is finished is in {folder}\ngo on with: python -m hullx.runs resume {folder}"
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
