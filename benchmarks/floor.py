"""The floor: a tape and dual numbers in 150 lines, with no check at all. What a NumPy tool costs at the least.

It differentiates the programs of this folder alone: arrays of one dtype, no second order but forward over reverse, no in-place writes, no
nesting of containers. The differences between its times and those of refgrad are the price of everything else that refgrad does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


class Var:
    """A value with its place on a tape: a list of entries, each a tuple (place, rule, saved, place, rule, saved)."""

    __slots__ = ("index", "tape", "value")
    __array_priority__ = 1000.0

    def __init__(self, value: Array, tape: list[Any], index: int) -> None:
        self.value, self.tape, self.index = value, tape, index

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)

    def __array_ufunc__(self, ufunc: Any, method: str, *xs: Any, **kwargs: Any) -> Any:
        return UFUNCS[ufunc](*xs) if method == "__call__" else NotImplemented

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return FUNCTIONS[function](*args, **kwargs)


def fit(x_bar: Array, x: Array) -> Array:
    """The sum of a cotangent over what the operand was repeated along."""
    if x_bar.shape == x.shape:
        return x_bar
    lead = x_bar.ndim - x.ndim
    axes = (*range(lead), *[lead + k for k, n in enumerate(x.shape) if n == 1 and x_bar.shape[lead + k] != 1])
    return np.add.reduce(x_bar, axis=axes, keepdims=True).reshape(x.shape)


def unary(forward: Any, rule: Callable[..., Array], keeps: str) -> Callable[[Any], Any]:
    def call(x: Any) -> Any:
        if type(x) is not Var:
            return forward(x)
        y = forward(x.value)
        x.tape.append((x.index, rule, x.value if keeps == "x" else y if keeps == "y" else None))
        return Var(y, x.tape, len(x.tape) - 1)

    return call


def binary(forward: Any, rule1: Any, rule2: Any, keeps: bool) -> Callable[[Any, Any], Any]:
    """``keeps`` says whether a rule needs the other operand; else it needs its own shape."""

    def call(x1: Any, x2: Any) -> Any:
        if type(x1) is Var:
            tape, v1 = x1.tape, x1.value
            if type(x2) is Var:
                v2 = x2.value
                y = forward(v1, v2)
                saved = (
                    (v1, v2)
                    if keeps
                    else (v1 if v1.shape != y.shape else y, v2 if v2.shape != y.shape else y)
                )
                tape.append(
                    (
                        x1.index,
                        rule1,
                        (saved[1], v1) if keeps else saved[0],
                        x2.index,
                        rule2,
                        (saved[0], v2) if keeps else saved[1],
                    )
                )
            else:
                y = forward(v1, x2)
                tape.append(
                    (
                        x1.index,
                        rule1,
                        (x2, None if v1.shape == y.shape else v1)
                        if keeps
                        else v1
                        if v1.shape != y.shape
                        else None,
                    )
                )
        else:
            tape, v2 = x2.tape, x2.value
            y = forward(x1, v2)
            tape.append(
                (
                    x2.index,
                    rule2,
                    (x1, None if v2.shape == y.shape else v2)
                    if keeps
                    else v2
                    if v2.shape != y.shape
                    else None,
                )
            )
        return Var(y, tape, len(tape) - 1)

    return call


def _through(y_bar: Array, x: Any) -> Array:
    return y_bar if x is None or y_bar.shape == x.shape else fit(y_bar, x)


def _scaled(y_bar: Array, kept: Any) -> Array:
    other, x = kept
    x_bar = y_bar * other
    return x_bar if x is None or x_bar.shape == x.shape else fit(x_bar, x)


sin = unary(np.sin, lambda y_bar, x: y_bar * np.cos(x), "x")
tanh = unary(np.tanh, lambda y_bar, y: y_bar * (1 - y * y), "y")
exp = unary(np.exp, lambda y_bar, y: y_bar * y, "y")
negative = unary(np.negative, lambda y_bar, _: -y_bar, "")
add = binary(np.add, _through, _through, keeps=False)
subtract = binary(np.subtract, _through, lambda y_bar, x: -_through(y_bar, x), keeps=False)
multiply = binary(np.multiply, _scaled, _scaled, keeps=True)
matmul = binary(
    np.matmul, lambda y_bar, kept: y_bar @ kept[0].T, lambda y_bar, kept: kept[0].T @ y_bar, keeps=True
)


def quotient(c: float, x: Var) -> Var:
    """A number divided by a variable."""
    y = c / x.value
    x.tape.append((x.index, lambda y_bar, y: -y_bar * (y * y / c), y))
    return Var(y, x.tape, len(x.tape) - 1)


def power(x: Var, n: int) -> Var:
    x.tape.append((x.index, lambda y_bar, v: y_bar * (n * v ** (n - 1)), x.value))
    return Var(x.value**n, x.tape, len(x.tape) - 1)


def total(x: Var) -> Var:
    x.tape.append((x.index, np.broadcast_to, x.value.shape))
    return Var(np.add.reduce(x.value, axis=None), x.tape, len(x.tape) - 1)


for _name, _call in {
    "__add__": add,
    "__radd__": add,
    "__sub__": subtract,
    "__rsub__": lambda self, other: subtract(other, self),
    "__mul__": multiply,
    "__rmul__": multiply,
    "__matmul__": matmul,
    "__rmatmul__": lambda self, other: matmul(other, self),
    "__rtruediv__": lambda self, other: quotient(other, self),
    "__neg__": negative,
    "__pow__": power,
}.items():
    setattr(Var, _name, _call)
UFUNCS = {
    np.sin: sin,
    np.tanh: tanh,
    np.exp: exp,
    np.negative: negative,
    np.add: add,
    np.subtract: subtract,
    np.multiply: multiply,
    np.matmul: matmul,
}
FUNCTIONS = {np.sum: total, np.mean: lambda x: total(x) * (1 / x.size)}


def value_and_grad(f: Callable[..., Any], *xs: Array) -> tuple[Array, list[Array]]:
    """The value of f at arrays, and its gradient in each."""
    tape: list[Any] = [None] * len(xs)
    y = f(*[Var(x, tape, k) for k, x in enumerate(xs)])
    bars: list[Any] = [None] * len(tape)
    bars[y.index] = y.value.dtype.type(1)
    for k in range(y.index, len(xs) - 1, -1):
        y_bar, entry, bars[k] = bars[k], tape[k], None
        if y_bar is not None:
            for i, rule, saved in (entry,) if len(entry) == 3 else (entry[:3], entry[3:]):
                x_bar = rule(y_bar, saved)
                bars[i] = x_bar if bars[i] is None else bars[i] + x_bar
    return y.value, bars[: len(xs)]
