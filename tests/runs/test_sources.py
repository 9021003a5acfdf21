"""What changes the hash of an experiment's code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hullx.runs.sources import code_hash


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str | None]:
    """Writes a package of three modules, of which the first imports the second; returns the first's hash."""

    def written(first: str, second: str, third: str = "") -> str | None:
        for name in [name for name in sys.modules if name.startswith("sample_package")]:
            del sys.modules[name]
        folder = tmp_path / "sample_package"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text("")
        for name, text in (("first", f"{first}\nfrom .second import x\n"), ("second", second), ("third", third)):
            (folder / f"{name}.py").write_text(text)
        return code_hash("sample_package.first", "cpu")

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return written


def test_only_code_that_is_imported_counts(package: Callable[..., str | None]) -> None:
    before = package("y = 1", "x = 1")
    assert before is not None
    assert package('"""A docstring."""\ny = 1  # a comment', "x = 1", "z = 2") == before
    assert package("y = 1\ndef figures(): ...", "x = 1") == before
    assert package("y = 2", "x = 1") != before
    assert package("y = 1", "x = 2") != before
    assert code_hash("sample_package.nowhere", "cpu") is None


def test_other_presets_do_not_count(package: Callable[..., str | None]) -> None:
    before = package("PRESETS = {'smoke': 1, 'cpu': 2}", "x = 1")
    assert before is not None
    assert package("PRESETS = {'smoke': 3, 'cpu': 2, 'paper': 4}", "x = 1") == before
    assert package("PRESETS = {'smoke': 1, 'cpu': 3}", "x = 1") != before
    assert package("OTHERS = {'smoke': 1, 'cpu': 2}", "x = 1") != package("OTHERS = {'smoke': 3, 'cpu': 2}", "x = 1")


def test_a_module_has_the_same_hash_while_it_runs(package: Callable[..., str | None], tmp_path: Path) -> None:
    # Its imports come before it in the alphabet, and after __main__.
    code = "from .aside import z\nif __name__ == '__main__':\n    import atexit\n"
    code += "    from hullx.runs.sources import code_hash\n"
    code += "    atexit.register(lambda: print(code_hash('sample_package.first', 'cpu')))"
    (tmp_path / "sample_package").mkdir()
    (tmp_path / "sample_package" / "aside.py").write_text("z = 1")
    expected = package(code, "x = 1")
    done = subprocess.run(
        (sys.executable, "-m", "sample_package.first"), capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.strip() == expected
