"""An experiment's command line, `python -m experiments.<name> [preset] [--field value …]`, and settings from JSON."""

from __future__ import annotations

import dataclasses
import io
import sys
import types
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stderr
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from hullx.errors import ArgumentError
from hullx.extras import require

C = TypeVar("C")


def parse(module: str, doc: str | None, presets: Mapping[str, C], arguments: Sequence[str]) -> tuple[str, C]:
    """The preset's name and the settings given by a command line.

    Args:
        module: the experiment's module, shown in the usage line.
        doc: its docstring, shown by --help before the fields.
        presets: settings by name, all of one dataclass; the first is the default.

    Raises:
        ArgumentError: the command line is invalid.
        SystemExit: --help was given and shown.
        PackageError: tyro is not installed.
    """
    require(module, "tyro")
    import tyro  # imported here, because tyro takes 0.3 s to import

    arguments = list(arguments)
    preset = arguments.pop(0) if arguments and not arguments[0].startswith("-") else next(iter(presets))
    if preset not in presets:
        raise ArgumentError(f"unknown preset {preset!r}: choose one of {', '.join(presets)}")
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            config, unknown = tyro.cli(
                type(presets[preset]),
                prog=f"python -m {module} [{'|'.join(presets)}]",
                description=f"{doc}\n\nThe defaults below are those of the preset {preset}.",
                args=arguments,
                default=presets[preset],
                registry=_registry(tyro.constructors),
                return_unknown_args=True,
            )
    except SystemExit as ended:
        if ended.code:
            raise ArgumentError(f"{_sentence(said.getvalue())}: see --help") from None
        raise
    if unknown:
        fields = ", ".join("--" + field.name.replace("_", "-") for field in dataclasses.fields(type(presets[preset])))  # pyright: ignore
        raise ArgumentError(f"unknown argument {unknown[0]!r}: the flags are {fields}")
    return preset, config


def stop(message: str) -> NoReturn:
    """Exit with one line on standard error and status 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def known(flag: str, given: Collection[str], names: Collection[str]) -> None:
    """Check that the names given on the command line exist.

    Raises:
        ArgumentError: a name is unknown.
    """
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ArgumentError(f"{flag}: {unknown[0]!r} is unknown: choose among {', '.join(names)}")


def restored(kind: type[C], settings: Mapping[str, Any]) -> C:
    """Settings of a dataclass, from their JSON values.

    Raises:
        ArgumentError: the settings belong to another version of the experiment.
    """
    hints = get_type_hints(kind)
    if hints.keys() != settings.keys():
        different = ", ".join(sorted(hints.keys() ^ settings.keys()))
        raise ArgumentError(f"the settings belong to another version of the experiment ({different} differ): start a new run")
    return kind(**{name: _restored(hints[name], value) for name, value in settings.items()})


def _restored(hint: Any, value: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in arguments if kind is not type(None)]
        return None if value is None else _restored(kinds[0], value) if len(kinds) == 1 else value
    if origin is tuple:
        each = arguments[0] if arguments[-1] is Ellipsis else None
        return tuple(_restored(each or arguments[i], item) for i, item in enumerate(value))
    return hint(value) if isinstance(hint, type) and issubclass(hint, str | Path | float) else value


def _registry(constructors: Any) -> Any:
    """A tyro registry for subclasses of str, such as `hullx.data.Sample`."""
    registry = constructors.ConstructorRegistry()

    @registry.primitive_rule
    def rule(info: Any) -> Any:
        kind = info.type
        if not (isinstance(kind, type) and issubclass(kind, str) and kind is not str):
            return None
        return constructors.PrimitiveConstructorSpec(
            nargs=1,
            metavar=kind.__name__.upper(),
            instance_from_str=lambda words: kind(words[0]),
            is_instance=lambda value: isinstance(value, kind),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def _sentence(box: str) -> str:
    """The text of a tyro box between its title and the next rule."""
    lines = [line.strip("│| ") for line in box.splitlines()[1:]]
    said = takewhile(_words, dropwhile(lambda line: not _words(line), lines))
    return " ".join(said).rstrip(".")


def _words(line: str) -> bool:
    return bool(line.strip("─╭╮╰╯-+ "))
