"""Rounding profiles: what the kernels of a kind of device promise of the functions and sums that they compute.

A profile belongs to a backend and a device. It holds the largest error of each elementary function in ULP (1 ULP is at most 2u of the
result) and says how sums of narrow formats are accumulated. A bound assumes a profile; it holds where the promise is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

SINGLE, DOUBLE = "float32", "float64"  # the formats in which kernels compute functions and accumulate sums

Figures = Mapping[str, float]


@dataclass(frozen=True, eq=False, slots=True)
class Profile:
    """What kernels promise.

    name               of the profile
    ulp                by the format that kernels compute in (SINGLE, DOUBLE), the largest error of each function in ULP
    own_figures        by format, the error in ULP of the values of ops whose kernels follow another formula than the op's rule
    truncating         whether sums of formats narrower than float32 are accumulated with truncation: twice float32's unit roundoff
    flushing           the formats in which kernels may take subnormal operands as zero, and results below the smallest normal number
    compensated        whether sums carry the rounding of each addition on to the next one (Kahan)
    scanning           whether running sums (cumsum) are kept in the storage format, so that each partial sum is rounded to it
    flushing_products  the formats whose matrix products may take subnormal operands as zero, and lose subnormal products and partial sums
    storing_sums       the formats in which sums are accumulated in the format itself; functions and sums of products are not computed so
    storing_broadcasts the formats in which the gradient of an operand that was broadcast is added up in the format itself
    reciprocal         whether a quotient by a number may be computed as the product with its rounded reciprocal
    broadcasting_reciprocal  whether a quotient by an operand that is broadcast may be computed so
    stored_reciprocal  the formats in which such a reciprocal is rounded to the format itself, and not to the one that kernels compute in
    fused              whether intermediates may be kept in another precision than the values that the backend reports
    reassociating      whether the terms of nested sums may be added up in any order
    source             where the figures are documented, or how they were measured

    An own figure counts all steps of a kernel together: those of a rational function, or steps that are rounded to bfloat16 each. Figures
    of SINGLE and DOUBLE serve the formats that are computed in them, too. A fused backend is judged from end to end, because its reported
    values are not those that the next op received.
    """

    name: str
    ulp: Mapping[str, Figures]
    own_figures: Mapping[str, Figures] = field(default_factory=dict)
    truncating: bool = False
    flushing: frozenset[str] = frozenset()
    compensated: bool = False
    scanning: bool = False
    storing_sums: frozenset[str] = frozenset()
    storing_broadcasts: frozenset[str] = frozenset()
    reciprocal: bool = False
    broadcasting_reciprocal: bool = False
    stored_reciprocal: frozenset[str] = frozenset()
    flushing_products: frozenset[str] = frozenset()
    fused: bool = False
    reassociating: bool = False
    source: str = ""


# CPUs: what the libraries document that kernels call.
#
# Vector libraries state 1 ULP (SLEEF's functions "u10", sleef.org; MKL VML's high accuracy, Intel's "Vector Mathematics Performance and
# Accuracy Data"); where MKL is missing, kernels for x86-64 call SLEEF's faster sin and cos of float32: 3.5 ULP.
_VECTOR_SINGLE = {
    "exp": 1.0, "exp2": 1.0, "expm1": 1.0, "log": 1.0, "log2": 1.0, "log10": 1.0, "log1p": 1.0, "tanh": 1.0, "power": 1.0,
    "sin": 3.5, "cos": 3.5, "tan": 1.0, "arcsin": 1.0, "arccos": 1.0, "arctan": 1.0, "arctan2": 1.0, "sinh": 1.0, "cosh": 1.0,
    "arcsinh": 1.0, "arccosh": 1.0, "arctanh": 1.0, "sqrt": 1.0, "cbrt": 1.0, "hypot": 1.0, "reciprocal": 0.5,
    "erf": 1.0, "erfc": 1.5, "erfinv": 1.0,
}  # fmt: skip  # a table of figures reads by rows
_VECTOR_DOUBLE = {**_VECTOR_SINGLE, "sin": 1.0, "cos": 1.0}
# Loops over scalars call the C library: on strided operands, for the last elements of an array, and wherever SLEEF was not built in. The
# comments in glibc's sources promise at most 1 ULP for what is not listed here; for the rest stands its manual's table of known errors
# (releases 2.28 to 2.34, x86-64 and aarch64, the larger), which counts from the correctly rounded result: half a ULP more.
_LIBM_SINGLE = {
    "expm1": 1.5, "log10": 2.5, "log1p": 1.5, "tanh": 2.5, "tan": 1.5, "arcsin": 1.5, "arccos": 1.5, "arctan": 1.5, "arctan2": 2.5,
    "sinh": 2.5, "cosh": 2.5, "arcsinh": 2.5, "arccosh": 2.5, "arctanh": 2.5, "cbrt": 1.5,
}  # fmt: skip  # a table of figures reads by rows
_LIBM_DOUBLE = {
    "log2": 2.5, "log10": 2.5, "tanh": 2.5, "sinh": 2.5, "cosh": 2.5, "arcsinh": 2.5, "arccosh": 2.5, "arctanh": 2.5, "cbrt": 4.5,
}  # fmt: skip  # a table of figures reads by rows

# Kernels of torch's own, which no library documents: the largest errors that benchmarks.ulp has met, rounded up. At 10^7 numbers of float32
# and 10^6 of float64 (i0: 10^6 and 2 10^5) they are 7.9 and 8.2 ULP for erfcx of positive numbers, a table of polynomials, 4.3 and 3.5 for
# ndtri, 2.1 and 2.9 for i0, and 15.5 and 11 for i1, at 7.9957 and -7.5218.
# Of lgamma, digamma and polygamma errors are counted in ULP of the terms that kernels add up, which are larger than a sum near a zero. At
# 2 10^5 numbers they are 0.82 and 0.66 for lgamma (glibc, without a vector library: 2.3 and 2.2), and 3.5 and 3.7 for digamma.
_MEASURED = {
    "erfcx": 9.0,
    "ndtri": 5.0,
    "i0": 4.0,
    "i1": 16.0,
    "i0e": 7.0,
    "i1e": 12.0,
    "lgamma": 3.0,
    "digamma": 4.0,
    "polygamma": 4.0,
}

# CUDA: the CUDA C++ Programming Guide ("Standard Functions", tables of the maximum ULP error; release 13) states distances from the
# correctly rounded result: half a ULP more. The vendor calls the figures tested, not guaranteed, and they hold without fast-math. An
# older edition has more for asinf (4, now 2), acosf (3, now 2) and powf (8, now 4); which release under torch's builds changed them is
# not known here.
_CUDA_SINGLE = {
    "exp": 2, "exp2": 2, "expm1": 1, "log": 1, "log2": 1, "log10": 2, "log1p": 1, "tanh": 2, "power": 8, "sin": 2, "cos": 2, "tan": 4,
    "arcsin": 4, "arccos": 3, "arctan": 2, "arctan2": 3, "sinh": 3, "cosh": 2, "arcsinh": 3, "arccosh": 4, "arctanh": 3, "sqrt": 0,
    "cbrt": 1, "hypot": 3, "reciprocal": 0, "erf": 2, "erfc": 4, "erfinv": 2,
}  # fmt: skip  # a table of figures reads by rows
_CUDA_DOUBLE = {
    **_CUDA_SINGLE, "exp": 1, "exp2": 1, "log10": 1, "tanh": 1, "power": 2, "tan": 2, "arcsin": 2, "arccos": 2, "arctan2": 2,
    "sinh": 2, "cosh": 1, "arccosh": 3, "arctanh": 2, "hypot": 2, "erfc": 5, "erfinv": 5,
}  # fmt: skip  # a table of figures reads by rows


def _larger(one: Figures, other: Figures) -> Figures:
    return MappingProxyType({name: max(ulp, other.get(name, 0.0)) for name, ulp in one.items()})


def _from_distances(distances: Figures) -> Figures:
    """Errors of functions whose documented figures count from the correctly rounded result."""
    return MappingProxyType({name: d + 0.5 for name, d in distances.items()})


CPU_ULP: Mapping[str, Figures] = MappingProxyType(
    {
        SINGLE: _larger({**_VECTOR_SINGLE, **_MEASURED}, _LIBM_SINGLE),
        DOUBLE: _larger({**_VECTOR_DOUBLE, **_MEASURED}, _LIBM_DOUBLE),
    }
)
CUDA_ULP: Mapping[str, Figures] = MappingProxyType(
    {
        SINGLE: _from_distances({**_CUDA_SINGLE, **_MEASURED}),
        DOUBLE: _from_distances({**_CUDA_DOUBLE, **_MEASURED}),
    }
)

# Where a CPU has dot products of bfloat16 (AVX512_BF16, AMX), kernels call them. These instructions take subnormal operands as zero and
# flush subnormal results, whatever the mode of the processor (Intel, Software Developer's Manual, VDPBF16PS and TDPBF16PS).
CPU = Profile(
    "cpu",
    CPU_ULP,
    flushing_products=frozenset({"bfloat16"}),
    source="SLEEF's functions u10, and u35 of sin and cos in float32; MKL VML, high accuracy; the errors that glibc's manual tabulates; "
    "for flushing_products, Intel's Software Developer's Manual",
)
# Tensor cores truncate partial sums where other units round: Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor
# cores", PeerJ Computer Science 7, 2021.
# Seen on an H200 under torch 2.11 (docs/findings/arithmetic-on-cuda.md): running sums of half formats are rounded to the half format at
# each step, and the gradient of a mean is multiplied by the rounded 1/n.
CUDA = Profile(
    "cuda",
    CUDA_ULP,
    truncating=True,
    scanning=True,
    reciprocal=True,
    source="the CUDA C++ Programming Guide, tables of the maximum ULP error, and half a ULP more; for truncating, Fasi and others 2021; "
    "scanning and reciprocal as seen on an H200",
)

_BY_KIND = {"cuda": CUDA}


def profile_of(device: str) -> Profile:
    """The profile of a device ("cpu", "cuda:1"); that of CPUs where a kind of device has none of its own."""
    return _BY_KIND.get(device.partition(":")[0], CPU)
