"""Products, quotients and sums of products of complex numbers by their parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, Params
from refgrad.complex.parts import complex_twin, joined, one, pair, parted, torch_joined, torch_parted, two
from refgrad.op import Draws

Imaginary = Array | None


@complex_twin(
    torch=lambda torch, z, z_imag, w, w_imag: torch_parted(
        torch, torch.mul(torch_joined(torch, z, z_imag), torch_joined(torch, w, w_imag))
    ),
    draw=two,
)
def multiply(z: Array, z_imag: Imaginary, w: Array, w_imag: Imaginary) -> Array:
    """np.multiply of two operands, one of which may be real. Their shapes broadcast."""
    return parted(np.multiply(joined(z, z_imag), joined(w, w_imag)))


@complex_twin(
    torch=lambda torch, z, z_imag, w, w_imag: torch_parted(
        torch, torch.div(torch_joined(torch, z, z_imag), torch_joined(torch, w, w_imag))
    ),
    draw=two,
)
def divide(z: Array, z_imag: Imaginary, w: Array, w_imag: Imaginary) -> Array:
    """np.divide of two operands, one of which may be real. Their shapes broadcast."""
    return parted(np.divide(joined(z, z_imag), joined(w, w_imag)))


@complex_twin(
    torch=lambda torch, z, z_imag: torch_parted(torch, torch.reciprocal(torch_joined(torch, z, z_imag))),
    draw=one,
)
def reciprocal(z: Array, z_imag: Array) -> Array:
    """np.reciprocal of z + i z_imag."""
    return parted(np.reciprocal(joined(z, z_imag)))


@complex_twin(
    torch=lambda torch, z, z_imag: torch_parted(torch, torch.square(torch_joined(torch, z, z_imag))),
    draw=one,
)
def square(z: Array, z_imag: Array) -> Array:
    """np.square of z + i z_imag."""
    return parted(np.square(joined(z, z_imag)))


@complex_twin(
    torch=lambda torch, z, z_imag: torch_parted(torch, torch.conj(torch_joined(torch, z, z_imag))),
    draw=one,
)
def conj(z: Array, z_imag: Array) -> Array:
    """np.conj of z + i z_imag."""
    return parted(np.conj(joined(z, z_imag)))


def _draw_product(draws: Draws) -> Params:
    shape = draws.shape(1, 3)
    return {**pair(draws, "z", shape), "axis": draws.integer(-len(shape), len(shape) - 1)}


@complex_twin(
    torch=lambda torch, z, z_imag, axis: torch_parted(
        torch, torch.prod(torch_joined(torch, z, z_imag), axis)
    ),
    draw=_draw_product,
    sums=True,
)
def prod(z: Array, z_imag: Array, axis: int) -> Array:
    """np.prod of z + i z_imag over one axis."""
    return parted(np.prod(joined(z, z_imag), axis=axis))


def _draw_polar(draws: Draws) -> Params:
    shape = draws.shape(0, 2)
    return {"modulus": draws.numbers(shape, 0.0), "angle": draws.numbers(shape)}


@complex_twin(
    torch=lambda torch, modulus, angle: torch_parted(torch, torch.polar(modulus, angle)), draw=_draw_polar
)
def polar(modulus: Array, angle: Array) -> Array:
    """modulus exp(i angle), which NumPy has no name for."""
    return parted(modulus * np.cos(angle) + 1j * (modulus * np.sin(angle)))


def _draw_matmul(draws: Draws) -> Params:
    rows, inner, columns = draws.size(), draws.size(), draws.size()
    kind = draws.choice(("both", "first", "second"))
    conjugated = draws.choice((False, True))
    z, w = pair(draws, "z", (rows, inner)), pair(draws, "w", (inner, columns))
    if kind == "first":
        w["w_imag"] = np.zeros_like(w["w"])
    if kind == "second":
        z["z_imag"] = np.zeros_like(z["z"])
    return {**z, **w, "conjugated": conjugated}


def _torch_matmul(torch: Any, z: Any, z_imag: Any, w: Any, w_imag: Any, conjugated: bool) -> Any:
    left, right = torch_joined(torch, z, z_imag), torch_joined(torch, w, w_imag)
    return torch_parted(torch, torch.matmul(left.conj() if conjugated else left, right))


@complex_twin(torch=_torch_matmul, draw=_draw_matmul, sums=True)
def matmul(z: Array, z_imag: Array, w: Array, w_imag: Array, conjugated: bool = False) -> Array:
    """np.matmul of two complex matrices; ``conjugated`` takes the conjugate of the first one."""
    left, right = joined(z, z_imag), joined(w, w_imag)
    return parted(np.matmul(np.conj(left) if conjugated else left, right))


def _draw_einsum(draws: Draws) -> Params:
    i, j, k = draws.size(), draws.size(), draws.size()
    subscripts, left, right = draws.choice(
        (
            ("i,i->", (i,), (i,)),
            ("ij,kj->ik", (i, j), (k, j)),
            ("ij,ij->j", (i, j), (i, j)),
            ("i,j->ij", (i,), (j,)),
        )
    )
    return {"subscripts": subscripts, **pair(draws, "z", left), **pair(draws, "w", right)}


@complex_twin(
    torch=lambda torch, subscripts, z, z_imag, w, w_imag: torch_parted(
        torch, torch.einsum(subscripts, torch_joined(torch, z, z_imag), torch_joined(torch, w, w_imag))
    ),
    draw=_draw_einsum,
    sums=True,
)
def einsum(subscripts: str, z: Array, z_imag: Array, w: Array, w_imag: Array) -> Array:
    """np.einsum of two complex operands."""
    return parted(np.einsum(subscripts, joined(z, z_imag), joined(w, w_imag)))
