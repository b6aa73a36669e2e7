"""NumPy's linear algebra as compositions of ops: what np.dot, np.linalg.norm, np.einsum ... mean on traced arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg._linalg import SlogdetResult

from refgrad.dispatch import implements, operand, plain
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.op import Traced, shape_of
from refgrad.ops import contraction, dense, linalg, solving

Array = Any

# --- products --------------------------------------------------------------------------------------------------------


@implements(np.dot)
def dot(a: Array, b: Array, out: None = None) -> Array:
    """Last axis of a with the second-to-last of b; scalars multiply."""
    _no_out("dot", out)
    a, b = operand(a), operand(b)
    ndim1, ndim2 = len(shape_of(a)), len(shape_of(b))
    if ndim1 == 0 or ndim2 == 0:
        return a * b
    if ndim2 <= 2:
        return linalg.matmul(a, b)
    return linalg.tensordot(a, b, axes=((ndim1 - 1,), (ndim2 - 2,)))


@implements(np.inner)
def inner(a: Array, b: Array, /) -> Array:
    """Contract the last axes; scalars multiply."""
    a, b = operand(a), operand(b)
    if len(shape_of(a)) == 0 or len(shape_of(b)) == 0:
        return a * b
    return linalg.tensordot(a, b, axes=((len(shape_of(a)) - 1,), (len(shape_of(b)) - 1,)))


@implements(np.vdot)
def vdot(a: Array, b: Array, /) -> Array:
    """Sum of the products of all elements."""
    return linalg.matmul(np.ravel(operand(a)), np.ravel(operand(b)))


@implements(np.outer)
def outer(a: Array, b: Array, out: None = None) -> Array:
    """Products of all pairs of elements, (a.size, b.size)."""
    _no_out("outer", out)
    return np.reshape(operand(a), (-1, 1)) * np.reshape(operand(b), (1, -1))


@implements(np.linalg.outer)
def linalg_outer(x1: Array, x2: Array, /) -> Array:
    """Products of all pairs of elements of two vectors."""
    x1, x2 = operand(x1), operand(x2)
    if len(shape_of(x1)) != 1 or len(shape_of(x2)) != 1:
        raise ArgumentError(
            f"np.linalg.outer: vectors are expected, got shapes {shape_of(x1)} and {shape_of(x2)}"
        )
    return outer(x1, x2)


@implements(np.kron)
def kron(a: Array, b: Array) -> Array:
    """Blocks a[i, j] b: interleave axes, multiply, merge pairs of axes."""
    a, b = operand(a), operand(b)
    shape1, shape2 = shape_of(a), shape_of(b)
    ndim = max(len(shape1), len(shape2))
    shape1, shape2 = (1,) * (ndim - len(shape1)) + shape1, (1,) * (ndim - len(shape2)) + shape2
    y = np.reshape(a, [n for k in shape1 for n in (k, 1)]) * np.reshape(
        b, [n for k in shape2 for n in (1, k)]
    )
    return np.reshape(y, tuple([m * n for m, n in zip(shape1, shape2, strict=True)]))


@implements(np.linalg.matmul)
def linalg_matmul(x1: Array, x2: Array, /) -> Array:
    """Matrix product, as ``x1 @ x2``."""
    return linalg.matmul(operand(x1), operand(x2))


@implements(np.linalg.tensordot)
def linalg_tensordot(x1: Array, x2: Array, /, *, axes: Any = 2) -> Array:
    """Contraction over axes, as np.tensordot."""
    return linalg.tensordot(operand(x1), operand(x2), axes=axes)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Contract one axis, broadcast the others."""
    x1, x2 = operand(x1), operand(x2)
    if shape_of(x1)[axis] != shape_of(x2)[axis]:
        raise ArgumentError(f"vecdot: shapes {shape_of(x1)} and {shape_of(x2)} differ along axis {axis}")
    return contraction.einsum(
        np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1), subscripts="...i,...i->..."
    )


implements(np.linalg.vecdot)(vecdot)
if hasattr(np, "vecdot"):
    implements(np.vecdot)(vecdot)
if hasattr(np, "matvec"):  # NumPy 2.2
    implements(np.matvec)(
        lambda x1, x2, /: contraction.einsum(operand(x1), operand(x2), subscripts="...ij,...j->...i")
    )
    implements(np.vecmat)(
        lambda x1, x2, /: contraction.einsum(operand(x1), operand(x2), subscripts="...i,...ij->...j")
    )


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: None = None) -> Array:
    """The product from left to right."""
    _no_out("multi_dot", out)
    y = operand(arrays[0])
    for x in arrays[1:]:
        y = linalg.matmul(y, operand(x))
    return y


@implements(np.linalg.matrix_power)
def matrix_power(a: Array, n: int) -> Array:
    """Repeated squaring; a negative power inverts first."""
    if not isinstance(n, (int, np.integer)):
        raise ArgumentError(f"matrix_power: an integer exponent is expected, got {n!r}")
    if n < 0:
        a, n = solving.inv(a), -n
    if n == 0:
        return np.zeros_like(plain(a)) + np.eye(shape_of(a)[-1], dtype=a.dtype)
    y: Array = None
    while n:
        if n & 1:
            y = a if y is None else linalg.matmul(y, a)
        n >>= 1
        a = linalg.matmul(a, a) if n else a
    return y


@implements(np.einsum)
def einsum(
    subscripts: Any,
    *operands: Array,
    out: None = None,
    optimize: Any = False,  # noqa: ARG001 - accepted for NumPy's sake
    **kwargs: Any,
) -> Array:
    """``optimize`` is accepted and ignored. Raises NoRuleError for operands followed by lists of axes, dtype= and the like."""
    _no_out("einsum", out)
    if not isinstance(subscripts, str):
        raise NoRuleError(
            "np.einsum(operand, [axes], ...) is not supported on traced arrays; write the subscripts as a string: 'ij,jk->ik'"
        )
    if kwargs:
        raise NoRuleError(f"np.einsum: argument {sorted(kwargs)} is not supported on traced arrays")
    y = contraction.einsum(*[operand(x) for x in operands], subscripts=subscripts)
    if len(operands) == 1 and _moves_alone(subscripts) and hasattr(operands[0], "_view"):
        return operands[0]._view(y, lambda x: contraction.einsum(x, subscripts=subscripts))
    return y


def _moves_alone(subscripts: str) -> bool:
    """Whether subscripts of one operand sum over nothing: the result is a view then, of a transpose or a diagonal."""
    given, arrow, left = subscripts.replace(" ", "").replace("...", "").partition("->")
    return set(given) == set(left) if arrow else len(set(given)) == len(given)


def _no_out(name: str, out: Any) -> None:
    if out is not None:
        raise NoRuleError(
            f"np.{name}(out=...) would write a traced result in place: leave out= away and use the returned array"
        )


# --- norms -----------------------------------------------------------------------------------------------------------


@implements(np.linalg.norm)
def norm(x: Array, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:  # noqa: A002 - NumPy's name
    """np.linalg.norm: vector norms of every order along one axis; for matrices 'fro', 1, -1, inf, -inf.

    Raises NoRuleError for the spectral and nuclear norms, which need singular values.
    """
    _no_traced_order(ord)
    ndim = len(shape_of(x))
    axes = tuple(range(ndim)) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    if ord is None and (axis is None or len(axes) <= 2):
        return linalg.norm(x, ord=2, axis=axis, keepdims=keepdims)
    if len(axes) == 1:
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ArgumentError(
            f"norm: ord={ord!r} needs one or two axes, got shape {shape_of(x)} and axis={axis!r}"
        )
    return _matrix_norm(x, ord, axes, keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(x: Array, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:  # noqa: A002 - NumPy's name
    """Over all given axes at once."""
    _no_traced_order(ord)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum((plain(x) != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if isinstance(ord, str) or ord is None:
        raise ArgumentError(f"norm: ord={ord!r} is not a vector norm")
    return linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:  # noqa: A002 - NumPy's name
    """Over the last two axes."""
    _no_traced_order(ord)
    return _matrix_norm(x, ord, (-2, -1), keepdims)


def _no_traced_order(ord: Any) -> None:  # noqa: A002 - NumPy's name
    if isinstance(ord, Traced):
        raise NoRuleError(
            "norm: the derivative in ord has no rule. Write np.sum(np.abs(x) ** p) ** (1 / p), which has one in p."
        )


def _matrix_norm(x: Array, ord: Any, axes: tuple[int, int], keepdims: bool) -> Array:  # noqa: A002 - NumPy's name
    if ord in (None, "fro", "f"):
        return linalg.norm(x, ord=2, axis=axes, keepdims=keepdims)
    if ord not in (1, -1, np.inf, -np.inf):
        raise NoRuleError(
            f"norm: ord={ord!r} of a matrix is not supported on traced arrays; 'fro', 1, -1, inf and -inf are"
        )
    ndim = len(shape_of(x))
    rows, columns = [a % ndim for a in axes]
    inner_axis, outer_axis = (rows, columns) if abs(ord) == 1 else (columns, rows)
    y = (np.max if ord > 0 else np.min)(
        np.sum(np.abs(x), axis=inner_axis, keepdims=True), axis=outer_axis, keepdims=True
    )
    return (
        y
        if keepdims
        else np.reshape(y, tuple([n for k, n in enumerate(shape_of(x)) if k not in (rows, columns)]))
    )


# --- determinants ----------------------------------------------------------------------------------------------------


@implements(np.linalg.slogdet)
def slogdet(a: Array) -> Any:
    """The sign, which has no derivative, and log|det a|."""
    return SlogdetResult(dense.slogdet(plain(a))[0], solving.logabsdet(a))
