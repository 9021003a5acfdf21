"""hullx without its extras: the core works, and the rest says in one sentence what to install."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hullx
from hullx.errors import HullxError, PackageError
from hullx.extras import SOURCES, require

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# What `pip install hullx` brings, by the names of its modules, and what the tests themselves import.
CORE = {"filelock", "hullx", "jax", "jaxlib", "jaxtyping", "ml_dtypes", "numpy", "opt_einsum", "scipy", "wadler_lindig"}
FOUND = CORE | {"experiments", "toy"}
# Stands at the top of the programs: nothing else can be found, as if it were not installed.
BLOCK = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        known = root.startswith("_") or root in sys.stdlib_module_names | {FOUND!r}
        return self.finder.find_spec(name, path, target) if known else None

sys.meta_path[:] = map(Without, sys.meta_path)
"""
# Starts a module as `python -m` does.
START = "import runpy; sys.argv[1:] = {!r}; runpy.run_module({!r}, run_name='__main__', alter_sys=True)"


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", BLOCK + program]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_the_core_needs_no_extra(tmp_path: Path) -> None:
    program = """
import jax, numpy as np, hullx
points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], np.float32)
query = np.array([2.0, 0.5], np.float32)
hull = hullx.prepare(points)
assert abs(hullx.project(query, points).distance - 1) < 1e-6
assert abs(hullx.project(query, hull, solver=hullx.solvers.ActiveSet()).distance - 1) < 1e-6
assert np.allclose(jax.grad(hullx.distance)(query, hull), [1, 0], atol=1e-6)
assert np.allclose(hullx.sweep(np.stack([query, query + 1]), points, resume="swept").distance, [1, 2.0615528], atol=1e-6)
np.savez("images.npz", x_train=np.ones((3, 2, 2)), y_train=[0, 1, 0], x_test=np.ones((2, 2, 2)), y_test=[0, 1])
images = hullx.data.load("npz:images.npz").train.images
pixels = hullx.spaces.rows(hullx.spaces.pca(hullx.spaces.Pixels((2, 2, 1)), images, 1), images)
hullx.geometry.dimension_by_moments, hullx.runs.mean_interval
assert "training" in dir(hullx) and "Features" in dir(hullx.spaces)
"""
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "projecting: 2/2 queries, 2 certified" in done.stderr


TRAINING = "hullx.training needs flax: pip install 'hullx[train]'"
PROBES = "hullx.probes needs flax: pip install 'hullx[train]'"
FEATURES = "hullx.spaces.Features needs flax: pip install 'hullx[train]'"
NEIGHBOURS = "hullx.geometry.neighbours needs scikit-learn: pip install 'hullx[data]'"
WAVELETS = "hullx.spaces.Wavelets needs pywavelets: pip install 'hullx[data]'"
FIRST_USES = {
    "import hullx.training": TRAINING,
    "hullx.training": TRAINING,
    "from hullx import training": TRAINING,
    "from hullx.training import fit": TRAINING,
    "from hullx.training.history import History": TRAINING,
    "hullx.models": "hullx.models needs flax: pip install 'hullx[train]'",
    "from hullx.probes import flip_points": PROBES,
    "import hullx.probes.attacks": PROBES,
    "hullx.spaces.Wavelets((4, 4, 1))": WAVELETS,
    "hullx.spaces.wavedec2(np.ones((1, 4, 4, 1)), 'haar', 1)": WAVELETS,
    "hullx.spaces.Features": FEATURES,
    "from hullx.spaces import layers": FEATURES,
    "hullx.geometry.neighbours(np.eye(2), np.eye(2))": NEIGHBOURS,
    "hullx.HullDomain()": "hullx.HullDomain needs scikit-learn: pip install 'hullx[data]'",
    "from hullx import HullDomain": "hullx.HullDomain needs scikit-learn: pip install 'hullx[data]'",
    "hullx.data.load('digits')": "data set 'digits' needs scikit-learn: pip install 'hullx[data]'",
    "hullx.data.load('mnist')": "data set 'mnist' needs tensorflow-datasets: pip install 'hullx[data]'",
    "hullx.project(np.zeros(2), np.eye(2), solver='projected_gradient')": "solver projected_gradient needs jaxopt: "
    "pip install 'hullx[solvers]'",
    "import hullx.runs.plotting": "hullx.runs.plotting needs matplotlib: pip install 'hullx[experiments]'",
    "import hullx.runs.maps": "hullx.runs.maps needs matplotlib: pip install 'hullx[experiments]'",
    "import hullx.runs.pictures": "hullx.runs.pictures needs matplotlib: pip install 'hullx[experiments]'",
    "import hullx.runs.tensorboard as board; board.find_board()": "--tensorboard needs tensorboardX: "
    "pip install 'hullx[tensorboard]'",
    "import hullx.runs.closing as closing; closing.printer()": "hullx.runs needs rich: pip install 'hullx[experiments]'",
    "import hullx.runs.command as command; command.parse('toy', '', {'smoke': 0}, [])": "toy needs tyro: "
    "pip install 'hullx[experiments]'",
    "import experiments.pixel_hull": "experiments needs flax: pip install 'hullx[experiments]'",
}


def test_what_is_missing_is_said_on_first_use(tmp_path: Path) -> None:
    program = f"""
import json, numpy as np, hullx
sys.path.insert(0, {str(ROOT)!r})
said = {{}}
for use in {list(FIRST_USES)!r}:
    try:
        exec(use)
    except ModuleNotFoundError as error:
        said[use] = f"{{type(error).__name__}}: {{error}}"
print(json.dumps(said))
"""
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {use: f"PackageError: {sentence}" for use, sentence in FIRST_USES.items()}


@pytest.mark.parametrize(
    ("module", "arguments", "sentence"),
    [
        ("hullx.runs", ["list"], "hullx.runs needs rich: pip install 'hullx[experiments]'"),
        ("hullx.data", ["prepare", "mnist"], "data set 'mnist' needs tensorflow-datasets: pip install 'hullx[data]'"),
    ],
)
def test_commands_say_it_in_one_line(module: str, arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = run(START.format(arguments, module), tmp_path)
    assert (done.returncode, done.stderr) == (2, f"error: {sentence}\n")


def test_the_command_needs_no_extra_but_for_parquet(tmp_path: Path) -> None:
    np.save(tmp_path / "train.npy", np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    (tmp_path / "test.csv").write_text("a,b\n2,0.5\n0.5,0.5\n")
    (tmp_path / "test.parquet").write_bytes(b"")
    done = run(START.format(["train.npy", "test.csv", "--html", "page.html"], "hullx"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "outside              1 of 2 rows    50.0%" in done.stdout
    done = run(START.format(["train.npy", "test.parquet"], "hullx"), tmp_path)
    said = "error: reading .parquet needs pyarrow: pip install 'hullx[tables]'\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_a_run_of_an_experiment_that_lacks_a_package(tmp_path: Path) -> None:
    """The package is named, and not the place to start from, though a package that is missing is an ImportError."""
    (tmp_path / "toy.py").write_text("from hullx.extras import require\nrequire('toy', 'jaxopt')\n")
    (tmp_path / "config.json").write_text('{"module": "toy"}')
    done = run(START.format(["redraw", "."], "hullx.runs"), tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: toy needs jaxopt: pip install 'hullx[solvers]'\n")


def test_the_error_is_hullx_s_and_python_s() -> None:
    assert issubclass(PackageError, HullxError)
    assert issubclass(PackageError, ModuleNotFoundError)


def test_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(PackageError, match="here needs scikit-learn") as raised:
        require("here", "flax", "sklearn")
    assert raised.value.name == "sklearn"


def test_sources_are_those_of_pyproject() -> None:
    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}

    extras = PROJECT["optional-dependencies"]
    for distribution, extra in SOURCES.values():
        assert distribution in names(extras[extra]), distribution
    assert names(PROJECT["dependencies"]) == {"filelock", "jax", "jaxtyping", "numpy", "scipy"}


def test_citation_is_of_this_version() -> None:
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None
    assert cited[1] == PROJECT["version"] == hullx.__version__


def test_a_folder_called_hullx_does_not_hide_the_package(tmp_path: Path) -> None:
    """Such as the clone, beside a script; an editable install with a finder fails here: run pip install -e '.[test]' again."""
    (tmp_path / "hullx" / "hullx").mkdir(parents=True)
    script = tmp_path / "script.py"
    script.write_text("import hullx; print(hullx.__file__, hullx.project.__name__)")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(Path(hullx.__file__)), "project"]
