"""Discrete Fourier transforms by the parts of complex operands and values, with torch's names of lengths and axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array, Params
from refgrad.complex.parts import complex_twin, joined, pair, parted, torch_joined, torch_parted
from refgrad.op import Draws

NUMPY: Any = np.fft  # whose stubs take norms as literals alone
NORMS = (None, "ortho", "forward", "backward")
OfComplex = Callable[..., Array]
OfReal = Callable[..., Array]


def _named(**params: Any) -> Params:
    return params


def _one_axis(draws: Draws, half: bool = False) -> tuple[tuple[int, ...], Params]:
    """A shape, and the length and axis of a transform; ``half`` says that the operand is half a spectrum."""
    shape = draws.shape(1, 2)
    axis = draws.choice((-1, 0))
    size = shape[axis]
    usual = 2 * (size - 1) if half else size
    lengths = [None, usual + 1, max(usual - 1, 1), 2 * usual] if usual else [1, 2]
    n = draws.choice([k for k in lengths if k != 0])
    return shape, _named(n=n, dim=axis, norm=draws.choice(NORMS))


def _several_axes(draws: Draws, count: int | None, half: bool = False) -> tuple[tuple[int, ...], Params]:
    """The same for ``count`` axes, or for all or some axes where it is None."""
    shape = draws.shape(2, 3)
    axes = tuple(range(-len(shape), 0))
    if count is None:
        dim = draws.choice((None, axes[-2:], axes[:1], axes[:2][::-1]))
        dim = axes if half and dim is None and shape[-1] == 1 else dim  # the value would have no elements
    else:
        dim = draws.choice((axes[-2:], axes[:2], axes[-2:][::-1]))
    over = axes if dim is None else dim
    sizes = [shape[k] for k in over]
    if half:
        sizes[-1] = 2 * (sizes[-1] - 1)
    s = draws.choice((None, "longer", "shorter"))
    s = s if dim is not None else None  # as in NumPy: lengths belong to axes
    if s is None and half and not sizes[-1]:
        s = "longer"
    lengths = None if s is None else [k + 1 if s == "longer" else max(k - 1, 1) for k in sizes]
    return shape, _named(s=lengths, dim=dim, norm=draws.choice(NORMS))


def _spectrum(several: bool, count: int | None, half: bool) -> Callable[[Draws], Params]:
    """The drawer of a complex operand with lengths, axes and norm."""

    def draw(draws: Draws) -> Params:
        shape, params = _several_axes(draws, count, half) if several else _one_axis(draws, half)
        return {**pair(draws, "z", shape), **params}

    return draw


def _signal(several: bool, count: int | None) -> Callable[[Draws], Params]:
    """The drawer of a real operand with lengths, axes and norm."""

    def draw(draws: Draws) -> Params:
        shape, params = _several_axes(draws, count) if several else _one_axis(draws)
        return {"x": draws.numbers(shape), **params}

    return draw


def _describe(function: Any, name: str, operand: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"np.fft.{name} of {operand}. A complex value has an axis more, of its two parts."


def _of_complex(name: str, half: bool = False) -> OfComplex:
    """A transform of a complex operand; ``half`` says that it is half a spectrum, whose value is real."""
    function, several = getattr(NUMPY, name), name[-1] in "2n"
    count = 2 if name[-1] == "2" else None
    draw = _spectrum(several, count, half)
    if several:

        def over_axes(
            z: Array, z_imag: Array, s: Any = None, dim: Any = None, norm: str | None = None
        ) -> Array:
            return parted(function(joined(z, z_imag), s, dim, norm))

        def torch_over_axes(torch: Any, z: Any, z_imag: Any, s: Any, dim: Any, norm: Any) -> Any:
            return torch_parted(torch, getattr(torch.fft, name)(torch_joined(torch, z, z_imag), s, dim, norm))

        _describe(over_axes, name, "z + i z_imag")
        return complex_twin(torch=torch_over_axes, draw=draw, sums=True)(over_axes)

    def along(z: Array, z_imag: Array, n: Any = None, dim: Any = -1, norm: str | None = None) -> Array:
        return parted(function(joined(z, z_imag), n, dim, norm))

    def torch_along(torch: Any, z: Any, z_imag: Any, n: Any, dim: Any, norm: Any) -> Any:
        return torch_parted(torch, getattr(torch.fft, name)(torch_joined(torch, z, z_imag), n, dim, norm))

    _describe(along, name, "z + i z_imag")
    return complex_twin(torch=torch_along, draw=draw, sums=True)(along)


def _of_real(name: str) -> OfReal:
    """A transform of a real operand."""
    function, several = getattr(NUMPY, name), name[-1] in "2n"
    draw = _signal(several, 2 if name[-1] == "2" else None)
    if several:

        def over_axes(x: Array, s: Any = None, dim: Any = None, norm: str | None = None) -> Array:
            return parted(function(x, s, dim, norm))

        def torch_over_axes(torch: Any, x: Any, s: Any, dim: Any, norm: Any) -> Any:
            return torch_parted(torch, getattr(torch.fft, name)(x, s, dim, norm))

        _describe(over_axes, name, "x")
        return complex_twin(torch=torch_over_axes, draw=draw, sums=True)(over_axes)

    def along(x: Array, n: Any = None, dim: Any = -1, norm: str | None = None) -> Array:
        return parted(function(x, n, dim, norm))

    def torch_along(torch: Any, x: Any, n: Any, dim: Any, norm: Any) -> Any:
        return torch_parted(torch, getattr(torch.fft, name)(x, n, dim, norm))

    _describe(along, name, "x")
    return complex_twin(torch=torch_along, draw=draw, sums=True)(along)


fft, ifft, fft2, ifft2, fftn, ifftn = [
    _of_complex(name) for name in ("fft", "ifft", "fft2", "ifft2", "fftn", "ifftn")
]
irfft, hfft, irfft2, irfftn = [_of_complex(name, half=True) for name in ("irfft", "hfft", "irfft2", "irfftn")]
rfft, ihfft, rfft2, rfftn = [_of_real(name) for name in ("rfft", "ihfft", "rfft2", "rfftn")]
