"""Determinants, inverses and linear systems of complex matrices by their parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, Params
from refgrad.complex.parts import complex_twin, joined, pair, parted, torch_joined, torch_parted
from refgrad.formula import Formula
from refgrad.op import Draws


def _matrices(draws: Draws) -> Params:
    """Square matrices, one or a stack, well conditioned: unitary ones with scaled columns, and a little noise."""
    n, stack, rng = draws.integer(1, 4), draws.choice(((), (2,))), draws.rng
    shape = (*stack, n, n)
    basis = np.linalg.qr(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))[0]
    z = basis * rng.uniform(0.5, 2.0, (*stack, 1, n))
    noise = rng.standard_normal((2, *shape))
    return {"z": z.real + 0.05 * noise[0], "z_imag": z.imag + 0.05 * noise[1]}


def _det_over_itself(z: Array, z_imag: Array) -> Array:
    det = np.linalg.det(joined(z, z_imag))
    return parted(det * det / det)


@complex_twin(
    torch=lambda torch, z, z_imag: torch_parted(torch, torch.linalg.det(torch_joined(torch, z, z_imag))),
    draw=_matrices,
    sums=True,
    # d det = det tr(A^-1 dA), whose derivative is det (tr(A^-1 dA)^2 - tr(A^-1 dA A^-1 dA)). Of a matrix of one element the two terms
    # cancel, as those of the quotient do. torch computes so up to 2.9.
    usual=(Formula("the determinant times the inverse: the square over it", function=_det_over_itself),),
)
def det(z: Array, z_imag: Array) -> Array:
    """np.linalg.det of z + i z_imag, matrices of shape (..., n, n)."""
    return parted(np.linalg.det(joined(z, z_imag)))


@complex_twin(
    torch=lambda torch, z, z_imag: torch_parted(torch, torch.linalg.inv(torch_joined(torch, z, z_imag))),
    draw=_matrices,
    sums=True,
)
def inv(z: Array, z_imag: Array) -> Array:
    """np.linalg.inv of z + i z_imag, matrices of shape (..., n, n). Raises numpy.linalg.LinAlgError for a singular one."""
    return parted(np.linalg.inv(joined(z, z_imag)))


def _system(draws: Draws) -> Params:
    found = _matrices(draws)
    return {**found, **pair(draws, "b", (*found["z"].shape[:-1], draws.integer(1, 3)))}


def _torch_solve(torch: Any, z: Any, z_imag: Any, b: Any, b_imag: Any) -> Any:
    return torch_parted(
        torch, torch.linalg.solve(torch_joined(torch, z, z_imag), torch_joined(torch, b, b_imag))
    )


@complex_twin(torch=_torch_solve, draw=_system, sums=True)
def solve(z: Array, z_imag: Array, b: Array, b_imag: Array) -> Array:
    """np.linalg.solve of complex matrices of shape (..., n, n) and right-hand sides of shape (..., n, k).

    Raises numpy.linalg.LinAlgError for a singular matrix.
    """
    return parted(np.linalg.solve(joined(z, z_imag), joined(b, b_imag)))
