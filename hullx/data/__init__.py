"""Data sets as NumPy arrays: images NHWC, float32 in [0, 1] (or uint8 in 0–255 on request), integer labels.

    load("digits")          scikit-learn's 1,797 handwritten digits, 8 × 8, embedded: no download
    load("mnist")           any TFDS image-classification set that has been prepared; no TensorFlow needed to read it
    load("npz:PATH")        a file with x_train, y_train, x_test, y_test

`python -m hullx.data prepare mnist` downloads and prepares a TFDS set once; it needs `pip install 'hullx[prepare]'`.
"""

from hullx.data.dataset import DataError, Dataset, Split, load
from hullx.data.synthetic import gaussian_like

__all__ = ["DataError", "Dataset", "Split", "gaussian_like", "load"]
