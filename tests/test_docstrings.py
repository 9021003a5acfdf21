"""The examples in docstrings, of hullx and of experiments, run and return what they say."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import experiments
import hullx
from experiments import shared

pytestmark = pytest.mark.unoptimised

# What examples use without saying where it comes from, besides the names of their own module. The square's four points in the
# plane are what they project onto: another shape is another program to compile.
NAMES = {
    "hullx": hullx,
    "jax": jax,
    "jnp": jnp,
    "np": np,
    "optax": optax,
    "fit": hullx.training.fit,
    "MLP": hullx.models.MLP,
    "square": jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
}


def examples(module: str) -> Iterator[doctest.DocTest]:
    """The examples of a module's docstrings, from its source: doctest's own finder passes over decorated functions."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            name = f"{module}.{node.name}" if not isinstance(node, ast.Module) else module
            test = doctest.DocTestParser().get_doctest(text, {}, name, spec.origin, node.body[0].lineno - 1)
            if test.examples:
                yield test


def modules() -> list[str]:
    """Those that have examples."""
    found = ["hullx", *(each.name for each in pkgutil.walk_packages(hullx.__path__, "hullx."))]
    found += [f"experiments.{name}" for name in experiments.files()]
    found += [each.name for each in pkgutil.iter_modules(shared.__path__, "experiments.shared.")]
    return [name for name in found if "__main__" not in name and any(examples(name))]


@pytest.mark.parametrize("module", modules())
def test_examples(module: str) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for test in examples(module):
        test.globs = vars(import_module(module)) | NAMES
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize(
    "name",
    [
        "hullx",
        "hullx.data",
        "hullx.domain",
        "hullx.geometry",
        "hullx.models",
        "hullx.probes.attacks",
        "hullx.simplex",
        "hullx.solvers",
        "hullx.spaces",
        "hullx.training",
    ],
)
def test_what_users_call_has_an_example(name: str) -> None:
    module = import_module(name)
    functions = [each for each in module.__all__ if inspect.isfunction(getattr(module, each))]
    assert functions
    assert not [each for each in functions if ">>> " not in (getattr(module, each).__doc__ or "")]
