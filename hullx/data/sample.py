"""A notation for data sets and their sizes, for command lines and configurations."""

from __future__ import annotations

import re
from pathlib import Path

from hullx.data.dataset import Dataset
from hullx.data.loading import load

_NOTATION = re.compile(r"(?P<name>.+?)(?::(?P<train>\d+))?(?::(?P<test>\d+))?", re.DOTALL)


class Sample(str):
    """A data set's name, optionally with the numbers of training and test images to draw.

        digits             all images
        mnist:5000         5,000 training images, all test images
        mnist:5000:1000    5,000 training images, 1,000 test images
        npz:PATH           a file; the path may contain colons, as only trailing digits are sizes

    Example:
        >>> Sample("mnist:5000").train_size
        5000
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name for `hullx.data.load`."""
        return self._parts["name"] or ""

    @property
    def train_size(self) -> int | None:
        """Training images; None for all."""
        return None if (size := self._parts["train"]) is None else int(size)

    @property
    def test_size(self) -> int | None:
        """Test images; None for all."""
        return None if (size := self._parts["test"]) is None else int(size)

    def load(self, *, seed: int = 0, data_dir: str | Path | None = None) -> Dataset:
        """The data set, with the sizes in its title: "MNIST, 5,000 training and 1,000 test images".

        Args:
            seed: seed of the draw, if sizes are given.
            data_dir: as for `hullx.data.load`.

        Raises:
            DataError: as `hullx.data.load`.
        """
        data = load(self.name, train_size=self.train_size, test_size=self.test_size, seed=seed, data_dir=data_dir)
        return data._replace(title=data.title + self._sizes)

    @property
    def _sizes(self) -> str:
        train, test = self.train_size, self.test_size
        if train is None:
            return ""
        return f", {train:,} training images" if test is None else f", {train:,} training and {test:,} test images"

    @property
    def _parts(self) -> dict[str, str | None]:
        found = _NOTATION.fullmatch(self)
        return found.groupdict() if found else {"name": str(self), "train": None, "test": None}
