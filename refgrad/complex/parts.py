"""Complex numbers from two real arrays and back, in NumPy and in torch; the drawer of a complex operand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from refgrad.arrays import Array, Params, PlainArray
from refgrad.bounds import formats
from refgrad.formula import Formula
from refgrad.op import Draws, twin
from refgrad.ops.complex_numbers import from_parts

Composition = TypeVar("Composition", bound=Callable[..., Any])

# Those of the parts of complex dtypes: torch has few kernels for complex numbers whose parts are halves.
FORMATS = tuple(name for name, fmt in formats.FORMATS.items() if fmt.factorised)


def joined(re: Array, im: Array | None) -> Array:
    """re + i im; the real array itself where there is no imaginary part."""
    return re if im is None else from_parts(re, im)


def parted(y: Array) -> Array:
    """Real and imaginary parts along a new last axis; a real array itself."""
    return np.stack([y.real, y.imag], -1) if y.dtype.kind == "c" else y


def torch_joined(torch: Any, re: Any, im: Any) -> Any:
    """``joined`` of tensors."""
    return re if im is None else torch.complex(re, im)


def torch_parted(torch: Any, y: Any) -> Any:
    """``parted`` of a tensor. A conjugate that torch has not formed yet is formed here."""
    return torch.view_as_real(y.resolve_conj()) if y.is_complex() else y


def complex_twin(
    torch: Callable[..., Any],
    draw: Callable[[Draws], Params],
    sums: bool = False,
    usual: tuple[Formula, ...] = (),
) -> Callable[[Composition], Composition]:
    """``twin`` of a function by parts, in the formats of the parts of torch's complex dtypes.

    ``torch`` receives the torch module and the arguments of the function, and returns a complex or a real tensor.
    """
    return twin(torch=torch, draw=draw, sums=sums, usual=usual, formats=FORMATS)


def pair(draws: Draws, name: str, shape: tuple[int, ...]) -> dict[str, PlainArray]:
    """A complex operand: its parts, as the operands ``name`` and ``name_imag``."""
    return {name: draws.numbers(shape), f"{name}_imag": draws.numbers(shape)}


def one(draws: Draws) -> Params:
    """A complex operand z of up to three axes."""
    return pair(draws, "z", draws.shape(0, 3))


def two(draws: Draws) -> Params:
    """Two operands that broadcast, both complex or one of them real."""
    shape = draws.shape(0, 2)
    other = draws.choice((shape, shape[1:], tuple([1] * len(shape))))
    kind = draws.choice(("both", "first", "second"))
    z, w = pair(draws, "z", shape), pair(draws, "w", other)
    return {
        **z,
        **w,
        "z_imag": None if kind == "second" else z["z_imag"],
        "w_imag": None if kind == "first" else w["w_imag"],
    }
