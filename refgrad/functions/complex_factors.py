"""Factors of complex matrices, composed of functions that take complex numbers."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.ops import pseudoinverse
from refgrad.ops.dense_linalg import square
from refgrad.ops.undefined import rough
from refgrad.tracing.differentiable_arguments import plain


def complex_cholesky(a: Array, upper: bool) -> Array:
    """Cholesky's factor of complex matrices.

    Each column is what is left of A's after the products of the columns before it, divided by the root of its first element:
    Golub and Van Loan, Matrix Computations, section 4.2.
    """
    np.linalg.cholesky(square("cholesky", plain(a)).astype(complex), upper=upper)  # raises where NumPy does
    if a.size == 0:
        return a.copy()
    a = adjoint(a) if upper else a
    n = a.shape[-1]
    columns: list[Array] = []
    for j in range(n):
        column = a[..., j:, j]
        if columns:
            before = np.stack([c[..., j - k :] for k, c in enumerate(columns)], -1)
            first = before[..., 0, :, None]
            column = column - np.matmul(before, np.conjugate(first))[..., 0]
        root = np.sqrt(column[..., :1].real)
        columns.append(np.concatenate([root, column[..., 1:] / root], -1))
    still = ((0, 0),) * (a.ndim - 2)
    low = np.stack([np.pad(c, (*still, (k, 0))) for k, c in enumerate(columns)], -1)
    return adjoint(low) if upper else low


def complex_qr(a: Array) -> tuple[Array, Array]:
    """NumPy's Q (..., m, k) and R (..., k, n) of complex matrices, k = min(m, n), whose first k columns are independent.

    R has a real diagonal. With LAPACK's R as a constant, A R^-1 has nearly orthonormal columns: Cholesky's factor of their products, which
    are nearly I, corrects it without a loss of digits. Where a column depends on others Q and R have no derivative: it is NaN.
    """
    q, r = np.linalg.qr(plain(a))
    k = q.shape[-1]
    if not q.size:
        return q + 0 * a[..., :k], r + 0 * a[..., :k, :]
    size = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    regular = np.all(
        size > max(a.shape[-2:]) * np.finfo(size.dtype).eps * np.max(size, -1, keepdims=True), -1
    )[..., None, None]
    start = np.where(regular, r[..., :k], np.eye(k, dtype=r.dtype))
    head = np.where(regular, a[..., :k], np.eye(a.shape[-2], k, dtype=r.dtype))
    near = np.matmul(head, np.linalg.inv(start))
    low = complex_cholesky(np.matmul(adjoint(near), near), upper=False)
    turned = np.matmul(near, np.linalg.inv(adjoint(low)))
    moved = np.concatenate([np.matmul(adjoint(low), start), np.matmul(adjoint(turned), a[..., k:])], -1)
    turned, moved = [np.where(regular, y, np.nan * a.ravel()[0]) for y in (turned, moved)]
    return with_numbers(q, turned), with_numbers(r, moved)


def complex_pinv(a: Array, rcond: float) -> Array:
    """The Moore-Penrose inverse of complex matrices.

    X + iY -> [[X, -Y], [Y, X]] respects sums, products and adjoints, so it carries the four equations that define the inverse over to real
    matrices. Each singular value occurs there twice, which changes neither the rank nor what rcond cuts.
    """
    x, y = a.real, a.imag
    m, n = a.shape[-2:]
    whole = np.concatenate([np.concatenate([x, -y], -1), np.concatenate([y, x], -1)], -2)
    found: Array = pseudoinverse.pinv(whole, rcond=rcond)
    return found[..., :n, :m] + 1j * found[..., n:, :m]


def complex_slogdet(a: Array) -> tuple[Array, Array]:
    """det A / |det A| and log|det A| of complex matrices: 0 and -inf for singular ones, where the derivative is NaN.

    log det A is that of LAPACK's factors plus log det (A0^-1 A), with A0 = A as a constant: a determinant near 1, which cannot leave the
    range of the dtype.
    """
    x = square("slogdet", plain(a))
    sign, logarithm = np.linalg.slogdet(x)
    regular = np.isfinite(logarithm)
    eye = np.eye(x.shape[-1], dtype=x.dtype)
    start = np.where(regular[..., None, None], x, eye)
    det = np.linalg.det(np.linalg.solve(start, np.where(regular[..., None, None], a, eye)))
    size = np.abs(det)
    lost = np.nan * np.sum(a, axis=(-2, -1))
    turned = np.where(regular, sign * (det / size), lost)
    grown = np.where(regular, np.log(size), lost.real)
    return with_numbers(sign, turned), with_numbers(logarithm, grown)


def with_numbers(start: PlainArray, y: Array) -> Array:
    """The numbers of start, with the derivative of y. Where y is NaN there is none, and the derivative is NaN."""
    lost = np.isnan(plain(y))
    moved: Array = start + np.where(lost, 0, y - plain(y))
    return moved + rough(y, at=lost) if lost.any() else moved


def adjoint(a: Array) -> Array:
    """The conjugate transpose."""
    turned: Array = np.matrix_transpose(a)
    return np.conjugate(turned)
