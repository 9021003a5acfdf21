"""Data sets as NumPy arrays: images NHWC, float32 in [0, 1] (or uint8 in 0–255 on request), integer labels.

    load("digits")          scikit-learn's 1,797 handwritten digits, 8 × 8, embedded: no download
    load("mnist")           any prepared TFDS image-classification set; reading needs no TensorFlow
    load("npz:PATH")        a file with x_train, y_train, x_test, y_test
    Sample("mnist:5000")    a name with sizes, for command lines; `.load()` draws 5,000 training images

`python -m hullx.data prepare mnist` downloads and prepares a TFDS set once; it needs `pip install 'hullx[prepare]'`.
"""

from hullx.data.augmentation import CropFlip
from hullx.data.corruptions import CONDITIONS, corrupted
from hullx.data.dataset import Dataset, Split
from hullx.data.loading import load
from hullx.data.preprocessing import centre_crop, standardised, whitened
from hullx.data.sample import Sample
from hullx.data.synthetic import gaussian_like
from hullx.errors import DataError

__all__ = [
    "CONDITIONS",
    "CropFlip",
    "DataError",
    "Dataset",
    "Sample",
    "Split",
    "centre_crop",
    "corrupted",
    "gaussian_like",
    "load",
    "standardised",
    "whitened",
]
