"""Images with their labels, in two splits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Num


class Split(NamedTuple):
    """Images with their labels.

    - images: (n, height, width, channels), float32 in [0, 1] or uint8 in 0–255, as they were loaded.
    - labels: whole numbers from 0 on, one an image.
    """

    images: Num[np.ndarray, "n h w c"]
    labels: Int[np.ndarray, "n"]

    @property
    def rows(self) -> Num[np.ndarray, "n d"]:
        """Each image as one row of d = height · width · channels numbers: what hulls are made of.

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
    """Two splits and what they are called.

    - title: the name to print, which says where the pixels are not the original's.
    - train, test: the two splits, of images of one shape.
    - classes: the labels' names, in order.
    """

    title: str
    train: Split
    test: Split
    classes: tuple[str, ...]
