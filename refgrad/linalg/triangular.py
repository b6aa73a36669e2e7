"""Systems with triangular matrices, and with matrices whose Cholesky factor is known."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.linalg.arguments import matrices, transposed
from refgrad.ops import triangular


def solve_triangular(
    A: Array,  # noqa: N803 - torch's name
    B: Array,  # noqa: N803
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Array:
    """X with A X = B for triangular A (..., n, n) and B (..., n, k); X A = B for B (..., k, n) with ``left=False``.

    The other triangle is not read, nor the diagonal with ``unitriangular``: it counts as ones. The leading axes broadcast. For the
    transposed system pass the transposed matrix, and ``upper`` negated. Golub and Van Loan, "Matrix Computations", section 3.1.

    A zero on the diagonal gives infinities and NaN. Raises ArgumentError for shapes that do not fit.
    """
    a, b = matrices(A, "solve_triangular", square=True), matrices(B, "solve_triangular")
    given = (a.shape, b.shape)
    if not left:
        a, b, upper = transposed(a), transposed(b), not upper
    if a.shape[-1] != b.shape[-2]:
        raise ArgumentError(
            f"solve_triangular: shapes (..., n, n) and {'(..., n, k)' if left else '(..., k, n)'} are expected with left={left}, got "
            f"{given[0]} and {given[1]}"
        )
    x = triangular.solve_triangular(a, b, upper=bool(upper), unitriangular=bool(unitriangular))
    return x if left else transposed(x)


def cholesky_solve(B: Array, L: Array, *, upper: bool = False) -> Array:  # noqa: N803 - torch's names
    """X with A X = B for A = L L^T, or A = L^T L with ``upper``: B of shape (..., n, k), L of shape (..., n, n).

    The name in torch is torch.cholesky_solve. Raises ArgumentError for shapes that do not fit.
    """
    b, factor = matrices(B, "cholesky_solve"), matrices(L, "cholesky_solve", square=True)
    low = transposed(factor) if upper else factor
    return solve_triangular(transposed(low), solve_triangular(low, b, upper=False), upper=True)


def cholesky_inverse(L: Array, *, upper: bool = False) -> Array:  # noqa: N803
    """The inverse of A = L L^T, or of A = L^T L with ``upper``, (..., n, n).

    The name in torch is torch.cholesky_inverse. Raises ArgumentError for matrices that are not square.
    """
    factor = matrices(L, "cholesky_inverse", square=True)
    return cholesky_solve(np.eye(factor.shape[-1], dtype=factor.dtype), factor, upper=upper)
