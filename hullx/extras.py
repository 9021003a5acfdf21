"""Optional packages: the extra of hullx that installs each, and the error if one is missing.

Call `require` once per file, before the imports of optional packages. It checks that the packages can be found and does not
import them. The import statements below it stay, for readers and type checkers.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from hullx.errors import PackageError


class Source(NamedTuple):
    """The source of a package: its name for pip, and the smallest extra of hullx that installs it."""

    distribution: str
    extra: str


# By the name that import statements use. A test compares the table with pyproject.toml.
SOURCES = {
    "jaxopt": Source("jaxopt", "solvers"),
    "flax": Source("flax", "train"),
    "optax": Source("optax", "train"),
    "orbax.checkpoint": Source("orbax-checkpoint", "train"),
    "PIL": Source("pillow", "data"),
    "pywt": Source("pywavelets", "data"),
    "sklearn": Source("scikit-learn", "data"),
    "tensorflow_datasets": Source("tensorflow-datasets", "data"),
    "matplotlib": Source("matplotlib", "experiments"),
    "jinja2": Source("jinja2", "experiments"),
    "rich": Source("rich", "experiments"),
    "tyro": Source("tyro", "experiments"),
    "tensorboardX": Source("tensorboardX", "tensorboard"),
    "wordllama": Source("wordllama", "embeddings"),
    "pyarrow": Source("pyarrow", "tables"),
}


def require(user: str, *packages: str, extra: str | None = None) -> None:
    """Check that optional packages are installed.

    Args:
        user: what needs them, for the message: a module's `__name__`, a function, an option.
        packages: names in `SOURCES`.
        extra: the one to install; by default the smallest that has the package.

    Raises:
        PackageError: (an ImportError) one is not installed; the message says how to install it.

    Example:
        >>> require("hullx.training", "flax", "optax")
    """
    for package in packages:
        if not installed(package):
            distribution, smallest = SOURCES[package]
            raise PackageError(f"{user} needs {distribution}: pip install 'hullx[{extra or smallest}]'", name=package)


def installed(package: str) -> bool:
    """Whether a package can be found, without importing it.

    Example:
        >>> installed("jax"), installed("no_such.package")
        (True, False)
    """
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False
