"""Derivatives of ordinary NumPy functions: grad, value_and_grad, jvp, vjp, jacfwd, jacrev, hessian, hvp.

Arguments and results may be nested containers of arrays (see tree.py). Signatures follow jax and torch.func. Any nesting of
these functions gives derivatives of higher order: each takes a level above the ones it runs in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.arguments import (
    Argnums,
    argnums_of,
    array,
    called,
    chosen,
    fitting,
    function,
    leaves_of,
    names_of,
    outline,
    outputs_of,
    placed,
    result,
)
from refgrad.arrays import Array
from refgrad.errors import ArgumentError, DtypeError, TracingError
from refgrad.op import Traced, new_level
from refgrad.quiet import quietly
from refgrad.tracing import fast_path  # noqa: F401 - it gives Var its operators
from refgrad.tracing.copies import handed, kept, live, same
from refgrad.tracing.forward import Dual, running
from refgrad.tracing.pull_back import pull_back
from refgrad.tracing.reverse import Tape, Var
from refgrad.tree import flatten, is_leaf, leaves_as, same_structure

Function = Callable[..., Any]


def vjp(f: Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Value of f and its pullback, which sends a cotangent of the value to a tuple of cotangents of the primals.

    The pullback may be called any number of times; a cotangent has the structure, shape and dtype kind of the value.

    Raises DtypeError for integer, boolean and complex primals, ArgumentError for a cotangent that does not fit.
    """
    return _vjp(f, primals, names_of(primals), "vjp")


def _vjp(
    f: Function, primals: Sequence[Any], names: Sequence[str], who: str
) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    function(f, who)
    leaves, rebuild = leaves_of(primals, names, who)
    tape, places, y = _recorded(f, leaves, names, rebuild, who, lasting=True)
    outputs, rebuild_result = outputs_of(y, f"{who}: what f returned")
    seeded = [y._index if _mine(y, tape) else None for y in outputs]
    values = [_value(y, _mine(y, tape), tape.level, who) for y in outputs]
    # What the pullback needs of arguments and results: the caller may change both in the meantime.
    like, xs_like = rebuild_result([_blank(v) for v in values]), [_blank(x) for x in leaves]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        if not same_structure(like, cotangent):
            raise ArgumentError(
                f"vjp: the cotangent has the structure {outline(cotangent)}, the value of f has {outline(like)}"
            )
        seeds = []
        for place, value, y_bar in zip(seeded, flatten(like)[0], leaves_as(cotangent, like), strict=True):
            y_bar = fitting(live(y_bar), value, "vjp: a cotangent")
            if place is not None:
                seeds.append((place, y_bar))
        bars = quietly(pull_back, tape, seeds, places)
        return tuple(rebuild(_cotangents(bars, xs_like)))

    return rebuild_result(values), pullback


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
    _refuse_written(leaves, [seal for _, seal in own], names, who)
    return tape, places, y


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value of f and its derivative along ``tangents``, both with the structure of the value.

    ``primals`` and ``tangents`` are tuples, with one entry for each argument of f.

    Raises ArgumentError where primals and tangents differ in structure or shape, DtypeError for integer or complex primals.
    """
    return _jvp(f, primals, tangents, "jvp")


def _jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any], who: str) -> tuple[Any, Any]:
    function(f, who)
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentError(
            f"{who}: primals and tangents are tuples, with one entry for each argument; got {outline(primals)} and {outline(tangents)}. "
            f"Write {who}(f, (x,), (x_dot,))."
        )
    if not same_structure(tuple(primals), tuple(tangents)):
        raise ArgumentError(
            f"{who}: tangents have the structure {outline(tangents)}, primals have {outline(primals)}"
        )
    names = names_of(primals)
    leaves, rebuild = leaves_of(primals, names, who)
    own, duals = [kept(live(x)) for x in leaves], []
    with running() as level:
        for x, x_dot, name in zip(own, leaves_as(tuple(tangents), tuple(primals)), names, strict=True):
            x_dot = fitting(live(x_dot), x, f"{who}: the tangent of {name}")
            duals.append(Dual(x, kept(x_dot), level))
        y = called(f, rebuild(duals))
    _refuse_written(leaves, own, names, who)
    outputs, rebuild_result = outputs_of(y, f"{who}: what f returned")
    mine = [isinstance(y, Dual) and y._level == level for y in outputs]
    values = [_value(y, m, level, who) for y, m in zip(outputs, mine, strict=True)]
    tangents = handed([y._tangent if m else None for y, m in zip(outputs, mine, strict=True)], holders=1)
    y_dots = [_zeros(value) if t is None else t for t, value in zip(tangents, values, strict=True)]
    return rebuild_result(values), rebuild_result(y_dots)


def value_and_grad(f: Function, argnums: Argnums = 0) -> Function:
    """The function that returns (f(*args), gradient), for scalar f: a gradient has the structure, shape and dtype of its argument.

    ``argnums`` says which positional arguments to differentiate: an int, or a tuple of ints for a tuple of gradients.

    Raises ArgumentError unless f returns one real number, DtypeError for integer, boolean and complex arguments.
    """
    return _value_and_grad(f, argnums, "value_and_grad")


def _value_and_grad(f: Function, argnums: Argnums, who: str) -> Function:
    function(f, who)
    argnums = argnums_of(argnums, who)

    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        some, positions = chosen(args, argnums, who, kwargs)
        names = names_of(some, positions)
        leaves, rebuild = leaves_of(some, names, who)
        tape, places, y = _recorded(
            f, leaves, names, lambda inputs: placed(args, positions, rebuild(inputs)), who, kwargs
        )
        nested = y is not None and not is_leaf(y)
        value: Any = y if nested else _value(y, _mine(y, tape), tape.level, who)
        if nested or value.shape != ():
            raise ArgumentError(
                f"{who}: f must return a single number, got {outline(value)}. "
                "Use jacrev, or vjp with a cotangent, for functions of more outputs."
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

    return call


def grad(f: Function, argnums: Argnums = 0) -> Function:
    """The gradient function of scalar f: ``grad(f)(*args)`` has the structure, shape and dtype of the argument. See value_and_grad."""
    both = _value_and_grad(f, argnums, "grad")
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def jacrev(f: Function, argnums: Argnums = 0) -> Function:
    """Jacobians by reverse mode, with one pullback for each element of the output: shape output.shape + argument.shape.

    Where results or arguments are nested, the Jacobian has the structure of the result, with the argument's inside.
    """
    function(f, "jacrev")
    argnums = argnums_of(argnums, "jacrev")

    def call(*args: Any, **kwargs: Any) -> Any:
        some, positions = chosen(args, argnums, "jacrev", kwargs)
        names = names_of(some, positions)
        value, pullback = _vjp(lambda *xs: f(*placed(args, positions, xs), **kwargs), some, names, "jacrev")
        outputs, rebuild = flatten(value)
        blocks = []
        for k, y in enumerate(outputs):
            rows = [
                pullback(rebuild([unit if j == k else _zeros(v) for j, v in enumerate(outputs)]))
                for unit in _units(y)
            ]
            blocks.append(_stacked(rows, some, y, argnums))
        return rebuild(blocks)

    return call


def jacfwd(f: Function, argnums: Argnums = 0) -> Function:
    """Jacobians by forward mode, with one tangent for each element of the argument; shapes and structure as jacrev."""
    return _jacfwd(f, argnums, "jacfwd")


def _jacfwd(f: Function, argnums: Argnums, who: str) -> Function:
    function(f, who)
    argnums = argnums_of(argnums, who)

    def call(*args: Any, **kwargs: Any) -> Any:
        some, positions = chosen(args, argnums, who, kwargs)
        leaves, rebuild = leaves_of(some, names_of(some, positions), who)
        columns: list[list[Any]] = []  # for each argument leaf, tangents of all outputs, one entry an element
        value: Any = None
        for k, x in enumerate(leaves):
            columns.append([])
            for unit in _units(x):
                tangents = rebuild([unit if j == k else _zeros(v) for j, v in enumerate(leaves)])
                value, y_dot = _jvp(
                    lambda *xs: f(*placed(args, positions, xs), **kwargs), some, tangents, who
                )
                columns[k].append(flatten(y_dot)[0])
        if value is None:
            value = f(*args, **kwargs)
        outputs, rebuild_result = flatten(value)
        blocks = []
        for m, y in enumerate(outputs):
            jacobians = []
            for x, column in zip(leaves, columns, strict=True):
                flat = (
                    np.stack([c[m] for c in column], axis=-1)
                    if column
                    else np.zeros((*np.shape(y), 0), x.dtype)
                )
                jacobians.append(_shaped(flat, np.shape(y) + x.shape))
            block = rebuild(jacobians)
            blocks.append(block[0] if isinstance(argnums, int) else block)
        return rebuild_result(blocks)

    return call


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """Second derivatives of f, forward over reverse: shape output.shape + argument.shape + argument.shape."""
    function(f, "hessian")
    argnums = argnums_of(argnums, "hessian")
    return _jacfwd(jacrev(f, argnums), argnums, "hessian")


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Hessian of scalar f times ``tangents``, forward over reverse, without the Hessian: a tuple like ``primals``."""
    function(f, "hvp")
    count = len(primals) if isinstance(primals, (tuple, list)) else 1
    return _jvp(grad(f, tuple(range(count))), primals, tangents, "hvp")[1]


def _mine(y: Any, tape: Tape) -> bool:
    return isinstance(y, Var) and y._tape is tape


def _value(y: Any, mine: bool, level: int, who: str) -> Array:
    """A leaf of what f returned, on the level below: an array of its own.

    ``mine`` says whether the transformation of ``level`` traced it. An array of an outer transformation is a constant here.

    Raises TracingError for an array of any other transformation.
    """
    if isinstance(y, Traced) and not mine and live(y)._level >= level:
        raise TracingError(
            f"{who}: f returned an array that another transformation traces. Its derivative belongs there: return what that one returns."
        )
    return handed([result(y._value if mine else y, f"{who}: what f returned")], holders=int(mine))[0]


def _cotangents(bars: list[Any], leaves: Sequence[Array]) -> list[Array]:
    return [_zeros(x) if x_bar is None else x_bar for x_bar, x in zip(handed(bars), leaves, strict=True)]


def _refuse_written(leaves: list[Array], seals: list[Any], names: Sequence[str], who: str) -> None:
    """Raises TracingError where f changed the memory of its argument by another name than the argument's."""
    for x, seal, name in zip(leaves, seals, names, strict=True):
        if not same(x, seal):
            raise TracingError(
                f"{who}: {name} was changed while f ran, through another name of the same array. In NumPy f sees such a change, as a "
                f"derivative it would be lost. Write to a copy, or pass a copy to {who}."
            )


def _blank(x: Array) -> Array:
    """An array of the shape and dtype of x that takes no memory."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


def _zeros(x: Array) -> Array:
    return np.zeros(x.shape, x.dtype)


def _shaped(flat: Array, shape: tuple[int, ...]) -> Array:
    """A new array in another shape; a reshaped one would not own its data."""
    return flat if flat.shape == shape else kept(np.reshape(flat, shape))


def _units(x: Array) -> Any:
    """The unit arrays of the shape of x, one at a time."""
    for k in range(x.size):
        unit = np.zeros(x.size, x.dtype)
        unit[k] = 1
        yield unit.reshape(x.shape)


def _stacked(rows: list[Any], some: tuple[Any, ...], y: Array, argnums: Argnums) -> Any:
    leaves, rebuild = outputs_of(some, "jacrev")
    flat_rows = [flatten(row)[0] for row in rows]
    jacobians = []
    for k, x in enumerate([array(leaf, "jacrev") for leaf in leaves]):
        flat = np.stack([row[k] for row in flat_rows]) if rows else np.zeros((0, *x.shape), x.dtype)
        jacobians.append(_shaped(flat, y.shape + x.shape))
    block = rebuild(jacobians)
    return block[0] if isinstance(argnums, int) else block
