"""Linear algebra for which np.linalg has no name, under the names of torch.linalg.

All take NumPy arrays (or traced ones) and stacks of matrices in their last two axes, and keep the dtype. They are ordinary functions: apply
them to plain arrays, or differentiate code that calls them. What np.linalg has is written with NumPy's own names.
"""

from __future__ import annotations

from refgrad.linalg.exponential import (
    matrix_exp,
)
from refgrad.linalg.triangular import (
    cholesky_inverse,
    cholesky_solve,
    solve_triangular,
)

__all__ = [
    "cholesky_inverse",
    "cholesky_solve",
    "matrix_exp",
    "solve_triangular",
]
