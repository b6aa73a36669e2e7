"""The floor of forward mode: dual numbers without any check, which the tape of floor.py may hold for second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.floor import value_and_grad

Array = Any


class Dual:
    """A value with its tangent, arrays of one shape."""

    __slots__ = ("tangent", "value")
    __array_priority__ = 1000.0

    def __init__(self, value: Array, tangent: Array) -> None:
        self.value, self.tangent = value, tangent

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: Dual(self.value.T, self.tangent.T))

    def __array_ufunc__(self, ufunc: Any, method: str, *xs: Any, **kwargs: Any) -> Any:
        if method == "reduce":
            return Dual(ufunc.reduce(self.value, **kwargs), ufunc.reduce(self.tangent, **kwargs))
        return UFUNCS[ufunc](*xs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return FUNCTIONS[function](*args, **kwargs)

    def reshape(self, shape: tuple[int, ...]) -> Dual:
        return Dual(self.value.reshape(shape), self.tangent.reshape(shape))

    def __pow__(self, n: int) -> Dual:
        if n == 1:
            return self
        return Dual(self.value**n, self.tangent * (n * self.value ** (n - 1)))


def sin(x: Dual) -> Dual:
    return Dual(np.sin(x.value), x.tangent * np.cos(x.value))


def tanh(x: Dual) -> Dual:
    y = np.tanh(x.value)
    return Dual(y, x.tangent * (1 - y * y))


def add(x1: Any, x2: Any) -> Dual:
    if type(x1) is not Dual:
        x1, x2 = x2, x1
    if type(x2) is Dual:
        return Dual(x1.value + x2.value, x1.tangent + x2.tangent)
    return _alike(x1.value + x2, x1.tangent)


def subtract(x1: Any, x2: Any) -> Dual:
    if type(x1) is Dual and type(x2) is Dual:
        return Dual(x1.value - x2.value, x1.tangent - x2.tangent)
    return _alike(x1.value - x2, x1.tangent) if type(x1) is Dual else _alike(x1 - x2.value, -x2.tangent)


def _alike(y: Array, y_dot: Array) -> Dual:
    return Dual(y, y_dot if y.shape == y_dot.shape else np.broadcast_to(y_dot, y.shape))


def _bilinear(product: Callable[[Array, Array], Array]) -> Callable[[Any, Any], Dual]:
    def call(x1: Any, x2: Any) -> Dual:
        if type(x1) is not Dual:
            return Dual(product(x1, x2.value), product(x1, x2.tangent))
        if type(x2) is not Dual:
            return Dual(product(x1.value, x2), product(x1.tangent, x2))
        return Dual(
            product(x1.value, x2.value), product(x1.tangent, x2.value) + product(x1.value, x2.tangent)
        )

    return call


multiply, matmul = _bilinear(np.multiply), _bilinear(np.matmul)


def total(x: Dual) -> Dual:
    return Dual(np.add.reduce(x.value, axis=None), np.add.reduce(x.tangent, axis=None))


for _name, _call in {
    "__add__": add,
    "__radd__": add,
    "__sub__": subtract,
    "__rsub__": lambda self, other: subtract(other, self),
    "__mul__": multiply,
    "__rmul__": multiply,
    "__matmul__": matmul,
    "__rmatmul__": lambda self, other: matmul(other, self),
    "__neg__": lambda self: Dual(-self.value, -self.tangent),
}.items():
    setattr(Dual, _name, _call)
UFUNCS = {
    np.sin: sin,
    np.tanh: tanh,
    np.add: add,
    np.subtract: subtract,
    np.multiply: multiply,
    np.matmul: matmul,
}
FUNCTIONS = {
    np.sum: total,
    np.mean: lambda x: total(x) * (1 / x.size),
    np.broadcast_to: lambda x, shape: Dual(
        np.broadcast_to(x.value, shape), np.broadcast_to(x.tangent, shape)
    ),
}


def jvp(f: Callable[..., Any], xs: tuple[Array, ...], xs_dot: tuple[Array, ...]) -> tuple[Array, Array]:
    """The value of f at arrays, and its derivative along tangents."""
    y = f(*[Dual(x, x_dot) for x, x_dot in zip(xs, xs_dot, strict=True)])
    return y.value, y.tangent


def jacobian(f: Callable[[Array], Any], x: Array) -> Array:
    """The Jacobian of f at a vector, one run of f for each element."""
    return np.stack([jvp(f, (x,), (unit,))[1] for unit in np.eye(x.size, dtype=x.dtype)], axis=-1)


def hvp(f: Callable[..., Any], xs: tuple[Array, ...], xs_dot: tuple[Array, ...]) -> list[Array]:
    """The derivative of the gradient along tangents, forward over reverse."""
    duals = [Dual(x, x_dot) for x, x_dot in zip(xs, xs_dot, strict=True)]
    return [x_bar.tangent for x_bar in value_and_grad(f, *duals)[1]]
