"""Images with their labels, in two splits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Num


class Split(NamedTuple):
    """Images with their labels.

    - images: (n, height, width, channels), float32 in [0, 1] or uint8 in 0–255, as loaded; or rows of a table (n, d).
    - labels: non-negative integers, one per image.
    """

    images: Num[np.ndarray, "n ..."]
    labels: Int[np.ndarray, "n"]

    @property
    def rows(self) -> Num[np.ndarray, "n d"]:
        """Each image as one row of d = height · width · channels numbers, for hulls.

        Example:
            >>> hullx.data.load("digits").train.rows.shape
            (1437, 64)
        """
        return self.images.reshape(len(self.images), -1)

    def take(self, chosen: Int[np.ndarray, "k"]) -> Split:
        """The examples at the given positions, in that order.

        Example:
            >>> train = hullx.data.load("digits").train
            >>> sevens = train.take(np.flatnonzero(train.labels == 7))
            >>> sevens.images.shape, np.unique(sevens.labels)
            ((143, 8, 8, 1), array([7], dtype=int32))
        """
        return Split(self.images[chosen], self.labels[chosen])


class Dataset(NamedTuple):
    """A training and a test split, with names.

    - title: the printed name, which says if the pixels differ from the original.
    - train, test: the splits, with images of one shape.
    - classes: names of the labels, in order.
    """

    title: str
    train: Split
    test: Split
    classes: tuple[str, ...]
