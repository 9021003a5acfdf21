"""What hullx raises, all under one class: whoever catches `HullxError` catches sentences for a user, and no fault of the code.

A message is one sentence: what came, what is expected, what to do.
"""

from __future__ import annotations


class HullxError(Exception):
    """The base of hullx's own errors; the command line prints its message as one line.

    Example:
        >>> hullx.project(jnp.zeros(3), square)
        Traceback (most recent call last):
        hullx.errors.ArgumentError: queries: got shape (3,), expected (..., 2) to match points of shape (4, 2): flatten queries
        and points in the same way
    """


class ArgumentError(HullxError, ValueError):
    """An argument of the right type with a value that cannot be used; the message names it."""


class ArgumentTypeError(HullxError, TypeError):
    """An argument of a wrong type or dtype; the message names it."""


class DataError(HullxError, ValueError):
    """A data set that cannot be had as asked for."""


class ResumeError(HullxError, ValueError):
    """A folder of finished work that belongs to another call, to another process, or to nobody that can be told."""


class CheckpointError(HullxError, ValueError):
    """A checkpoint that cannot be used."""


class DivergedError(HullxError, ArithmeticError):
    """A training loss that is no longer finite; the message names the step."""


class StorageError(HullxError, OSError):
    """A file that could not be written, say on a full disk; what was finished before is still there."""


class PackageError(HullxError, ModuleNotFoundError):
    """An optional package that is not installed; the message says how to install it, and `name` is the package's."""
