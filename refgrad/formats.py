"""The formats that are judged: how each rounds, accumulates and underflows, on which device, and what it is judged in.

``format_of`` gives the format of a dtype on a device: functions have other errors there, and tensor cores add in their own way.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from refgrad.errors import DtypeError

Array = Any

# Largest error in ULP that vector libraries document for these functions on CPUs (SLEEF, MKL VML); 1 ULP <= 2u relative.
CPU_ULP = MappingProxyType({
    "exp": 2.0, "exp2": 2.0, "expm1": 2.0, "log": 1.0, "log2": 1.0, "log10": 1.0, "log1p": 1.0, "tanh": 1.0, "power": 1.0,
    "sin": 3.5, "cos": 3.5, "tan": 3.5, "arcsin": 3.5, "arccos": 3.5, "arctan": 3.5, "arctan2": 3.5, "sinh": 2.0, "cosh": 2.0,
    "arcsinh": 2.0, "arccosh": 2.0, "arctanh": 2.0, "sqrt": 1.0, "cbrt": 1.0, "hypot": 2.0, "reciprocal": 0.5, "sigmoid": 6.0,
    "softplus": 4.0, "logaddexp": 4.0,
})  # fmt: skip

# The CUDA C++ Programming Guide's appendix on mathematical functions states distances from the correctly rounded result: half a ULP
# more. sigmoid, softplus and logaddexp are composed. The vendor calls the figures tested, not guaranteed.
_CUDA_SINGLE = {
    "exp": 2, "exp2": 2, "expm1": 1, "log": 1, "log2": 1, "log10": 2, "log1p": 1, "tanh": 2, "power": 4, "sin": 2, "cos": 2, "tan": 4,
    "arcsin": 2, "arccos": 2, "arctan": 2, "arctan2": 3, "sinh": 3, "cosh": 2, "arcsinh": 3, "arccosh": 4, "arctanh": 3, "sqrt": 0,
    "cbrt": 1, "hypot": 3, "reciprocal": 0, "sigmoid": 5.5, "softplus": 4.5, "logaddexp": 4.5,
}  # fmt: skip
_CUDA_DOUBLE = {
    **_CUDA_SINGLE, "exp": 1, "exp2": 1, "log10": 1, "tanh": 1, "power": 2, "tan": 2, "arctan2": 2, "sinh": 2, "cosh": 1, "arccosh": 3,
    "arctanh": 2, "hypot": 2,
}  # fmt: skip


def _rounded(distances: dict[str, float]) -> MappingProxyType[str, float]:
    return MappingProxyType({name: d + 0.5 for name, d in distances.items()})


CUDA_ULP = {"float32": _rounded(_CUDA_SINGLE), "float64": _rounded(_CUDA_DOUBLE)}


@dataclass(frozen=True, slots=True)
class Format:
    """A floating-point format as the judge sees it: unit roundoff, accumulation, underflow, and a wider format to judge in."""

    name: str
    u: float  # unit roundoff of storage
    u_acc: float  # unit roundoff in which kernels accumulate
    eta: float  # half the smallest subnormal, or the smallest normal where the device flushes to zero
    max: float
    wide: Any  # NumPy dtype of the reference run
    bits: int  # significand bits, to tell whether a constant is representable
    kinks: bool = (
        True  # whether a jump met exactly may be read from either side (derivatives: yes, values: no)
    )
    ranged: bool = False  # whether what is computed from a result beyond the range counts as undefined (extreme operands)
    u_operand: float = 0.0  # unit roundoff to which kernels cut the operands of a matrix product (TF32)
    ulp_table: Any = field(default_factory=lambda: CPU_ULP)

    @property
    def storage(self) -> str:
        """The dtype that arrays of this format have."""
        return STORAGE.get(self.name, self.name)

    def ulp(self, name: str) -> float:
        """Largest error of the function in ULP: the documented one; half formats compute in float32 and round once to storage."""
        documented = float(self.ulp_table[name])
        return documented if self.u == self.u_acc else 0.5 + documented * self.u_acc / self.u

    def store(self, y: Array, e: Array = 0.0) -> Array:
        """What one rounding to storage adds to a value of magnitude at most |y| + e."""
        return self.u * (np.abs(y) + e) + self.eta


FORMATS: dict[str, Format] = {
    "float64": Format(
        "float64", 2.0**-53, 2.0**-53, 5e-324, float(np.finfo(np.float64).max), np.dtype(np.longdouble), 53
    ),  # half the smallest subnormal is no number: the smallest one stands for it
    "float32": Format(
        "float32", 2.0**-24, 2.0**-24, 2.0**-150, float(np.finfo(np.float32).max), np.dtype(np.float64), 24
    ),
    "bfloat16": Format(
        "bfloat16", 2.0**-8, 2.0**-24, 2.0**-134, 3.3895313892515355e38, np.dtype(np.float64), 8
    ),
    "float16": Format("float16", 2.0**-11, 2.0**-24, 2.0**-25, 65504.0, np.dtype(np.float64), 11),
}

# float32 whose matrix products take the ten leading bits of each operand: an arithmetic of CUDA devices, judged as a dtype of its own.
TF32 = "tf32"
STORAGE = {TF32: "float32"}
DTYPES = (*FORMATS, TF32)


def judged_on(device: str, dtype: str) -> bool:
    """Whether there is such an arithmetic on such a device ("cpu", "cuda", "cuda:1")."""
    return dtype != TF32 or device.partition(":")[0] == "cuda"


@functools.cache
def format_of(dtype: str, device: str = "cpu") -> Format:
    """The format of a dtype on a device ("cpu", "cuda", "cuda:1").

    Tensor cores cut sums off where other units round, so half formats accumulate with twice float32's unit roundoff there (Fasi,
    Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021). They take operands in TF32 with or without rounding:
    2^-10 covers both. Raises DtypeError for a dtype that is not judged, and for tf32 elsewhere than on CUDA.
    """
    if dtype not in DTYPES:
        raise DtypeError(f"dtype {dtype!r} is not judged; one of {list(DTYPES)} is expected")
    fmt, kind = FORMATS[STORAGE.get(dtype, dtype)], device.partition(":")[0]
    if dtype == TF32:
        if not judged_on(device, dtype):
            raise DtypeError(
                f"tf32 is an arithmetic of CUDA devices, and device {device!r} was asked for: use float32 there"
            )
        fmt = replace(fmt, name=TF32, u_operand=2.0**-10)
    if kind == "cuda":
        table = CUDA_ULP["float64" if dtype == "float64" else "float32"]
        fmt = replace(fmt, ulp_table=table, u_acc=fmt.u if fmt.u <= 2.0**-24 else 2.0**-23)
    return fmt
