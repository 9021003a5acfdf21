"""`python -m hullx.data prepare NAME [--data-dir DIR]`: download a TFDS set and prepare it for reading."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from hullx.errors import HullxError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line; the process's own if None."""
    parser = ArgumentParser(prog="python -m hullx.data")
    commands = parser.add_subparsers(dest="command", required=True)
    said = "prepare a TFDS data set once, in array_record format; needs pip install 'hullx[prepare]'"
    command = commands.add_parser("prepare", help=said, description=said)
    command.add_argument("name", help="TFDS name, such as mnist, cifar10, fashion_mnist")
    command.add_argument("--data-dir", help="target folder; by default $TFDS_DATA_DIR or ~/tensorflow_datasets")
    given = parser.parse_args(arguments)
    from hullx.data.sources.tfds import prepare

    try:
        print(prepare(given.name, given.data_dir))
    except HullxError as error:
        sys.exit(print(f"error: {error}", file=sys.stderr) or 2)


if __name__ == "__main__":
    main()
