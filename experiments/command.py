"""The command line that all experiments share.

python -m experiments.<name> [preset] [--field value …] [--out DIR] [--tensorboard]
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import tyro

from hullx.errors import HullxError
from hullx.runs import folder as record


def main(
    module: str,
    doc: str | None,
    presets: Mapping[str, Any],
    run: Callable[[Any, record.Run], None],
    given: Sequence[str] | None = None,
) -> None:
    """Parses the command line, runs the experiment in a new run folder and prints the folder's path.

    Args:
        module: the experiment's `__spec__.name`.
        doc: its docstring, shown by --help.
        presets: configurations by name, all of one dataclass; the first is the default.
        run: the experiment.
        given: the arguments; those of the process if not given.
    """
    arguments = list(sys.argv[1:] if given is None else given)
    preset = arguments.pop(0) if arguments and not arguments[0].startswith("-") else next(iter(presets))
    if preset not in presets:
        stop(f"unknown preset {preset!r}: choose one of {', '.join(presets)}")
    out, arguments = _out(arguments)
    board = "--tensorboard" in arguments
    arguments = [argument for argument in arguments if argument != "--tensorboard"]
    base = presets[preset]
    config, unknown = tyro.cli(
        type(base),
        prog=f"python -m {module} [{'|'.join(presets)}] [--out DIR] [--tensorboard]",
        description=f"{doc}\n\n--out DIR: where run folders go (default: runs). --tensorboard: metrics for TensorBoard too. "
        f"Defaults below are those of preset {preset}.",
        args=arguments,
        default=base,
        return_unknown_args=True,
    )
    if unknown:
        fields = ", ".join("--" + field.name.replace("_", "-") for field in dataclasses.fields(base))
        stop(f"unknown argument {unknown[0]!r}: the flags are {fields}, --out, --tensorboard")
    try:
        folder = record.start(module, preset, config, out, tensorboard=board)
    except HullxError as error:
        stop(str(error))
    try:
        run(config, folder)
    except HullxError as error:
        stop(str(error))
    except KeyboardInterrupt:
        print(f"\ninterrupted; what was finished is in\n{folder.folder}", file=sys.stderr)
        sys.exit(130)
    print(folder.folder)


def known(flag: str, given: Collection[str], names: Collection[str]) -> None:
    """Ends the program if a flag was given a name that there is not."""
    unknown = [name for name in given if name not in names]
    if unknown:
        stop(f"{flag}: {unknown[0]!r} is unknown: choose among {', '.join(names)}")


def stop(message: str) -> NoReturn:
    """Ends the program with one line on standard error and exit status 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _out(arguments: list[str]) -> tuple[Path, list[str]]:
    """The value of --out, and the arguments without it."""
    for i, argument in enumerate(arguments):
        if argument.startswith("--out="):
            return Path(argument.removeprefix("--out=")), arguments[:i] + arguments[i + 1 :]
        if argument == "--out":
            if i + 1 == len(arguments):
                stop("--out needs a folder: --out DIR")
            return Path(arguments[i + 1]), arguments[:i] + arguments[i + 2 :]
    return Path("runs"), arguments
