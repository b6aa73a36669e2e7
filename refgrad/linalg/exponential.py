"""The exponential of a matrix."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.linalg.arguments import matrices
from refgrad.ops import matrix_exponential


def matrix_exp(A: Array) -> Array:  # noqa: N803 - torch's name
    """The sum of A^k/k!, for matrices (..., n, n): the solution of Y' = A Y, Y(0) = I at 1.

    Higham, "Functions of Matrices" (2008), chapter 10. NaN for matrices with an element that is not finite.

    Raises ArgumentError for matrices that are not square.
    """
    return matrix_exponential.matrix_exp(matrices(A, "matrix_exp", square=True))
