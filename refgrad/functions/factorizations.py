"""Factors of a matrix under NumPy's names: Cholesky's, eigenvalues and eigenvectors, singular values and vectors, Q and R."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg._linalg import EighResult, EigResult, QRResult, SVDResult

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.functions import complex_eigenvalues, complex_spectra
from refgrad.functions.complex_factors import complex_cholesky, complex_qr
from refgrad.functions.registry import implements, operand
from refgrad.ops import eigenvalues, orthogonal_triangular, real_eigenvalues, singular_values, triangular
from refgrad.ops.shape import cast
from refgrad.tracing.differentiable_arguments import encloses, plain


def matrices(x: Any, name: str) -> Array:
    """The argument as a stack of matrices. Raises ArgumentError in the name of the NumPy function for fewer than two dimensions."""
    x = operand(x)
    if x.ndim < 2:
        raise ArgumentError(
            f"np.linalg.{name}: matrices are expected, shape (..., m, n); got shape {x.shape}"
        )
    return x


def is_complex(a: Array, name: str) -> bool:
    """Whether a holds complex numbers. Raises NoRuleError over Balls: the compositions for complex matrices have no bounds."""
    if a.dtype.kind != "c":
        return False
    if encloses(a):
        raise NoRuleError(
            f"np.linalg.{name} of complex matrices has derivatives, and no bound of rounding errors, which a judge needs. "
            "Write the reference with np.linalg.det, np.linalg.inv or np.linalg.solve."
        )
    return True


@implements(np.linalg.cholesky)
def cholesky(a: Array, /, *, upper: bool = False) -> Array:
    """L with A = L L^H, (..., n, n), or its conjugate transpose, for real and complex matrices.

    As NumPy it reads one triangle of A, on which alone the derivative depends.
    Raises numpy.linalg.LinAlgError for a matrix that is not positive definite, ArgumentError for one that is not square.
    """
    a = matrices(a, "cholesky")
    if a.dtype.kind == "c":
        return complex_cholesky(a, upper)
    if not upper:
        return triangular.cholesky(a)
    return np.matrix_transpose(triangular.cholesky(np.matrix_transpose(a)))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Array, UPLO: str = "L") -> Array:
    """Eigenvalues (..., n) in ascending order of the symmetric or Hermitian matrices of which a holds the triangle UPLO, (..., n, n).

    The derivative depends on that triangle alone. Where eigenvalues meet, that of a single one is a convention.
    """
    a, uplo = matrices(a, "eigvalsh"), _triangle(UPLO)
    return (
        complex_spectra.eigenvalues(a, uplo)
        if is_complex(a, "eigvalsh")
        else eigenvalues.eigenvalues(a, UPLO=uplo)
    )


@implements(np.linalg.eigh)
def eigh(a: Array, UPLO: str = "L") -> Any:
    """Eigenvalues (..., n) and eigenvectors in columns (..., n, n), as a named tuple.

    The derivative of the vectors is right for functions that do not depend on their signs or phases, and NaN where eigenvalues meet.
    """
    a, uplo = matrices(a, "eigh"), _triangle(UPLO)
    if is_complex(a, "eigh"):
        pair: Any = complex_spectra.eigenvalues(a, uplo), complex_spectra.eigenvectors(a, uplo)
        return EighResult(*pair)
    return EighResult(eigenvalues.eigenvalues(a, UPLO=uplo), eigenvalues.eigenvectors(a, UPLO=uplo))


def _triangle(uplo: str) -> str:
    if uplo.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return uplo.upper()


# From NumPy 2.5 on, eig and eigvals return complex arrays for real eigenvalues, too.
_ALWAYS_COMPLEX = np.linalg.eigvals(np.eye(1)).dtype.kind == "c"


def _as_numpy_has_it(y: Array) -> Array:
    return cast(y, np.result_type(y.dtype, np.complex64)) if _ALWAYS_COMPLEX else y


@implements(np.linalg.eigvals)
def eigvals(a: Array) -> Array:
    """Eigenvalues (..., n) of matrices without symmetry. Where eigenvalues meet, the derivative of a single one is a convention."""
    a = matrices(a, "eigvals")
    first = complex_eigenvalues.found(a, "eigvals")
    if first is not None:
        return complex_eigenvalues.values(a, first)
    return _as_numpy_has_it(real_eigenvalues.real_eigenvalues(a))


@implements(np.linalg.eig)
def eig(a: Array) -> Any:
    """Eigenvalues (..., n) and eigenvectors of norm 1 in columns (..., n, n), as a named tuple.

    The derivative of real vectors is right for functions that do not depend on their signs, and NaN where eigenvalues meet. Complex vectors
    have a real element of largest modulus, as NumPy's; see complex_eigenvalues.py.
    """
    a = matrices(a, "eig")
    first = complex_eigenvalues.found(a, "eig")
    if first is not None:
        pair: Any = complex_eigenvalues.values(a, first), complex_eigenvalues.vectors(a, first[1])
    else:
        real = real_eigenvalues.real_eigenvalues(a), real_eigenvalues.real_eigenvectors(a)
        pair = [_as_numpy_has_it(y) for y in real]
    return EigResult(*pair)


@implements(np.linalg.svd)
def svd(a: Array, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """U, the singular values (..., k) in descending order and V^T, k = min(m, n), as a named tuple; without ``compute_uv`` only the second.

    The derivative of a pair of vectors is right for functions that do not depend on their common sign, and NaN where singular values meet.
    That of the vectors beyond the first k is right for functions that no rotation of them changes; complex matrices have none of those
    vectors. ``hermitian`` reads the lower triangle.
    """
    a = matrices(a, "svd")
    if hermitian:
        return _hermitian(a, compute_uv)
    s = svdvals(a)
    if not compute_uv:
        return s
    if is_complex(a, "svd"):
        if full_matrices and a.shape[-2] != a.shape[-1]:
            raise NoRuleError(
                f"np.linalg.svd: full_matrices=True of complex matrices of shape {a.shape} adds vectors that are arbitrary up to a "
                "rotation, for which refgrad has no rule. Use full_matrices=False."
            )
        found: Any = complex_spectra.singular_vectors(a)
        return SVDResult(found[0], s, found[1])
    u, v = singular_values.singular_vectors(a), singular_values.singular_vectors(a, right=True)
    m, n = a.shape[-2:]
    if full_matrices and m > n:
        u = np.concatenate([u, singular_values.singular_complement(a)], axis=-1)
    if full_matrices and n > m:
        v = np.concatenate([v, singular_values.singular_complement(a, right=True)], axis=-1)
    return SVDResult(u, s, np.matrix_transpose(v))


@implements(np.linalg.svdvals)
def svdvals(x: Array, /) -> Any:
    """Singular values (..., k) in descending order of matrices (..., m, n), k = min(m, n)."""
    x = matrices(x, "svdvals")
    return (
        complex_spectra.singular_values(x) if is_complex(x, "svdvals") else singular_values.singular_values(x)
    )


def _hermitian(a: Array, compute_uv: bool) -> Any:
    """The decomposition by eigenvalues, as in NumPy: their signs move into V."""
    w = eigvalsh(a)
    order = np.argsort(np.abs(plain(w)), axis=-1)[..., ::-1]
    s = np.take_along_axis(np.abs(w), order, axis=-1)
    if not compute_uv:
        return s
    u = np.take_along_axis(eigh(a).eigenvectors, order[..., None, :], axis=-1)
    sign = np.take_along_axis(np.copysign(np.ones((), w.dtype), plain(w)), order, axis=-1)
    v: Any = np.matrix_transpose(u * sign[..., None, :])
    return SVDResult(u, s, np.conjugate(v) if is_complex(a, "svd") else v)


@implements(np.linalg.qr)
def qr(a: Array, mode: str = "reduced") -> Any:
    """Q (..., m, k) and R (..., k, n), k = min(m, n), as a named tuple; R alone for mode="r".

    The first k columns have to be independent. Raises NoRuleError for mode="complete" of more rows than columns, whose further columns of Q
    are arbitrary, and for mode="raw".
    """
    a = matrices(a, "qr")
    if mode == "r":
        return complex_qr(a)[1] if is_complex(a, "qr") else orthogonal_triangular.factor_r(a)
    if mode == "complete" and a.shape[-2] > a.shape[-1]:
        raise NoRuleError(
            f"np.linalg.qr: mode='complete' of shape {a.shape} adds columns to Q that are arbitrary up to a rotation, so they have no "
            "derivative. Use mode='reduced'."
        )
    if mode not in ("reduced", "complete"):
        raise NoRuleError(f"np.linalg.qr: mode={mode!r} has no rule; 'reduced', 'complete' and 'r' have one")
    if is_complex(a, "qr"):
        pair: Any = complex_qr(a)
        return QRResult(*pair)
    return QRResult(orthogonal_triangular.factor_q(a), orthogonal_triangular.factor_r(a))
