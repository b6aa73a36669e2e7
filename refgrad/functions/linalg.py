"""NumPy's linear algebra as compositions of ops: np.dot, np.linalg.norm, np.einsum and others."""

from __future__ import annotations

import operator
import string
from typing import Any

import numpy as np
from numpy.linalg._linalg import SlogdetResult

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.functions.complex_factors import complex_slogdet
from refgrad.functions.factorizations import is_complex, svdvals
from refgrad.functions.registry import moved
from refgrad.op import shape_of
from refgrad.ops import contraction, dense_linalg, linalg, solving
from refgrad.ops.shape import integers
from refgrad.tracing.differentiable_arguments import plain
from refgrad.tracing.dispatch import array, implements, operand

# --- products --------------------------------------------------------------------------------------------------------


@implements(np.dot)
def dot(a: Array, b: Array, out: None = None) -> Array:
    """Last axis of a with the second-to-last of b; scalars multiply."""
    a, b = array(operand(a)), array(operand(b))  # a Python number has a dtype of its own here
    ndim1, ndim2 = len(shape_of(a)), len(shape_of(b))
    if ndim1 == 0 or ndim2 == 0:
        return a * b
    if ndim2 <= 2:
        return linalg.matmul(a, b)
    return linalg.tensordot(a, b, axes=((ndim1 - 1,), (ndim2 - 2,)))


@implements(np.inner)
def inner(a: Array, b: Array, /) -> Array:
    """Contract the last axes; scalars multiply."""
    a, b = array(operand(a)), array(operand(b))
    if len(shape_of(a)) == 0 or len(shape_of(b)) == 0:
        return a * b
    y = linalg.tensordot(a, b, axes=((len(shape_of(a)) - 1,), (len(shape_of(b)) - 1,)))
    return y if y.ndim else y[()]  # a scalar, as in NumPy


@implements(np.vdot)
def vdot(a: Array, b: Array, /) -> Array:
    """Sum of the products of all elements, those of a conjugated."""
    return linalg.matmul(_conjugated(np.ravel(operand(a))), np.ravel(operand(b)))


def _conjugated(x: Array) -> Array:
    """The conjugate of complex numbers; real ones as they are."""
    return np.conjugate(x) if x.dtype.kind == "c" else x


@implements(np.outer)
def outer(a: Array, b: Array, out: None = None) -> Array:
    """Products of all pairs of elements, (a.size, b.size)."""
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
    return linalg.tensordot(operand(x1), operand(x2), **integers({"axes": axes}))


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Contract one axis, broadcast the others; the elements of x1 are conjugated."""
    x1, x2 = _conjugated(operand(x1)), operand(x2)
    if shape_of(x1)[axis] != shape_of(x2)[axis]:
        raise ArgumentError(f"vecdot: shapes {shape_of(x1)} and {shape_of(x2)} differ along axis {axis}")
    return contraction.einsum(moved(x1, axis, -1), moved(x2, axis, -1), subscripts="...i,...i->...")


implements(np.linalg.vecdot)(vecdot)
if hasattr(np, "vecdot"):
    implements(np.vecdot)(vecdot)
if hasattr(np, "matvec"):  # NumPy 2.2

    @implements(np.matvec)
    def matvec(x1: Array, x2: Array, /) -> Array:
        """Matrices times vectors, (..., m, n) and (..., n)."""
        return _along_axes("matvec", operand(x1), operand(x2), (-1, -1), "...ij,...j->...i")

    @implements(np.vecmat)
    def vecmat(x1: Array, x2: Array, /) -> Array:
        """Vectors, conjugated, times matrices, (..., m) and (..., m, n)."""
        return _along_axes("vecmat", _conjugated(operand(x1)), operand(x2), (-1, -2), "...i,...ij->...j")


def _along_axes(name: str, x1: Array, x2: Array, axes: tuple[int, int], subscripts: str) -> Array:
    shapes = shape_of(x1), shape_of(x2)
    lengths = [dims[k] if len(dims) >= -k else None for dims, k in zip(shapes, axes, strict=True)]
    if lengths[0] != lengths[1] or None in lengths:
        raise ArgumentError(
            f"{name}: shapes {shapes[0]} and {shapes[1]} do not fit along axes {axes[0]} and {axes[1]}"
        )
    return contraction.einsum(x1, x2, subscripts=subscripts)


@implements(np.linalg.diagonal)
def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """Diagonals of the last two axes."""
    return np.diagonal(x, offset, -2, -1)


@implements(np.linalg.trace)
def trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """Sums of the diagonals of the last two axes."""
    return np.trace(x, offset, -2, -1, dtype)


@implements(np.linalg.matrix_transpose)
def matrix_transpose(x: Array, /) -> Array:
    """The last two axes swapped."""
    return np.matrix_transpose(x)


@implements(np.linalg.cross)
def linalg_cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of three components."""
    x1, x2 = operand(x1), operand(x2)
    if shape_of(x1)[axis] != 3 or shape_of(x2)[axis] != 3:
        raise ArgumentError(
            f"np.linalg.cross: three components are expected, got shapes {shape_of(x1)} and {shape_of(x2)}, axis {axis}"
        )
    return np.cross(x1, x2, axis=axis)


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: None = None) -> Array:
    """The product from left to right."""
    y = operand(arrays[0])
    for x in arrays[1:]:
        y = linalg.matmul(y, operand(x))
    return y


@implements(np.linalg.matrix_power)
def matrix_power(a: Array, n: int) -> Array:
    """Repeated squaring; a negative power inverts first."""
    a = operand(a)
    if len(shape_of(a)) < 2 or shape_of(a)[-1] != shape_of(a)[-2]:
        raise np.linalg.LinAlgError(f"matrix_power: square matrices are expected, got shape {shape_of(a)}")
    try:
        n = operator.index(n)
    except TypeError:
        raise ArgumentError(f"matrix_power: an integer exponent is expected, got {n!r}") from None
    if n < 0:
        a, n = solving.inv(a), -n
    if n == 0:
        return np.zeros_like(plain(a)) + np.eye(shape_of(a)[-1], dtype=a.dtype)
    y: Array | None = None
    while n:
        if n & 1:
            y = a if y is None else linalg.matmul(y, a)
        n >>= 1
        a = linalg.matmul(a, a) if n else a
    assert y is not None
    return y


@implements(np.einsum)
def einsum(
    subscripts: Any,
    *operands: Array,
    out: None = None,
    dtype: Any = None,
    order: str = "K",
    casting: Any = "safe",
    optimize: Any = False,
) -> Array:
    """``optimize`` says in which order operands are multiplied, and changes no more than rounding."""
    if not isinstance(subscripts, str):
        subscripts, operands = _written_out((subscripts, *operands))
    operands = tuple([operand(x) for x in operands])
    if dtype is not None:
        # Raises where NumPy does.
        np.einsum(subscripts, *[np.ones_like(plain(x)) for x in operands], dtype=dtype, casting=casting)
        operands = tuple([x.astype(dtype) for x in operands])
    y = contraction.einsum(*operands, subscripts=subscripts)
    if order not in {"K", "A"}:
        return y.copy(order)
    if len(operands) == 1 and _moves_alone(subscripts) and hasattr(operands[0], "_view"):
        return operands[0]._view(y, lambda x: contraction.einsum(x, subscripts=subscripts))
    if optimize is not False and not y.ndim:
        due = np.einsum(subscripts, *[plain(x) for x in operands], optimize=optimize)
        return y if isinstance(due, np.generic) else y[...]  # NumPy's path may end in an array without axes
    return y


def _written_out(args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Operands followed by lists of axes, and maybe the axes of the result, as subscripts and operands."""
    count = len(args) // 2
    words = [
        "".join(["..." if k is Ellipsis else _LETTERS[k] for k in axes])
        for axes in (*args[1 : 2 * count : 2], *args[2 * count :])
    ]
    return ",".join(words[:count]) + ("->" + words[-1] if len(args) % 2 else ""), args[: 2 * count : 2]


_LETTERS = string.ascii_uppercase + string.ascii_lowercase  # in the order in which NumPy sorts axes


def _moves_alone(subscripts: str) -> bool:
    """Whether subscripts of one operand sum over nothing: the result is a view then, of a transpose or a diagonal."""
    given, arrow, left = subscripts.replace(" ", "").replace("...", "").partition("->")
    return set(given) == set(left) if arrow else len(set(given)) == len(given)


# --- norms -----------------------------------------------------------------------------------------------------------


@implements(np.linalg.norm)
def norm(x: Array, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:  # noqa: A002 - NumPy's name
    """np.linalg.norm: vector norms of every order along one axis; for matrices 'fro', 'nuc', 2, -2, 1, -1, inf and -inf."""
    x, order, axis, keepdims = operand(x), _order(ord), _integers(axis), bool(keepdims)
    ndim = len(shape_of(x))
    axes = tuple(range(ndim)) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    if order is None and (axis is None or len(axes) in (1, 2)):
        return linalg.norm(x, ord=2, axis=axis, keepdims=keepdims)
    if len(axes) == 1:
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=order)
    if len(axes) != 2:
        raise ArgumentError(
            f"norm: ord={order!r} needs one or two axes, got shape {shape_of(x)} and axis={axis!r}"
        )
    return _matrix_norm(x, order, axes, keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(x: Array, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:  # noqa: A002 - NumPy's name
    """Over all given axes at once."""
    x, order, axis, keepdims = operand(x), _order(ord), _integers(axis), bool(keepdims)
    if order in (np.inf, -np.inf):
        return (np.max if order > 0 else np.min)(np.abs(x), axis=axis, keepdims=keepdims)
    if order == 0:
        return np.sum((plain(x) != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if isinstance(order, str):
        raise ArgumentError(f"norm: ord={order!r} is not a vector norm")
    return linalg.norm(x, ord=2 if order is None else order, axis=axis, keepdims=keepdims)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:  # noqa: A002 - NumPy's name
    """Over the last two axes."""
    x = operand(x)
    if len(shape_of(x)) < 2:
        raise ArgumentError(f"matrix_norm: two axes or more are expected, got shape {shape_of(x)}")
    return _matrix_norm(x, _order(ord), (-2, -1), bool(keepdims))


def _integers(axis: Any) -> Any:
    """An axis or axes as integers, as NumPy's norms take them."""
    if axis is None:
        return None
    return tuple([operator.index(a) for a in axis]) if isinstance(axis, tuple) else int(axis)


def _order(ord: Any) -> Any:  # noqa: A002 - NumPy's name
    """The order as a word or a Python number: the dtype of a norm is that of the array."""
    return ord.item() if isinstance(ord, (np.generic, np.ndarray)) else ord


def _matrix_norm(x: Array, ord: Any, axes: tuple[int, int], keepdims: bool) -> Array:  # noqa: A002 - NumPy's name
    if ord in (None, "fro", "f"):
        return linalg.norm(x, ord=2, axis=axes, keepdims=keepdims)
    ndim = len(shape_of(x))
    rows, columns = [a % ndim for a in axes]
    if rows == columns:
        raise ValueError("Duplicate axes given.")
    if ord in (2, -2, "nuc"):
        return _shaped(_of_singular_values(moved(x, axes, (-2, -1)), ord), x, (rows, columns), keepdims)
    if ord not in (1, -1, np.inf, -np.inf):
        raise ValueError("Invalid norm order for matrices.")
    inner_axis, outer_axis = (rows, columns) if abs(ord) == 1 else (columns, rows)
    y = (np.max if ord > 0 else np.min)(
        np.sum(np.abs(x), axis=inner_axis, keepdims=True), axis=outer_axis, keepdims=True
    )
    return _shaped(y, x, (rows, columns), keepdims)


def _of_singular_values(x: Array, ord: Any) -> Array:  # noqa: A002 - NumPy's name
    """The largest, the smallest or the sum of the singular values of the last two axes."""
    s = svdvals(x)
    if ord == "nuc":
        return np.sum(s, axis=-1)
    return np.max(s, axis=-1, initial=0) if ord == 2 else np.min(s, axis=-1)


def _shaped(y: Array, x: Array, axes: tuple[int, int], keepdims: bool) -> Array:
    """A norm over two axes of x: without them, or with their lengths 1."""
    shape = [1 if k in axes else n for k, n in enumerate(shape_of(x))]
    y = np.reshape(y, tuple(shape if keepdims else [n for k, n in enumerate(shape) if k not in axes]))
    return y if y.ndim else y[()]  # a scalar, as in NumPy


# --- determinants ----------------------------------------------------------------------------------------------------


@implements(np.linalg.slogdet)
def slogdet(a: Array) -> Any:
    """det a / |det a|, which has no derivative for real matrices, and log|det a|."""
    if is_complex(a, "slogdet"):
        return SlogdetResult(*complex_slogdet(a))
    return SlogdetResult(dense_linalg.slogdet(plain(a))[0], solving.logabsdet(a))
