"""Modules by name, also the one that runs as the main program."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


def module_name(function: Any) -> str:
    """The importable module name of a function or class, also if the module runs as the main program."""
    name = function.__module__
    return _main_name() if name == "__main__" else name


def module_named(name: str) -> Any:
    """The module of that name; the main program is not imported again."""
    return sys.modules["__main__"] if name == _main_name() else importlib.import_module(name)


def _main_name() -> str:
    """The name by which others import the main program: of a script, its file's."""
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None:
        return spec.name
    return "__main__" if file is None else Path(file).stem
