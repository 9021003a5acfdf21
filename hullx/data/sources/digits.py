"""scikit-learn's 1,797 embedded handwritten digits, 8 × 8."""

from __future__ import annotations

from typing import Any

import numpy as np

from hullx.data.dataset import Dataset, Split
from hullx.extras import require

# The seed of the split, and the share of test images.
SEED, TEST_SHARE = 0, 0.2


def read() -> Dataset:
    """1,437 training and 360 test images by a fixed stratified split, float32 in [0, 1].

    Raises:
        PackageError: scikit-learn is not installed.

    Example:
        >>> read().train.images.shape
        (1437, 8, 8, 1)
    """
    require("data set 'digits'", "sklearn")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits: Any = load_digits()
    labels = np.asarray(digits.target, np.int32)
    # Intensities are integers from 0 to 16.
    images = (np.asarray(digits.images, np.float32) / 16)[..., None]
    train, test = train_test_split(np.arange(len(labels)), test_size=TEST_SHARE, stratify=labels, random_state=SEED)
    whole = Split(images, labels)
    return Dataset("digits", whole.take(np.sort(train)), whole.take(np.sort(test)), tuple("0123456789"))
