"""Finished pieces of a run: cached return values in files with checksums.

A piece is a number, a string, an array, or a dict, list, tuple or NamedTuple of pieces. Loading restores the same types and
bits; arrays become NumPy arrays.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hullx.errors import ArgumentTypeError
from hullx.runs.fingerprint import seal

TREE = "tree"


def packed(value: Any) -> bytes:
    """A piece as bytes.

    Raises:
        ArgumentTypeError: the value holds something else.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps(_encoded(value, arrays)).encode()
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **{TREE: np.frombuffer(tree, np.uint8)}, **arrays)
    return data.getvalue()


def unpacked(data: bytes) -> Any:
    """A piece from bytes; the inverse of `packed`."""
    with np.load(io.BytesIO(data)) as file:
        arrays = dict(file)
    return _decoded(json.loads(arrays[TREE].tobytes()), arrays)


def sealed(folder: Path, stem: str, data: bytes) -> Path:
    """The path of a piece; the name contains a hash of its bytes."""
    return folder / f"{stem}.{seal({'piece': stem}, data)}.npz"


def found(folder: Path, stem: str) -> tuple[bytes | None, list[Path]]:
    """The bytes of an intact piece, if there is one, and the paths of damaged files."""
    damaged = []
    for path in sorted(folder.glob(f"{stem}.*.npz")):
        data = path.read_bytes()
        if path == sealed(folder, stem, data):
            return data, damaged
        damaged.append(path)
    return None, damaged


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


def _encoded(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON; its arrays are added to `arrays` by name."""
    match value:
        case None | bool() | int() | float() | str():
            return value.item() if isinstance(value, np.generic) else value
        case np.generic():
            return value.item()
        case dict():
            return {"dict": [[key, _encoded(each, arrays)] for key, each in value.items()]}
        case tuple() if hasattr(value, "_fields"):
            kind = f"{module_name(type(value))}:{type(value).__qualname__}"
            return {"named": kind, "fields": [_encoded(each, arrays) for each in value]}
        case list() | tuple():
            return {type(value).__name__: [_encoded(each, arrays) for each in value]}
    if not hasattr(value, "__array__") or np.asarray(value).dtype == object:
        raise ArgumentTypeError(f"a piece holds {type(value).__name__}, expected numbers, strings, arrays, or dicts and tuples")
    name = f"array{len(arrays)}"
    arrays[name] = np.asarray(value)
    return {"array": name}


def _decoded(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    match tree:
        case {"array": name}:
            return arrays[name]
        case {"dict": pairs}:
            return {key: _decoded(each, arrays) for key, each in pairs}
        case {"named": kind, "fields": fields}:
            module, _, name = kind.partition(":")
            return getattr(module_named(module), name)(*(_decoded(each, arrays) for each in fields))
        case {"list": each}:
            return [_decoded(one, arrays) for one in each]
        case {"tuple": each}:
            return tuple(_decoded(one, arrays) for one in each)
    return tree
