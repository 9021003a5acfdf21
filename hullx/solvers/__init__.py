"""Solvers, by name or as objects, built in or your own: `project(q, X, solver=ActiveSet(capacity=256))`."""

from hullx.core.pool.problem import PoolProblem
from hullx.core.stages import Setup
from hullx.errors import ArgumentError, ArgumentTypeError
from hullx.solvers.active_set import ActiveSet
from hullx.solvers.base import Solver
from hullx.solvers.frank_wolfe import FrankWolfe
from hullx.solvers.projected_gradient import ProjectedGradient
from hullx.solvers.sketching import Sketching

BY_NAME: dict[str, Solver] = {
    "active_set": ActiveSet(),
    "frank_wolfe": FrankWolfe(),
    "projected_gradient": ProjectedGradient(),
    "sketching": Sketching(),
}


def resolve(solver: str | Solver) -> Solver:
    """The solver with the given name, or the given object.

    Args:
        solver: a key of `BY_NAME`, or a hashable object that implements `Solver`.

    Raises:
        ArgumentError: no solver has that name.
        ArgumentTypeError: the value is neither a name nor a solver, a class instead of an object, or not hashable.

    Example:
        >>> resolve("active_set")
        ActiveSet(capacity=None, last_resort=None)
    """
    choice = f"expected one of {sorted(BY_NAME)} or a solver object such as ActiveSet()"
    if isinstance(solver, str):
        if solver not in BY_NAME:
            raise ArgumentError(f"solver: got {solver!r}, {choice}: choose one of these")
        return BY_NAME[solver]
    if isinstance(solver, type):
        raise ArgumentTypeError(f"solver: got the class {solver.__name__}, {choice}: make an object of it, {solver.__name__}()")
    if not callable(getattr(solver, "solve", None)):
        raise ArgumentTypeError(f"solver: got {type(solver).__name__}, {choice}: choose one of these")
    try:
        hash(solver)
    except TypeError:
        name = type(solver).__name__
        raise ArgumentTypeError(f"solver: got {name}, which has no hash, {choice}: make {name} a frozen dataclass") from None
    return solver


def setup(solver: Solver) -> Setup:
    """A solver's settings for the drivers.

    Example:
        >>> setup(ActiveSet(last_resort=True))
        Setup(capacity=None, own=None, extended=True)
    """
    if isinstance(solver, ActiveSet):
        return Setup(solver.capacity, None, solver.last_resort)
    return Setup(solver.capacity, solver)


__all__ = [
    "BY_NAME",
    "ActiveSet",
    "FrankWolfe",
    "PoolProblem",
    "ProjectedGradient",
    "Sketching",
    "Solver",
    "resolve",
    "setup",
]
