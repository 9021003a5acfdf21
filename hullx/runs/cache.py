"""Cached return values of a run, as bytes.

A value is a number, a string, an array, or a dict, list, tuple or NamedTuple of values. Loading restores the same types and
bits; arrays become NumPy arrays.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from hullx.errors import ArgumentTypeError
from hullx.runs.modules import module_name, module_named

TREE = "tree"


def packed(value: Any) -> bytes:
    """A value as bytes.

    Raises:
        ArgumentTypeError: it holds something else.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps(_encoded(value, arrays)).encode()
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **{TREE: np.frombuffer(tree, np.uint8)}, **arrays)
    return data.getvalue()


def unpacked(data: bytes) -> Any:
    """A value from bytes; the inverse of `packed`."""
    with np.load(io.BytesIO(data)) as file:
        arrays = dict(file)
    return _decoded(json.loads(arrays[TREE].tobytes()), arrays)


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
        said = f"a cached value holds {type(value).__name__}, expected numbers, strings, arrays, or dicts and tuples"
        raise ArgumentTypeError(said)
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
