"""Images with their labels, in two splits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Num


class Split(NamedTuple):
    """images (n, height, width, channels) and labels (n,)."""

    images: Num[np.ndarray, "n h w c"]
    labels: Int[np.ndarray, "n"]

    @property
    def rows(self) -> Num[np.ndarray, "n d"]:
        """Each image as one row of d = height · width · channels numbers."""
        return self.images.reshape(len(self.images), -1)

    def take(self, chosen: Int[np.ndarray, "k"]) -> Split:
        """The examples at the given positions."""
        return Split(self.images[chosen], self.labels[chosen])


class Dataset(NamedTuple):
    """title: the name to print, which says where the pixels are not the original's."""

    title: str
    train: Split
    test: Split
    classes: tuple[str, ...]
