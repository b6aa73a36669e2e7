"""Named conditions on matrices that limit a recorded disagreement: of each matrix of a stack, whether it is covered."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.formats import Format
from refgrad.bounds.profiles import DOUBLE
from refgrad.op import Params
from refgrad.testing.deviations.condition import Operands, Place


def _spectrum(a: Array) -> Array:
    """The singular values of each matrix, the largest first; zeros for a matrix that is not finite."""
    matrices = np.asarray(a, float)
    finite = np.isfinite(matrices).all(axis=(-2, -1))
    return np.linalg.svd(np.where(finite[..., None, None], matrices, 0.0), compute_uv=False)


def _singular(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether it has no inverse, as far as elimination can tell: within n^2 u of one (Higham, ch. 9)."""
    spectrum = _spectrum(xs[0])
    return spectrum[..., -1] <= xs[0].shape[-1] ** 2 * fmt.u * spectrum[..., 0]


def _singular_in_the_stack(xs: Operands, params: Params, fmt: Format) -> Array:
    """Some matrix of the stack has no inverse, as far as elimination can tell."""
    return np.asarray(np.any(_singular(xs, params, fmt)))


def _equal_singular_values(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether two of its singular values are equal, as far as their computation can tell."""
    spectrum = _spectrum(xs[0])
    gaps = spectrum[..., :-1] - spectrum[..., 1:]
    return np.any(gaps <= xs[0].shape[-1] ** 2 * fmt.u * spectrum[..., :1], axis=-1)


def _small_matrix(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether its 1-norm is at most 0.05, or 0.58 where kernels do not compute in float64."""
    norms = np.max(np.sum(np.abs(np.asarray(xs[0], float)), axis=-2), axis=-1, initial=0.0)
    return norms <= (0.05 if fmt.accumulator == DOUBLE else 0.58)


def _cube_of_pinv_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether the cube of the norm of its pseudo-inverse overflows."""
    spectrum = _spectrum(xs[0])
    least = np.min(np.where(spectrum > 0, spectrum, np.inf), axis=-1, initial=np.inf)
    return least < fmt.max ** (-1 / 3)


def _inverse_overflows(xs: Operands, _params: Params, fmt: Format) -> Array:
    """Of each matrix, whether its inverse overflows, as far as its singular values can tell."""
    spectrum = _spectrum(xs[0])
    return np.asarray(spectrum[..., -1] <= xs[0].shape[-1] / fmt.max)


MATRIX_PLACES: dict[str, Place] = {
    "singular matrix": _singular,
    "a singular matrix in the stack": _singular_in_the_stack,
    "equal singular values": _equal_singular_values,
    "small matrix": _small_matrix,
    "the cube of the pseudo-inverse overflows": _cube_of_pinv_overflows,
    "the inverse overflows": _inverse_overflows,
}

__all__ = ["MATRIX_PLACES"]
