"""Solvers, chosen by name or passed as configured objects: `project(q, X, solver=ActiveSet(capacity=256))`."""

from hullx.solvers.active_set import ActiveSet
from hullx.solvers.base import Answer, Frame, Solver, State, frame
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
    """The solver of that name, or the object itself.

    Raises:
        ValueError: no solver has that name.
        TypeError: neither a name nor a solver.
    """
    if isinstance(solver, str):
        if solver not in BY_NAME:
            raise ValueError(
                f"solver: got {solver!r}, expected one of {sorted(BY_NAME)} or a solver object such as ActiveSet()"
            )
        return BY_NAME[solver]
    if not callable(getattr(solver, "run", None)):
        raise TypeError(f"solver: got {type(solver).__name__}, expected one of {sorted(BY_NAME)} or a solver object")
    return solver


__all__ = [
    "BY_NAME",
    "ActiveSet",
    "Answer",
    "Frame",
    "FrankWolfe",
    "ProjectedGradient",
    "Sketching",
    "Solver",
    "State",
    "frame",
    "resolve",
]
