"""Checks a plain `pip install` of hullx: few packages, no experiments, a core that works. Prints the number of packages."""

import importlib.metadata
import importlib.resources
import importlib.util

import numpy as np

import hullx
from hullx.errors import PackageError

MOST = 20

packages = {each.name for each in importlib.metadata.distributions()} - {"pip", "setuptools"}
assert len(packages) <= MOST, sorted(packages)
assert importlib.util.find_spec("experiments") is None
assert (importlib.resources.files("hullx") / "py.typed").is_file()

points = np.random.default_rng(0).normal(size=(200, 5))
queries = 2 * points[:50]
swept = hullx.sweep(queries, points, progress=False)
assert swept.decided.all()
np.testing.assert_allclose(hullx.project(queries, hullx.prepare(points)).distance, swept.distance, rtol=1e-5, atol=1e-6)
try:
    hullx.training  # noqa: B018
except PackageError as error:
    print(f"{len(packages)} packages; {error}")
else:
    raise AssertionError("hullx.training was imported without Flax")
