"""Derivatives of ordinary NumPy functions: grad, value_and_grad, jvp, vjp, jacfwd, jacrev, hessian, hvp.

Arguments and results may be nested tuples, lists and dicts of arrays. Signatures follow jax and torch.func. Any nesting of
these functions gives derivatives of higher order: each takes a level above the ones it runs in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add
from typing import Any

import numpy as np

from refgrad.errors import ArgumentError, DtypeError
from refgrad.forward import Dual
from refgrad.op import Traced, new_level
from refgrad.quiet import quietly
from refgrad.reverse import Tape, Var, pull_back
from refgrad.tree import flatten, leaves_as, paths, same_structure

Array = Any
Function = Callable[..., Any]
Argnums = int | Sequence[int]


def vjp(f: Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Value of f and its pullback, which sends a cotangent of the value to a tuple of cotangents of the primals.

    The pullback may be called any number of times; a cotangent has the structure, shape and dtype kind of the value.

    Raises DtypeError for integer, boolean and complex primals, ArgumentError for a cotangent that does not fit.
    """
    leaves, rebuild = flatten(primals)
    leaves = _differentiable(leaves, paths(primals, "argument "), "vjp")
    tape = Tape(new_level())
    inputs = [tape.input(x) for x in leaves]
    places = [x.index for x in inputs]
    result = f(*rebuild(inputs))
    outputs, rebuild_result = flatten(result)
    values = [_lower(y, tape) for y in outputs]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        if not same_structure(result, cotangent):
            raise ArgumentError(
                f"vjp: the cotangent has the structure {_outline(cotangent)}, the value of f has {_outline(result)}"
            )
        cotangents = leaves_as(cotangent, result)
        total: list[Any] = [None] * len(leaves)
        for y, value, y_bar in zip(outputs, values, cotangents, strict=True):
            y_bar = _fitting(y_bar, value, "vjp: a cotangent")
            if isinstance(y, Var) and y.tape is tape:
                for k, x_bar in enumerate(quietly(pull_back, tape, y.index, y_bar, places)):
                    total[k] = (
                        x_bar
                        if total[k] is None
                        else total[k]
                        if x_bar is None
                        else quietly(add, total[k], x_bar)
                    )
        return tuple(rebuild([_zeros(x) if t is None else t for t, x in zip(total, leaves, strict=True)]))

    return rebuild_result(values), pullback


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value of f and its derivative along ``tangents``, both with the structure of the value.

    Raises ArgumentError where primals and tangents differ in structure or shape, DtypeError for integer or complex primals.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentError(
            f"jvp: primals and tangents are tuples, one entry an argument; got {_outline(primals)} and {_outline(tangents)}"
        )
    if not same_structure(tuple(primals), tuple(tangents)):
        raise ArgumentError(
            f"jvp: tangents have the structure {_outline(tangents)}, primals have {_outline(primals)}"
        )
    leaves, rebuild = flatten(tuple(primals))
    names = paths(tuple(primals), "argument ")
    leaves = _differentiable(leaves, names, "jvp")
    level = new_level()
    duals = []
    for x, x_dot, name in zip(leaves, leaves_as(tuple(tangents), tuple(primals)), names, strict=True):
        duals.append(Dual(x, _fitting(x_dot, x, f"jvp: the tangent of {name}"), level))
    outputs, rebuild_result = flatten(f(*rebuild(duals)))
    mine = [isinstance(y, Dual) and y.level == level for y in outputs]
    values = [y.value if m else _array(y) for y, m in zip(outputs, mine, strict=True)]
    y_dots = [y.tangent if m else _zeros(value) for y, m, value in zip(outputs, mine, values, strict=True)]
    return rebuild_result(values), rebuild_result(y_dots)


def value_and_grad(f: Function, argnums: Argnums = 0) -> Function:
    """The function that returns (f(*args), gradient), for scalar f: a gradient has the structure, shape and dtype of its argument.

    ``argnums`` says which positional arguments to differentiate: an int, or a tuple of ints for a tuple of gradients.

    Raises ArgumentError unless f returns one real number, DtypeError for integer, boolean and complex arguments.
    """

    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        chosen, positions = _chosen(args, argnums, "grad")
        leaves, rebuild = flatten(chosen)
        leaves = _differentiable(leaves, paths(chosen, "argument "), "grad")
        tape = Tape(new_level())
        inputs = [tape.input(x) for x in leaves]
        places = [x.index for x in inputs]
        y = f(*_placed(args, positions, rebuild(inputs)), **kwargs)
        value: Any = y if isinstance(y, (tuple, list, dict)) else _lower(y, tape)
        if isinstance(y, (tuple, list, dict)) or value.shape != ():
            raise ArgumentError(
                f"grad: f must return a single number, got {_outline(value)}. "
                "Use jacrev, or vjp with a cotangent, for functions of more outputs."
            )
        if value.dtype.kind != "f":
            raise DtypeError(f"grad: f must return a real floating-point number, got dtype {value.dtype}")
        traced = isinstance(y, Var) and y.tape is tape
        bars = (
            quietly(pull_back, tape, y.index, value.dtype.type(1), places) if traced else [None] * len(leaves)
        )
        gradient = rebuild([_zeros(x) if b is None else b for b, x in zip(bars, leaves, strict=True)])
        return value, gradient[0] if isinstance(argnums, int) else gradient

    return call


def grad(f: Function, argnums: Argnums = 0) -> Function:
    """The gradient function of scalar f; see value_and_grad."""
    both = value_and_grad(f, argnums)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def jacrev(f: Function, argnums: Argnums = 0) -> Function:
    """Jacobians by reverse mode, one pullback an output element: shape output.shape + argument.shape.

    Where results or arguments are nested, the Jacobian has the structure of the result, with the argument's inside.
    """

    def call(*args: Any) -> Any:
        chosen, positions = _chosen(args, argnums, "jacrev")
        value, pullback = vjp(lambda *xs: f(*_placed(args, positions, xs)), *chosen)
        outputs, rebuild = flatten(value)
        blocks = []
        for k, y in enumerate(outputs):
            rows = [
                pullback(rebuild([unit if j == k else _zeros(v) for j, v in enumerate(outputs)]))
                for unit in _units(y)
            ]
            blocks.append(_stacked(rows, chosen, y, argnums))
        return rebuild(blocks)

    return call


def jacfwd(f: Function, argnums: Argnums = 0) -> Function:
    """Jacobians by forward mode, one tangent an argument element; shapes and structure as jacrev."""

    def call(*args: Any) -> Any:
        chosen, positions = _chosen(args, argnums, "jacfwd")
        leaves, rebuild = flatten(chosen)
        leaves = [_array(x) for x in leaves]
        columns: list[list[Any]] = []  # for each argument leaf, tangents of all outputs, one entry an element
        value: Any = None
        for k, x in enumerate(leaves):
            columns.append([])
            for unit in _units(x):
                tangents = rebuild([unit if j == k else _zeros(v) for j, v in enumerate(leaves)])
                value, y_dot = jvp(lambda *xs: f(*_placed(args, positions, xs)), chosen, tangents)
                columns[k].append(flatten(y_dot)[0])
        if value is None:
            value = f(*args)
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
                jacobians.append(np.reshape(flat, np.shape(y) + x.shape))
            block = rebuild(jacobians)
            blocks.append(block[0] if isinstance(argnums, int) else block)
        return rebuild_result(blocks)

    return call


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """Second derivatives of f, forward over reverse: shape output.shape + argument.shape + argument.shape."""
    return jacfwd(jacrev(f, argnums), argnums)


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Hessian of scalar f times ``tangents``, forward over reverse, without the Hessian: a tuple like ``primals``."""
    argnums = tuple(range(len(primals)))
    return jvp(grad(f, argnums), primals, tangents)[1]


# --- arguments ----------------------------------------------------------------------------------------------------


def _array(x: Any) -> Array:
    return x if isinstance(x, (Traced, np.ndarray, np.generic)) else np.asarray(x)


def _lower(y: Any, tape: Tape) -> Array:
    return y.value if isinstance(y, Var) and y.tape is tape else _array(y)


def _zeros(x: Array) -> Array:
    return np.zeros(x.shape, x.dtype)


def _differentiable(leaves: list[Any], names: list[str], who: str) -> list[Array]:
    arrays = [_array(x) for x in leaves]
    for x, name in zip(arrays, names, strict=True):
        if x.dtype.kind != "f":
            advice = {
                "c": "Complex numbers are not supported: pass real and imaginary parts as two real arrays.",
                "i": "Pass floating-point numbers: x.astype(float).", "u": "Pass floating-point numbers: x.astype(float).",
                "b": "A boolean cannot be differentiated: keep it out of the differentiated arguments (argnums).",
            }.get(x.dtype.kind, "Pass arrays of numbers.")  # fmt: skip
            raise DtypeError(
                f"{who}: {name} has dtype {x.dtype}; float16, float32, float64 or long double is expected. {advice}"
            )
    return arrays


def _fitting(x: Any, like: Array, what: str) -> Array:
    x = _array(x)
    if x.shape != like.shape:
        raise ArgumentError(
            f"{what} has shape {x.shape}, its value has shape {like.shape}; they must be equal"
        )
    if x.dtype.kind not in "fiub":
        raise DtypeError(f"{what} has dtype {x.dtype}; a real dtype is expected")
    return x if x.dtype == like.dtype else x.astype(like.dtype)


def _chosen(args: tuple[Any, ...], argnums: Argnums, who: str) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for k in positions:
        if not isinstance(k, int) or not -len(args) <= k < len(args):
            raise ArgumentError(
                f"{who}: argnums={argnums!r} names argument {k!r}, but f was called with {len(args)} positional arguments"
            )
    positions = tuple(k % len(args) for k in positions)
    return tuple(args[k] for k in positions), positions


def _placed(args: tuple[Any, ...], positions: tuple[int, ...], new: Sequence[Any]) -> list[Any]:
    placed = list(args)
    for k, x in zip(positions, new, strict=True):
        placed[k] = x
    return placed


def _units(x: Array) -> Any:
    """The unit arrays of the shape of x, one at a time."""
    for k in range(x.size):
        unit = np.zeros(x.size, x.dtype)
        unit[k] = 1
        yield unit.reshape(x.shape)


def _stacked(rows: list[Any], chosen: tuple[Any, ...], y: Array, argnums: Argnums) -> Any:
    leaves, rebuild = flatten(chosen)
    flat_rows = [flatten(row)[0] for row in rows]
    jacobians = []
    for k, x in enumerate(map(_array, leaves)):
        flat = np.stack([row[k] for row in flat_rows]) if rows else np.zeros((0, *x.shape), x.dtype)
        jacobians.append(np.reshape(flat, y.shape + x.shape))
    block = rebuild(jacobians)
    return block[0] if isinstance(argnums, int) else block


def _outline(tree: Any) -> str:
    """A structure in words, shapes instead of arrays."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {_outline(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        inner = ", ".join(_outline(x) for x in tree)
        return f"({inner})" if isinstance(tree, tuple) else f"[{inner}]"
    return f"shape {np.shape(tree)}" if not isinstance(tree, Traced) else f"shape {tree.shape}"
