"""Elementary functions of complex numbers by their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array, Params
from refgrad.complex.parts import complex_twin, joined, one, pair, parted, torch_joined, torch_parted
from refgrad.op import Draws

OfParts = Callable[[Array, Array], Array]


def _of_one(function: Callable[[Any], Any], name: str, same_as: str = "") -> OfParts:
    """A function of one complex number, declared under its name in NumPy; torch's function is ``same_as`` where it has another one."""

    def of_parts(z: Array, z_imag: Array) -> Array:
        return parted(function(joined(z, z_imag)))

    def of_tensors(torch: Any, z: Any, z_imag: Any) -> Any:
        return torch_parted(torch, getattr(torch, same_as or name)(torch_joined(torch, z, z_imag)))

    of_parts.__name__ = of_parts.__qualname__ = name
    of_parts.__doc__ = (
        f"np.{name} of z + i z_imag. Shape of z, and for a complex value an axis of its two parts."
    )
    return complex_twin(torch=of_tensors, draw=one)(of_parts)


exp = _of_one(np.exp, "exp")
log = _of_one(np.log, "log")
sin = _of_one(np.sin, "sin")
cos = _of_one(np.cos, "cos")
tan = _of_one(np.tan, "tan")
sinh = _of_one(np.sinh, "sinh")
cosh = _of_one(np.cosh, "cosh")
tanh = _of_one(np.tanh, "tanh")
sqrt = _of_one(np.sqrt, "sqrt")
absolute = _of_one(np.absolute, "absolute", "abs")
angle = _of_one(np.angle, "angle")
sign = _of_one(np.sign, "sign", "sgn")


def _draw_power(draws: Draws) -> Params:
    exponent = draws.choice((2, 3, 0.5, -1, -2, 4, 1.5, "complex", 0, 1))
    shape = draws.shape(0, 2)
    given = pair(draws, "z", shape)
    # Second derivatives of frameworks take either side of the cut.
    on_cut = (given["z"] < 0) & (given["z_imag"] == 0)
    given["z"] = np.where(on_cut, -given["z"], given["z"])
    if exponent == "complex":
        return {**given, **pair(draws, "exponent", shape)}
    return {**given, "exponent": exponent}


def _torch_power(torch: Any, z: Any, z_imag: Any, exponent: Any, exponent_imag: Any) -> Any:
    power = exponent if exponent_imag is None else torch_joined(torch, exponent, exponent_imag)
    return torch_parted(torch, torch.pow(torch_joined(torch, z, z_imag), power))


@complex_twin(torch=_torch_power, draw=_draw_power)
def power(z: Array, z_imag: Array, exponent: Any, exponent_imag: Array | None = None) -> Array:
    """np.power of z + i z_imag. The exponent is a number, or complex in two parts of the shape of z."""
    return parted(
        np.power(joined(z, z_imag), exponent if exponent_imag is None else joined(exponent, exponent_imag))
    )
