"""Runs of a function in forward mode: along one direction after another, or along many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from refgrad.arguments import called, outputs_of, result
from refgrad.arrays import Array
from refgrad.errors import TracingError
from refgrad.op import Traced
from refgrad.tracing import many_tangents
from refgrad.tracing.copies import Copies, as_results, live, same
from refgrad.tracing.forward import Dual, running
from refgrad.tracing.many_tangents import Many, Singly

Function = Callable[..., Any]


def jvps_of(
    f: Function,
    leaves: list[Array],
    rebuild: Callable[[list[Any]], Any],
    names: Sequence[str],
    directions: Iterable[list[Array]],
    who: str,
) -> Iterator[tuple[list[Array], list[Array], Any]]:
    """Leaves of the value of f, of its derivative along each of ``directions``, and what puts them into a structure.

    ``rebuild`` makes the arguments of f from leaves. A direction is a list of tangents, of the shapes and dtypes of ``leaves``, to which
    nobody else may write. f runs once for each.
    """
    copies = Copies()
    own = [copies.borrowed(live(x)) for x in leaves]
    for x_dots in directions:
        yield _pushed(f, leaves, own, rebuild, names, x_dots, Dual, (), who)


def many_jvps(
    f: Function,
    leaves: list[Array],
    rebuild: Callable[[list[Any]], Any],
    names: Sequence[str],
    directions: list[Array],
    most: int,
    who: str,
) -> tuple[list[Array], list[Array], Any] | None:
    """As jvps_of, along many directions by one run of f: tangents in ``directions`` and in the result have them along a leading axis.

    The result is None where f has to be run for one direction at a time: a rule of the user's is met, or tangents of ``most`` numbers.
    """
    copies = Copies()
    own = [copies.borrowed(live(x)) for x in leaves]
    many = Many(len(directions[0]), most)
    try:
        found = _pushed(f, leaves, own, rebuild, names, directions, many_tangents.Dual, (many,), who)
    except Singly:
        return None
    return None if many.singly else found


def _pushed(
    f: Function,
    leaves: list[Array],
    own: list[tuple[Array, Any]],
    rebuild: Callable[[list[Any]], Any],
    names: Sequence[str],
    x_dots: list[Array],
    dual: type[Dual],
    many: tuple[Any, ...],
    who: str,
) -> tuple[list[Array], list[Array], Any]:
    with running() as level:
        duals = [dual(x, x_dot, level, *many) for (x, _), x_dot in zip(own, x_dots, strict=True)]
        y = called(f, rebuild(duals))
    refuse_written(leaves, [seal for _, seal in own], names, who)
    outputs, rebuild_result = outputs_of(y, f"{who}: what f returned")
    mine = [isinstance(y, Dual) and y._level == level for y in outputs]
    values = [lowered(y, m, level, who) for y, m in zip(outputs, mine, strict=True)]
    tangents = as_results([y._tangent if m else None for y, m in zip(outputs, mine, strict=True)], holders=1)
    del duals, outputs, y
    along = tuple([m.count for m in many])
    y_dots = [
        (np.zeros((*along, *np.shape(value)), zeros(value).dtype) if along else zeros(value))
        if t is None
        else t
        for t, value in zip(tangents, values, strict=True)
    ]
    return values, y_dots, rebuild_result


def lowered(y: Any, mine: bool, level: int, who: str) -> Array:
    """A leaf of what f returned, on the level below: an array of its own.

    ``mine`` says whether the transformation of ``level`` traced it. An array of an outer transformation is a constant here.

    Raises TracingError for an array of any other transformation.
    """
    if isinstance(y, Traced) and not mine and live(y)._level >= level:
        raise TracingError(
            f"{who}: f returned an array that another transformation traces. Its derivative belongs there: return what that one returns."
        )
    return as_results([result(y._value if mine else y, f"{who}: what f returned")], holders=int(mine))[0]


def refuse_written(leaves: list[Array], seals: list[Any], names: Sequence[str], who: str) -> None:
    """Raises TracingError where f changed the memory of its argument by another name than the argument's."""
    for x, seal, name in zip(leaves, seals, names, strict=True):
        if not same(x, seal):
            raise TracingError(
                f"{who}: {name} was changed while f ran, through another name of the same array. In NumPy f sees such a change, as a "
                f"derivative it would be lost. Write to a copy, or pass a copy to {who}."
            )


def zeros(x: Array) -> Array:
    """Zeros of the shape and dtype of x."""
    return np.zeros(x.shape, x.dtype)
