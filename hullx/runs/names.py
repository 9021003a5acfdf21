"""File names and random generators from descriptive names."""

from __future__ import annotations

import hashlib
import re

import numpy as np


def slug(name: str) -> str:
    """The name as a file name: lower case, words joined by hyphens.

    Example:
        >>> slug("cifar10 (JPEG copy) test")
        'cifar10-jpeg-copy-test'
    """
    return "-".join(re.findall(r"\w+", name.lower()))


def generator(seed: int, *names: str) -> np.random.Generator:
    """A random generator for one purpose; its numbers do not depend on earlier draws elsewhere.

    Example:
        >>> bool(generator(0, "labels", "random").integers(10) == generator(0, "labels", "random").integers(10))
        True
    """
    purpose = hashlib.blake2b("\0".join(names).encode(), digest_size=16).digest()
    return np.random.default_rng([seed, *np.frombuffer(purpose, np.uint32).tolist()])
