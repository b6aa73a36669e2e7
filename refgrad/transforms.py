"""Derivatives of ordinary NumPy functions: grad, value_and_grad, jvp and vjp. Whole Jacobians and Hessians: jacobians.py.

Arguments and results may be nested containers of arrays (see tree.py). Signatures follow jax and torch.func. Any nesting of these
functions gives derivatives of higher order: each takes a level above the ones it runs in (Pearlmutter and Siskind, "Reverse-mode AD in
a functional framework", TOPLAS 30 (2008), on why levels are needed).

Complex numbers: a gradient or cotangent of z = a + i b is dL/da + i dL/db, as in torch (see tracing/complex_operands.py).

All of them raise ArgumentError for an f that is no function and for arguments that do not fit (structure, shape, argnums), DtypeError for
an argument to be differentiated that holds no floating-point numbers, NoRuleError where f calls a NumPy function without a rule, and
TracingError where f does something that would lose a derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import numpy as np

from refgrad import functions as _functions  # noqa: F401 - traced arrays know NumPy functions from it
from refgrad.arguments import (
    Argnums,
    alike,
    argnums_of,
    called,
    chosen,
    fitting,
    function,
    leaves_of,
    names_of,
    outline,
    outputs_of,
    placed,
)
from refgrad.arrays import Array, Tree
from refgrad.auxiliary import split
from refgrad.containers import wordy
from refgrad.errors import ArgumentError, DtypeError
from refgrad.op import Traced, new_level
from refgrad.pushforward import jvps_of, lowered, refuse_written, zeros
from refgrad.quiet import quietly
from refgrad.tracing import complex_ball, fast_path  # noqa: F401 - Balls find the one, and Var has its operators from the other
from refgrad.tracing.copies import Copies, as_results, live
from refgrad.tracing.many_cotangents import many_pulled_back
from refgrad.tracing.pull_back import pull_back
from refgrad.tracing.reverse import Tape, Var
from refgrad.tree import is_leaf, leaves_as, same_structure

Function = Callable[..., Any]
Pullback = Callable[[Tree], tuple[Tree, ...]]


@overload
def vjp(f: Function, *primals: Tree, has_aux: Literal[False] = False) -> tuple[Tree, Pullback]: ...
@overload
def vjp(f: Function, *primals: Tree, has_aux: Literal[True]) -> tuple[Tree, Pullback, Any]: ...
def vjp(f: Function, *primals: Tree, has_aux: bool = False) -> Any:
    """The value of f at ``primals``, and the pullback y_bar -> J^T y_bar, where J is the Jacobian there. Reverse mode.

    The pullback takes a cotangent of the structure, shapes and dtypes of the value. It returns a tuple with one cotangent for each
    primal, of its structure, shapes and dtypes. It may be called any number of times.
    With ``has_aux`` f returns a pair (value, aux), and the result is (value, pullback, aux); aux has no derivative.

    Raises DtypeError for integer and boolean primals, ArgumentError for a cotangent that does not fit.

    Example::

        y, pullback = rg.vjp(lambda x, w: x @ w, x, w)    # x (3,), w (3, 2), y (2,)
        x_bar, w_bar = pullback(np.array([1.0, 0.5]))     # (3,), (3, 2)

    Source: Griewank and Walther, "Evaluating Derivatives", 2nd ed., ch. 3.2.
    """
    if not has_aux:
        return vjp_named(f, primals, names_of(primals), "vjp")
    function(f, "vjp")
    first, aux = split(f, "vjp")
    return (*vjp_named(first, primals, names_of(primals), "vjp"), *aux)


def vjp_named(f: Function, primals: Sequence[Tree], names: Sequence[str], who: str) -> tuple[Tree, Pullback]:
    """As vjp, for the transformation ``who``; messages call the leaves of the primals by ``names``."""
    return recorded_vjp(f, primals, names, who)[:2]


def recorded_vjp(
    f: Function, primals: Sequence[Tree], names: Sequence[str], who: str
) -> tuple[Tree, Pullback, Callable[[Array], list[Array] | None]]:
    """As vjp_named, and a pullback of many cotangents at once for an f that returns one plain array.

    It takes cotangents along a leading axis. It returns cotangents of the leaves of the primals with that axis; None where they have to be
    pulled back one at a time.
    """
    function(f, who)
    leaves, rebuild = leaves_of(primals, names, who)
    tape, places, y = _recorded(f, leaves, names, rebuild, who, lasting=True)
    outputs, rebuild_result = outputs_of(y, f"{who}: what f returned")
    seeded = [y._index if _mine(y, tape) else None for y in outputs]
    values = [lowered(y, _mine(y, tape), tape.level, who) for y in outputs]
    # What the pullback needs of arguments and results: the caller may change both in the meantime.
    values_like, xs_like = [_blank(v) for v in values], [_blank(x) for x in leaves]
    like = rebuild_result(values_like)
    traced = any(isinstance(x, Traced) for x in (*values, *leaves))

    def pullback(cotangent: Tree) -> tuple[Tree, ...]:
        if not same_structure(like, cotangent, kept=wordy):
            raise ArgumentError(
                f"vjp: the cotangent has the structure {outline(cotangent)}, the value of f has {outline(like)}"
            )
        seeds = []
        for place, value, y_bar in zip(
            seeded, values_like, leaves_as(cotangent, like, kept=wordy), strict=True
        ):
            y_bar = fitting(live(y_bar), value, "vjp: a cotangent")
            if place is not None:
                seeds.append((place, y_bar))
        bars = quietly(pull_back, tape, seeds, places)
        return tuple(rebuild(_cotangents(bars, xs_like)))

    def pull_back_many(y_bars: Array) -> list[Array] | None:
        if len(seeded) > 1 or seeded[0] is None or traced:
            return None
        bars = quietly(many_pulled_back, tape, seeded[0], y_bars, places)
        if bars is None:
            return None
        stacked = [np.broadcast_to(x, (len(y_bars), *x.shape)) for x in xs_like]
        return _cotangents(bars, stacked)

    return rebuild_result(values), pullback, pull_back_many


def _recorded(
    f: Function,
    leaves: list[Array],
    names: Sequence[str],
    arguments: Callable[[list[Any]], Any],
    who: str,
    kwargs: dict[str, Any] | None = None,
    lasting: bool = False,
) -> tuple[Tape, list[int], Any]:
    """f run on a new tape: the tape, which has ended, the places of the leaves, and what f returned.

    ``arguments`` makes positional arguments of f from variables for the leaves. ``lasting`` says whether the tape is used after the
    transformation has returned, when the caller may write to the leaves.
    """
    tape = Tape(new_level(), who)
    copies = tape.copies
    own = [(copies.new(live(x)),) * 2 if lasting else copies.borrowed(live(x)) for x in leaves]
    inputs = [tape.input(x) for x, _ in own]
    places = [x._index for x in inputs]
    try:
        y = called(f, arguments(inputs), kwargs)
    finally:
        tape.end()
    refuse_written(leaves, [seal for _, seal in own], names, who)
    return tape, places, y


@overload
def jvp(
    f: Function, primals: Sequence[Tree], tangents: Sequence[Tree], *, has_aux: Literal[False] = False
) -> tuple[Tree, Tree]: ...
@overload
def jvp(
    f: Function, primals: Sequence[Tree], tangents: Sequence[Tree], *, has_aux: Literal[True]
) -> tuple[Tree, Tree, Any]: ...
def jvp(f: Function, primals: Sequence[Tree], tangents: Sequence[Tree], *, has_aux: bool = False) -> Any:
    """The value y of f at ``primals``, and its derivative J x_dot along ``tangents``. Forward mode.

    ``primals`` and ``tangents`` are tuples, with one entry for each argument of f. A tangent has the structure and shape of its primal.
    Both results have the structure, shapes and dtypes of the value.
    With ``has_aux`` f returns a pair (value, aux), and the result is (y, J x_dot, aux); aux has no derivative.

    Raises ArgumentError where primals and tangents differ in structure or shape, DtypeError for integer or boolean primals.

    Example::

        y, y_dot = rg.jvp(np.sin, (x,), (x_dot,))    # y_dot = np.cos(x) * x_dot

    Source: Griewank and Walther, "Evaluating Derivatives", 2nd ed., ch. 3.1.
    """
    if not has_aux:
        return jvp_named(f, primals, tangents, "jvp")
    function(f, "jvp")
    first, aux = split(f, "jvp")
    return (*jvp_named(first, primals, tangents, "jvp"), *aux)


def jvp_named(f: Function, primals: Sequence[Any], tangents: Sequence[Any], who: str) -> tuple[Any, Any]:
    """As jvp, for the transformation ``who``."""
    function(f, who)
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentError(
            f"{who}: primals and tangents are tuples, with one entry for each argument; got {outline(primals)} and {outline(tangents)}. "
            f"Write {who}(f, (x,), (x_dot,))."
        )
    if (given := alike(primals, tangents)) is None:
        raise ArgumentError(
            f"{who}: tangents have the structure {outline(tangents)}, primals have {outline(primals)}"
        )
    names = names_of(primals)
    leaves, rebuild = leaves_of(primals, names, who)
    copies, x_dots = Copies(), []
    for x, x_dot, name in zip(leaves, given, names, strict=True):
        x_dots.append(copies.new(fitting(live(x_dot), x, f"{who}: the tangent of {name}")))
    y, y_dots, rebuild_result = next(jvps_of(f, leaves, rebuild, names, [x_dots], who))
    del x_dots
    copies.give_back()
    return rebuild_result(y), rebuild_result(y_dots)


def value_and_grad(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """The function (*args, **kwargs) -> (f(*args, **kwargs), gradient) for an f that returns one real number, of shape ().

    ``argnums`` says which positional arguments to differentiate: an int, or a tuple of ints for a tuple of gradients. A gradient has the
    structure, shapes and dtypes of its argument. One run of f and one walk back give all of them.
    With ``has_aux`` f returns a pair (value, aux), and the new function ((value, aux), gradient); aux has no derivative.

    The returned function raises ArgumentError unless f returns a single number, DtypeError where that is no floating-point number, and
    DtypeError for integer and boolean arguments.

    Example::

        value, (x_bar, w_bar) = rg.value_and_grad(loss, argnums=(0, 1))(x, w)
    """
    return _value_and_grad(f, argnums, "value_and_grad", has_aux)


def _value_and_grad(f: Function, argnums: Argnums, who: str, has_aux: bool) -> Function:
    function(f, who)
    argnums = argnums_of(argnums, who)

    def with_aux(*args: Tree, **kwargs: Any) -> tuple[Any, Tree]:
        first, aux = split(f, who)
        value, gradient = _value_and_grad(first, argnums, who, False)(*args, **kwargs)
        return (value, *aux), gradient

    def call(*args: Tree, **kwargs: Any) -> tuple[Array, Tree]:
        some, positions = chosen(args, argnums, who, kwargs)
        names = names_of(some, positions)
        leaves, rebuild = leaves_of(some, names, who)
        tape, places, y = _recorded(
            f, leaves, names, lambda inputs: placed(args, positions, rebuild(inputs)), who, kwargs
        )
        nested = y is not None and not is_leaf(y)
        value: Any = y if nested else lowered(y, _mine(y, tape), tape.level, who)
        if nested or value.shape != ():
            raise ArgumentError(
                f"{who}: f must return a single number, got {outline(value)}. "
                "Use jacrev, or vjp with a cotangent, for functions of more outputs."
            )
        if value.dtype.kind == "c":
            raise DtypeError(
                f"{who}: f must return a real number, got dtype {value.dtype}. A complex number is two real ones: return one of them "
                "(z.real, z.imag, np.abs(z) ** 2), or use jvp, or vjp with a complex cotangent."
            )
        if value.dtype.kind != "f":
            raise DtypeError(
                f"{who}: f must return a real floating-point number, got dtype {value.dtype}. "
                "Integers and booleans (np.argmax, x > 0) have no gradient."
            )
        bars = (
            quietly(pull_back, tape, [(y._index, value.dtype.type(1))], places)
            if _mine(y, tape)
            else [None] * len(leaves)
        )
        tape.free()
        gradient = rebuild(_cotangents(bars, leaves))
        return value, gradient[0] if isinstance(argnums, int) else gradient

    return with_aux if has_aux else call


def grad(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """The function (*args, **kwargs) -> gradient of f, for an f that returns one real number, of shape ().

    The gradient has the structure, shapes and dtypes of the argument at ``argnums``; of several argnums it is a tuple. With ``has_aux`` f
    returns a pair (value, aux), and the new function (gradient, aux). Errors are those of value_and_grad.

    Example::

        rg.grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))    # array([2., 4.])
    """
    both = _value_and_grad(f, argnums, "grad", has_aux)

    def with_aux(*args: Tree, **kwargs: Any) -> tuple[Tree, Any]:
        (_, aux), gradient = both(*args, **kwargs)
        return gradient, aux

    return with_aux if has_aux else lambda *args, **kwargs: both(*args, **kwargs)[1]


def _mine(y: Any, tape: Tape) -> bool:
    return isinstance(y, Var) and y._tape is tape


def _cotangents(bars: list[Any], leaves: Sequence[Array]) -> list[Array]:
    return [zeros(x) if x_bar is None else x_bar for x_bar, x in zip(as_results(bars), leaves, strict=True)]


def _blank(x: Array) -> Array:
    """An array of the shape and dtype of x that takes no memory."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)
