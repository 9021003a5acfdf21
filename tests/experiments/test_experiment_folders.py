"""Experiments in their folders: one module a file, commands by name, and pages that agree with the files."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import hullx_runs

import experiments
from experiments.__main__ import question
from hullx.runs import modules


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((sys.executable, "-m", *arguments), capture_output=True, text=True, cwd=experiments.ROOT.parent)


def test_every_file_is_one_module_without_its_folder() -> None:
    found = experiments.files()
    for name, file in found.items():
        module = importlib.import_module(f"experiments.{name}")
        assert (module.__name__, module.__file__) == (f"experiments.{name}", str(file))
    loaded = [module.__file__ for module in set(sys.modules.values()) if "experiments" in str(getattr(module, "__file__", ""))]
    assert len(loaded) == len(set(loaded)) >= len(found)


def test_classes_in_unfinished_runs_are_found_by_their_earlier_names() -> None:
    assert modules.module_named("experiments.sizes") is importlib.import_module("experiments.model_sizes")
    places = importlib.import_module("experiments.places")
    assert modules.module_named("hullx.probes.places") is places
    # Under its own name it is found as before.
    assert places.__spec__ is not None
    assert (places.__spec__.name, places.__spec__.origin) == ("experiments.places", places.__file__)
    for earlier, name in experiments.RENAMED.items():
        assert name in experiments.files()
        assert earlier.removeprefix("experiments.") not in experiments.files()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("experiments.pixel_hul", "unknown experiment 'pixel_hul': did you mean 'pixel_hull'?"),
        ("experiments.hulls.pixel_hull", "'hulls' is a folder, not an experiment: leave it out of the name"),
    ],
)
def test_other_names_cannot_be_imported(name: str, message: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=re.escape(message)):
        importlib.import_module(name)


def test_two_files_of_the_same_name_are_both_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [tmp_path / folder / "twice.py" for folder in ("hulls", "robustness")]
    for file in both:
        file.parent.mkdir()
        file.touch()
    monkeypatch.setattr(experiments, "ROOT", tmp_path)
    with pytest.raises(ImportError, match=re.escape(f"{both[0]} and {both[1]} have the same name: rename one")):
        importlib.import_module("experiments.twice")


@pytest.mark.thorough
def test_commands_find_experiments_by_name() -> None:
    listed = command("experiments", "list").stdout
    assert re.findall(r"^\w+", listed, re.MULTILINE) == list(experiments.FOLDERS)
    assert re.findall(r"^  (\w+)", listed, re.MULTILINE) == list(experiments.experiments())
    # The folder minimizers has a file of that name.
    usages = [command(*start, "cpu", "--help").stdout for start in (("experiments", "minimizers"), ("experiments.minimizers",))]
    assert usages[0] == usages[1]
    assert usages[0].startswith("usage: python -m experiments.minimizers [smoke|cpu|paper]")
    done = command("experiments", "pixel_hul")
    assert done.returncode == 2
    assert done.stderr == f"error: {experiments.unknown('pixel_hul')}\n"
    done = command("experiments.pixel_hul")
    assert done.returncode == 1
    assert "did you mean 'pixel_hull'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_contents_list_every_experiment_with_its_question() -> None:
    lines = (experiments.ROOT / "README.md").read_text().splitlines()
    for name, file in experiments.experiments().items():
        assert f"- [{name}]({file.parent.name}/README.md#{name}): {question(name)}" in lines
        assert f"## {name}" in (file.parent / "README.md").read_text().splitlines()


def test_tables_and_figures_of_the_pages_are_those_of_results(tmp_path: Path) -> None:
    pages = shutil.copytree(experiments.ROOT, tmp_path / "experiments", ignore=shutil.ignore_patterns("*.py", "*.pyc"))
    assert hullx_runs("gallery", pages).status == 0
    for page in pages.rglob("*.md"):
        text = page.read_text()
        assert text == (experiments.ROOT / page.relative_to(pages)).read_text()
        assert all((page.parent / link).exists() for link in re.findall(r"\]\(([^)#:]+)", text))


def test_no_file_is_longer_than_250_lines() -> None:
    assert {file.name for file in experiments.ROOT.rglob("*.py") if len(file.read_text().splitlines()) > 250} == set()
