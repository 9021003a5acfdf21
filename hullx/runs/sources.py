"""Hashes of an experiment's code, to tell which kept results come from other code."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from hullx.runs.modules import module_named


def code_hash(name: str, preset: str) -> str | None:
    """A hash of a module's code and of all modules of its package that it imports; None if there is no such module.

    Comments, docstrings, layout, functions named `figures` and other entries of the dictionary PRESETS do not count, for no
    number depends on them. Modules of other packages, such as hullx, do not count either.

    Args:
        name: of a module, such as "experiments.pixel_hull", that can be imported.
        preset: the key of the settings used, in a dictionary named PRESETS.
    """
    try:
        first = module_named(name)
    except ImportError:
        return None
    seen, waiting = dict[str, ast.Module](), [first]
    while waiting:
        module = waiting.pop()
        file = getattr(module, "__file__", None)
        if file is None or module.__name__ in seen:
            continue
        seen[module.__name__] = tree = _what_computes(ast.parse(Path(file).read_bytes()), preset)
        waiting += _imported(module, tree)
    state = hashlib.blake2b(digest_size=16)
    # The module itself comes first: its name is __main__ while it runs, and its own name later.
    for _, tree in sorted(seen.items(), key=lambda each: (each[0] != first.__name__, each[0])):
        state.update(ast.dump(tree).encode())
    return state.hexdigest()


def _imported(module: ModuleType, tree: ast.Module) -> Iterator[ModuleType]:
    """The modules of the same package that a module imports."""
    package = module.__package__ or ""
    root = package.partition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            names = [f"{base}", *(f"{base}.{each.name}" for each in node.names)]
        else:
            continue
        for name in names:
            if root and name.startswith(f"{root}.") and name in sys.modules:
                yield sys.modules[name]


def _what_computes(tree: ast.Module, preset: str) -> ast.Module:
    """A module without docstrings, figures and other presets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PRESETS" and isinstance(node.value, ast.Dict):
            entries = zip(node.value.keys, node.value.values, strict=True)
            chosen = [(key, value) for key, value in entries if not isinstance(key, ast.Constant) or key.value == preset]
            node.value = ast.Dict([key for key, _ in chosen], [value for _, value in chosen])
    tree.body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == "figures")]
    return tree
