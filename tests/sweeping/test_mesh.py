"""Sweeps and spaces over a mesh give what one device gives: 8 virtual devices in a process, and two processes that talk."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from oracles import check_bracket

import hullx

# Both scripts read the data and the meshes' shapes, and write what each mesh found.
SCRIPT = """
import sys
from contextlib import nullcontext
import jax, numpy as np
from jax.sharding import Mesh
folder, process, address = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if address:
    jax.distributed.initialize(address, num_processes=2, process_id=process)
import hullx
data = np.load(f"{folder}/data.npz")
for i, shape in enumerate(({"points": 4, "queries": 2}, {"points": 8}, {"queries": 2})):
    if address and i != 0:
        continue
    sizes, names = tuple(shape.values()), tuple(shape)
    devices = jax.devices()[: np.prod(sizes)]
    # Axes that are automatic, and those of today's make_mesh, which are explicit; and a caller who works in such a mesh.
    mesh = Mesh(np.array(devices).reshape(sizes), names) if i % 2 else jax.make_mesh(sizes, names, devices=devices)
    with jax.set_mesh(mesh) if i == 2 else nullcontext():
        result = hullx.sweep(data["queries"], data["points"], mesh=mesh, progress=False)
    np.savez(f"{folder}/{process}-{i}.npz", **result._asdict())
if not address:
    images = data["points"].reshape(-1, 8, 8, 1)
    mesh = jax.make_mesh((8,), ("data",))
    np.save(f"{folder}/rows.npy", hullx.spaces.rows(hullx.spaces.Wavelets((8, 8, 1), "db2"), images, batch=100, mesh=mesh))
"""


def environment(devices: int) -> dict[str, str]:
    return os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


def run(folder: Path, devices: int, address: str = "", processes: int = 1) -> None:
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    running = [
        subprocess.Popen([*command, str(i), address], env=environment(devices), stderr=subprocess.PIPE, text=True)
        for i in range(processes)
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors[-2000:]
    finally:
        for process in running:
            process.kill()


def saved(path: Path) -> hullx.Projection:
    with np.load(path) as fields:
        return hullx.Projection(**fields)


@pytest.fixture
def problem(digits, tmp_path: Path) -> tuple[np.ndarray, np.ndarray, hullx.Projection]:
    # 1,001 points divide by no number of devices.
    queries, points = digits[0][:50], digits[1][:1001]
    np.savez(tmp_path / "data.npz", queries=queries, points=points)
    return queries, points, hullx.sweep(queries, points, progress=False)


def check(found: hullx.Projection, problem) -> None:
    queries, points, whole = problem
    np.testing.assert_allclose(found.distance, whole.distance, rtol=1e-12)
    np.testing.assert_array_equal(found.status, whole.status)
    check_bracket(found, queries, points, rtol=1e-6)


@pytest.mark.thorough
def test_eight_devices(problem, tmp_path: Path) -> None:
    run(tmp_path, devices=8)
    for i in range(3):
        check(saved(tmp_path / f"0-{i}.npz"), problem)
    expected = hullx.spaces.Wavelets((8, 8, 1), "db2")(problem[1].reshape(-1, 8, 8, 1))
    np.testing.assert_allclose(np.load(tmp_path / "rows.npy"), expected, atol=1e-6)


@pytest.mark.slow
def test_two_processes(problem, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run(tmp_path, devices=4, address=f"127.0.0.1:{port}", processes=2)
    for process in range(2):
        check(saved(tmp_path / f"{process}-0.npz"), problem)


@pytest.mark.thorough
def test_points_on_disk_over_a_mesh(problem, tmp_path: Path) -> None:
    queries, points, whole = problem
    np.save(tmp_path / "points.npy", points)
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("points",))
    found = hullx.sweep(queries, np.load(tmp_path / "points.npy", mmap_mode="r"), mesh=mesh, progress=False)
    np.testing.assert_allclose(found.distance, whole.distance, rtol=1e-12)


def test_other_axes_are_refused(digits) -> None:
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("rows",))
    with pytest.raises(ValueError, match=r"mesh: got axes \('rows',\), expected 'points', 'queries' or both"):
        hullx.sweep(digits[0][:5], digits[1], mesh=mesh, progress=False)
