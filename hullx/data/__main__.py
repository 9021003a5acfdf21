"""`python -m hullx.data prepare NAME [--data-dir DIR]`: downloads a TFDS set and prepares it for reading."""

from __future__ import annotations

import sys
from typing import Literal

import tyro

from hullx.errors import HullxError


def main(command: Literal["prepare"], name: str, /, data_dir: str | None = None) -> None:
    """Prepare a TFDS data set once, in array_record format; needs pip install 'hullx[prepare]'.

    Args:
        command: prepare.
        name: TFDS name, such as mnist, cifar10, fashion_mnist.
        data_dir: where to put it; $TFDS_DATA_DIR or ~/tensorflow_datasets if not given.
    """
    from hullx.data.sources.tfds import prepare

    try:
        print(prepare(name, data_dir))
    except HullxError as error:
        sys.exit(print(f"error: {error}", file=sys.stderr) or 2)


if __name__ == "__main__":
    tyro.cli(main)
