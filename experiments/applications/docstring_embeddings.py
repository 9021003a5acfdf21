"""Embeddings of docstrings by wordllama, whose wheel contains its weights: texts and model that everybody has offline.

A text is the first paragraph of a docstring. Files are read, not imported. wordllama embeds a text as the mean of its tokens'
embeddings, 256 numbers that come from the token embeddings of large language models. Its licence is MIT.
"""

from __future__ import annotations

import ast
import importlib
import sysconfig
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from hullx.errors import DataError
from hullx.extras import require

# Installed with hullx[experiments].
OTHERS = "numpy", "scipy", "sklearn", "jax"
# Folders of tests, of optional programs and of other packages.
LEFT_OUT = {"test", "tests", "idlelib", "site-packages", "dist-packages"}
# Words of a text; shorter docstrings are labels.
FEWEST = 5

DOCUMENTED = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef

Texts = Mapping[str, Sequence[str]]


class Parts(NamedTuple):
    """Texts to train on, and two sets of test texts, each with at most one text from a file.

    - train: texts of the standard library, without some of its files.
    - held_out: texts of these files.
    - other: texts of other packages.
    """

    train: list[str]
    held_out: list[str]
    other: list[str]


def docstrings(folder: Path) -> dict[str, list[str]]:
    """The texts of a folder's Python files by file, in a fixed order; files that cannot be parsed have none."""
    found = dict[str, list[str]]()
    for file in sorted(folder.rglob("*.py")):
        name = file.relative_to(folder)
        if not LEFT_OUT.isdisjoint(name.parts):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):  # of escapes in other people's strings
                tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):
            continue
        docs = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, DOCUMENTED)]
        texts = [" ".join(doc.split("\n\n")[0].split()) for doc in docs]
        if texts := [text for text in texts if len(text.split()) >= FEWEST]:
            found[name.as_posix()] = texts
    return found


def standard_library() -> dict[str, list[str]]:
    """The texts of Python's standard library by file."""
    return docstrings(Path(sysconfig.get_path("stdlib")))


def other_packages() -> dict[str, list[str]]:
    """The texts of `OTHERS` by file, those that are installed."""
    found = dict[str, list[str]]()
    for package in OTHERS:
        if (spec := find_spec(package)) is not None and spec.origin is not None:
            found |= {f"{package}/{name}": texts for name, texts in docstrings(Path(spec.origin).parent).items()}
    return found


def divide(rng: np.random.Generator, library: Texts, others: Texts, count: int) -> Parts:
    """Training texts, and `count` test texts of each kind: no two of one file, and none that is a training text.

    Raises:
        DataError: there are not enough files.
    """
    for name, texts in (("the standard library", library), (", ".join(OTHERS), others)):
        if len(texts) < 2 * count:
            raise DataError(f"{name}: got {len(texts)} files with docstrings, expected {2 * count}: lower --queries")
    names = list(library)
    held = [names[i] for i in np.sort(rng.choice(len(names), count, replace=False))]
    # A dictionary keeps the order, and each text once.
    train = list(dict.fromkeys(text for name in names if name not in set(held) for text in library[name]))
    known, drawn = set(train), list[list[str]]()
    for texts in ([library[name] for name in held], list(others.values())):
        new = [list(dict.fromkeys(text for text in each if text not in known)) for each in texts]
        one = list(dict.fromkeys(each[rng.integers(len(each))] for each in new if each))
        if len(one) < count:
            raise DataError(f"docstrings: got {len(one)} files with new texts, expected {count}: lower --queries")
        drawn.append([one[i] for i in rng.permutation(len(one))[:count]])
    return Parts(train, *drawn)


def embed(texts: Sequence[str]) -> Float[np.ndarray, "n 256"]:
    """The embeddings of texts by wordllama, without any download; not normalised.

    Raises:
        PackageError: wordllama is not installed.
        DataError: its wheel lacks the weights or the tokenizer.
    """
    require("--docstrings", "wordllama")
    wordllama: Any = importlib.import_module("wordllama")
    # wordllama 0.4 looks for its tokenizer in another folder than its wheel has, and finds it as a cached file.
    folder = Path(wordllama.__file__).parent
    try:
        model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    except FileNotFoundError as error:
        raise DataError(f"wordllama lacks its weights ({error}): reinstall, pip install 'hullx[embeddings]'") from error
    return np.asarray(model.embed(list(texts)), np.float32)
