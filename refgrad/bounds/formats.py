"""The formats that are judged: how each rounds, accumulates and underflows, on which device, and what it is judged in.

``format_of`` gives the format of a dtype on a device: functions have other errors there, and tensor cores add in their own way.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from refgrad.errors import DtypeError

Array = Any

# Largest error in ULP of the elementary functions on CPUs: what the libraries document that kernels call. 1 ULP <= 2u relative.
#
# Vector libraries state 1 ULP (SLEEF's functions "u10", sleef.org; MKL VML's high accuracy, Intel's "Vector Mathematics Performance and
# Accuracy Data"); where MKL is missing, kernels for x86-64 call SLEEF's faster sin and cos of float32: 3.5 ULP.
_VECTOR_SINGLE = {
    "exp": 1.0, "exp2": 1.0, "expm1": 1.0, "log": 1.0, "log2": 1.0, "log10": 1.0, "log1p": 1.0, "tanh": 1.0, "power": 1.0,
    "sin": 3.5, "cos": 3.5, "tan": 1.0, "arcsin": 1.0, "arccos": 1.0, "arctan": 1.0, "arctan2": 1.0, "sinh": 1.0, "cosh": 1.0,
    "arcsinh": 1.0, "arccosh": 1.0, "arctanh": 1.0, "sqrt": 1.0, "cbrt": 1.0, "hypot": 1.0, "reciprocal": 0.5,
}  # fmt: skip
_VECTOR_DOUBLE = {**_VECTOR_SINGLE, "sin": 1.0, "cos": 1.0}
# Loops over scalars call the C library: on strided operands, for the last elements of an array, and wherever SLEEF was not built in. The
# comments in glibc's sources promise at most 1 ULP for what is not listed here; for the rest stands its manual's table of known errors
# (releases 2.28 to 2.34, x86-64 and aarch64, the larger), which counts from the correctly rounded result: half a ULP more.
_LIBM_SINGLE = {
    "expm1": 1.5, "log10": 2.5, "log1p": 1.5, "tanh": 2.5, "tan": 1.5, "arcsin": 1.5, "arccos": 1.5, "arctan": 1.5, "arctan2": 2.5,
    "sinh": 2.5, "cosh": 2.5, "arcsinh": 2.5, "arccosh": 2.5, "arctanh": 2.5, "cbrt": 1.5,
}  # fmt: skip
_LIBM_DOUBLE = {
    "log2": 2.5, "log10": 2.5, "tanh": 2.5, "sinh": 2.5, "cosh": 2.5, "arcsinh": 2.5, "arccosh": 2.5, "arctanh": 2.5, "cbrt": 4.5,
}  # fmt: skip


def _larger(one: dict[str, float], other: dict[str, float]) -> MappingProxyType[str, float]:
    return MappingProxyType({name: max(ulp, other.get(name, 0.0)) for name, ulp in one.items()})


CPU_ULP = {
    "float32": _larger(_VECTOR_SINGLE, _LIBM_SINGLE),
    "float64": _larger(_VECTOR_DOUBLE, _LIBM_DOUBLE),
}

# The CUDA C++ Programming Guide ("Standard Functions", tables of the maximum ULP error; release 13) states distances from the correctly
# rounded result: half a ULP more. The vendor calls the figures tested, not guaranteed, and they hold without fast-math. An older edition
# has more for asinf (4, now 2), acosf (3, now 2) and powf (8, now 4); which release under torch's builds changed them is not known here.
_CUDA_SINGLE = {
    "exp": 2, "exp2": 2, "expm1": 1, "log": 1, "log2": 1, "log10": 2, "log1p": 1, "tanh": 2, "power": 8, "sin": 2, "cos": 2, "tan": 4,
    "arcsin": 4, "arccos": 3, "arctan": 2, "arctan2": 3, "sinh": 3, "cosh": 2, "arcsinh": 3, "arccosh": 4, "arctanh": 3, "sqrt": 0,
    "cbrt": 1, "hypot": 3, "reciprocal": 0,
}  # fmt: skip
_CUDA_DOUBLE = {
    **_CUDA_SINGLE, "exp": 1, "exp2": 1, "log10": 1, "tanh": 1, "power": 2, "tan": 2, "arcsin": 2, "arccos": 2, "arctan2": 2,
    "sinh": 2, "cosh": 1, "arccosh": 3, "arctanh": 2, "hypot": 2,
}  # fmt: skip


def _rounded(distances: Mapping[str, float]) -> MappingProxyType[str, float]:
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
    ulp_table: Any = field(default_factory=lambda: CPU_ULP["float32"])

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
        "float64",
        2.0**-53,
        2.0**-53,
        5e-324,
        float(np.finfo(np.float64).max),
        np.dtype(np.longdouble),
        53,
        ulp_table=CPU_ULP["float64"],
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


def without_rounding(fmt: Format) -> Format:
    """The format with next to no rounding: of a radius only the sets are left that are allowed at kinks and ties.

    Its unit roundoff is a number all the same, for rules divide by it; the smallest number stays. Its name is "exact", which is no dtype.
    """
    bits = int(np.finfo(fmt.wide).nmant) + 1
    return replace(fmt, name="exact", u=2.0**-500, u_acc=2.0**-500, eta=5e-324, bits=bits, u_operand=0.0)


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
