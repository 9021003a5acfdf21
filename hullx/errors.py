"""hullx's errors, with the base class `HullxError`. They report user errors, not bugs.

A message is one sentence: what came, what is expected, what to do.
"""

from __future__ import annotations


class HullxError(Exception):
    """The base class of hullx's errors; the command line prints the message as one line.

    Example:
        >>> hullx.project(jnp.zeros(3), square)
        Traceback (most recent call last):
        hullx.errors.ArgumentError: queries: got shape (3,), expected (..., 2) to match points of shape (4, 2): flatten queries
        and points in the same way
    """


class ArgumentError(HullxError, ValueError):
    """An argument with an invalid value; the message names it."""


class ArgumentTypeError(HullxError, TypeError):
    """An argument of a wrong type or dtype; the message names it."""


class DataError(HullxError, ValueError):
    """A data set that cannot be loaded as requested."""


class ResumeError(HullxError, ValueError):
    """A folder of results that belongs to another call or process, or cannot be identified."""


class CheckpointError(HullxError, ValueError):
    """An unusable checkpoint."""


class DivergedError(HullxError, ArithmeticError):
    """A training loss that is not finite; the message names the step."""


class StorageError(HullxError, OSError):
    """A file that could not be written, for example on a full disk; earlier results are kept."""


class PackageError(HullxError, ModuleNotFoundError):
    """An optional package that is not installed; the message says how to install it, and `name` names it."""
