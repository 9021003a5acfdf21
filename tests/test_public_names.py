"""What `import hullx` offers: its names, its version, and no more imports than they need."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import Any

import pytest

import hullx


def test_dir_lists_the_public_names() -> None:
    assert dir(hullx) == sorted([*hullx.__all__, "__version__"])
    assert all(hasattr(hullx, name) for name in dir(hullx))


def test_version() -> None:
    assert hullx.__version__ == importlib.metadata.version("hullx")


def test_version_of_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert hullx.__version__ == "0+unknown"


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="module 'hullx' has no attribute 'projekt'"):
        hullx.projekt  # type: ignore[attr-defined]  # noqa: B018


def test_folders_are_imported_when_they_are_used() -> None:
    script = """
import sys, hullx
lazy = {"hullx.data", "hullx.geometry", "hullx.models", "hullx.probes", "hullx.spaces", "hullx.training", "hullx.estimator"}
dir(hullx), hullx.__version__
assert not lazy & set(sys.modules), lazy & set(sys.modules)
assert hullx.geometry.__name__ == "hullx.geometry"
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_hullx_is_cheap() -> None:
    heavy = (
        "matplotlib",
        "sklearn",
        "pandas",
        "pyarrow",
        "scipy.optimize",
        "tyro",
        "jaxopt",
        "tensorflow_datasets",
        "orbax",
        "scipy.stats",
    )
    program = f"import sys, hullx.runs; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
