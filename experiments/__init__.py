"""Experiments: each file answers one question; folders group them by theme.

    python -m experiments list                            each experiment, with its question
    python -m experiments.pixel_hull [smoke|cpu|paper]    runs one; so does python -m experiments pixel_hull

Module names omit the folder: hulls/pixel_hull.py is `experiments.pixel_hull`. Commands are short, and a run folder, which names
its module, stays valid when the file moves. Files in one folder import each other relatively
(`from .layer_hulls import trained`). `experiments.shared` is an ordinary package that all folders may import.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hullx.extras import require

require("experiments", "flax", "optax", "matplotlib", "tyro", "rich", "sklearn", extra="experiments")

ROOT = Path(__file__).parent
FOLDERS = "hulls", "minimizers", "robustness", "applications", "benchmarks"
ORDINARY = "__main__", "shared"  # modules that Python's own finder loads
# Earlier names of modules: unfinished runs store them (`hullx.runs.cache`) and can still be resumed.
RENAMED = {
    "experiments.codes": "autoencoder_codes",
    "experiments.layers": "layer_hulls",
    "experiments.regions": "linear_head_regions",
    "experiments.sizes": "model_sizes",
    "hullx.probes.places": "places",
}


def files() -> dict[str, Path]:
    """Return the Python files of all folders by name.

    Raises:
        ImportError: two files have the same name.
    """
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).glob("[!_]*.py")):
            if file.stem in found:
                raise ImportError(f"{found[file.stem]} and {file} have the same name: rename one, as modules omit the folder")
            found[file.stem] = file
    return found


def experiments() -> dict[str, Path]:
    """Return the files that can be run, by name: experiments without their helper modules."""
    return {name: file for name, file in files().items() if 'if __name__ == "__main__":' in file.read_text(encoding="utf-8")}


def unknown(name: str) -> str:
    """Return the error message for a name that is no experiment's."""
    if name in FOLDERS:
        return f"{name!r} is a folder, not an experiment: leave it out of the name, as in experiments.pixel_hull"
    (nearest,) = difflib.get_close_matches(name, experiments(), n=1, cutoff=0)
    return f"unknown experiment {name!r}: did you mean {nearest!r}? `python -m experiments list` shows all"


class FolderFinder(MetaPathFinder, Loader):
    """Finds `experiments.<file>` in the folder that holds the file, and loads modules by their earlier names."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if fullname in RENAMED:
            return ModuleSpec(fullname, self)
        if package != __name__ or name in ORDINARY:
            return None
        found = files()
        if name in found:
            return spec_from_file_location(fullname, found[name])
        raise ModuleNotFoundError(unknown(name), name=fullname)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(f"{__name__}.{RENAMED[spec.name]}")

    def exec_module(self, module: ModuleType) -> None:
        """The module is already loaded: give it back its own spec, which the import has replaced."""
        module.__spec__ = spec_from_file_location(module.__name__, module.__file__)


sys.meta_path.insert(0, FolderFinder())

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """For type checkers, which do not use FolderFinder."""
