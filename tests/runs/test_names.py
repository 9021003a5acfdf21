"""Generators and file names from descriptive names."""

from __future__ import annotations

from hullx import runs
from hullx.runs.names import slug


def test_generators_know_their_purpose() -> None:
    assert runs.generator(0, "a").integers(1 << 60) == runs.generator(0, "a").integers(1 << 60)
    drawn = {
        runs.generator(seed, *names).integers(1 << 60)
        for seed, names in ((0, ["a"]), (1, ["a"]), (0, ["b"]), (0, ["a", "b"]), (0, ["ab"]))
    }
    assert len(drawn) == 5
    assert slug("cifar10 (JPEG copy) test") == "cifar10-jpeg-copy-test"
