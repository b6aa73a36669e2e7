"""linearize: the value of a function, and its derivative as a linear function of the tangents, from one run of the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

import numpy as np

from refgrad.arguments import (
    alike,
    fitting,
    function,
    leaves_of,
    names_of,
    opened_arguments,
    outline,
    outputs_of,
)
from refgrad.arrays import Tree
from refgrad.auxiliary import split
from refgrad.custom.transpose import transpose
from refgrad.errors import ArgumentError
from refgrad.op import shape_of
from refgrad.quiet import quiet
from refgrad.tracing.copies import as_results, live, snapshot
from refgrad.transforms import Function, vjp_named

Pushforward = Callable[..., Tree]

_ADVICE = (
    "The derivative of f exists, and its pullback is recorded in steps that have no transpose. Call jvp for each tangent: it runs f again. "
    "Where a custom_vjp rule applies that function, apply it to the residuals alone."
)


@overload
def linearize(f: Function, *primals: Tree, has_aux: Literal[False] = False) -> tuple[Tree, Pushforward]: ...
@overload
def linearize(f: Function, *primals: Tree, has_aux: Literal[True]) -> tuple[Tree, Pushforward, Any]: ...
def linearize(f: Function, *primals: Tree, has_aux: bool = False) -> Any:
    """The value y of f at ``primals``, and the pushforward x_dot -> J x_dot, where J is the Jacobian there.

    The pushforward takes one tangent for each primal, of its structure and shape, and returns a tangent of the structure, shapes and dtypes
    of y. It may be called any number of times and does not run f again: f is recorded, its pullback is applied once, and the pushforward is
    the transpose of the pullback. Arguments and results may be complex, as those of jvp. With ``has_aux`` f returns a pair (value, aux),
    and the result is (y, pushforward, aux).

    A few functions have a pullback that is recorded as something else than linear operations: np.cumprod, np.multiply.accumulate and
    rg.linalg.matrix_exp. Here linearize raises ArgumentError. jvp differentiates them.

    At points without an ordinary derivative (np.abs at zero, ties) the result is that of reverse mode. Errors are those of vjp, and
    ArgumentError for tangents that do not fit.

    Example::

        y, pushforward = rg.linearize(np.sin, x)
        y_dot = pushforward(x_dot)    # np.cos(x) * x_dot

    Source: Radul, Paszke, Frostig, Johnson and Maclaurin, "You only linearize once: tangents transpose to gradients", POPL 2023.
    """
    function(f, "linearize")
    first, aux = split(f, "linearize") if has_aux else (f, [])
    names = names_of(primals)
    y, pullback = vjp_named(first, primals, names, "linearize")
    outputs, rebuild = outputs_of(y, "linearize: what f returned")
    active = [v.dtype.kind in "fc" for v in outputs]
    like = [np.zeros(shape_of(x), x.dtype) for x in leaves_of(primals, names, "linearize")[0]]
    zeros = [np.zeros(shape_of(v), v.dtype) for v in outputs]

    def back(y_bars: list[Any]) -> list[Any]:
        given = iter(y_bars)
        bars = pullback(
            rebuild([next(given) if is_active else z for is_active, z in zip(active, zeros, strict=True)])
        )
        return opened_arguments(bars)[0]

    with quiet():
        push = transpose(
            back,
            [z for z, is_active in zip(zeros, active, strict=True) if is_active],
            "linearize: the pullback of f",
            _ADVICE,
        )
    structure = tuple(snapshot(list(primals)))

    def pushforward(*tangents: Tree) -> Tree:
        given = alike(structure, tangents)
        if given is None:
            raise ArgumentError(
                f"linearize: tangents have the structure {outline(tangents)}, primals have {outline(structure)}"
            )
        x_dots = [
            fitting(live(t), x, f"linearize: the tangent of {name}")
            for t, x, name in zip(given, like, names, strict=True)
        ]
        with quiet():
            found = iter(as_results(push(x_dots)))
        return rebuild(
            [next(found) if is_active else z.copy() for is_active, z in zip(active, zeros, strict=True)]
        )

    return (y, pushforward, *aux)


__all__ = ["linearize"]
