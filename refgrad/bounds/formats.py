"""Floating-point formats: one entry for each, which holds everything that refgrad knows about it.

FORMATS lists them in the order in which runs and reports show them. A format in which kernels compute is a dtype that is judged (DTYPES).
A storage format holds numbers and is computed in by no kernel that is judged: casts to it and from it are.
``format_of`` gives the format of a judged dtype under the rounding profile of a device.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.profiles import CPU, DOUBLE, SINGLE, Profile, profile_of
from refgrad.errors import DtypeError, RegistrationError

UNIT_ROUNDOFF = {SINGLE: 2.0**-24, DOUBLE: 2.0**-53}  # of the formats that kernels accumulate in
GROSS = "gross"  # key of Format.required: errors as large as the derivative itself
NO_FIGURES: Mapping[str, float] = MappingProxyType({})
SMALLEST_NUMBER = 2.0**-1074  # of float64, which bounds are computed in


@dataclass(frozen=True, slots=True)
class Format:
    """A floating-point format: its numbers, how kernels round to it and accumulate in it, and what its runs are held to.

    ``declare`` makes one from a few facts and enters it in FORMATS.

    name         of the format, as ``--dtype`` and results files spell it
    u            unit roundoff of storage
    u_acc        unit roundoff in which kernels accumulate
    u_scan       unit roundoff in which kernels keep running sums; None: u_acc
    u_kernel     unit roundoff in which kernels compute functions and sums of products, where that of sums is another one; None: u_acc
    u_repeated   unit roundoff in which kernels add up the gradient of an operand that was broadcast; None: u_acc
    compensated  whether sums are compensated
    flushed      the magnitude below which matrix products may lose operands, products and partial sums; 0 where they keep them
    u_reciprocal unit roundoff of the reciprocal of a number by which kernels multiply in place of a division; 0 where they divide
    broadcasting whether they do so for every divisor that is broadcast
    zeroed       the magnitude below which any kernel may take an operand or a result as zero; 0 where they keep them
    flushing     the formats whose subnormal numbers kernels may take as zero; ``zeroed`` tells of this format
    eta          half the smallest subnormal (the smallest subnormal of float64, whose half is no number)
    max          largest number
    wide         NumPy dtype of the reference run
    bits         significand bits, the leading one included
    kinks        whether a jump met exactly may be read from either side (derivatives: yes, values: no)
    ranged       whether what is computed from a result beyond the range counts as undefined (extreme operands)
    u_operand    unit roundoff to which matrix products shorten their operands; 0 where they take them as they are
    own_figures  by op, the largest error of its value in ULP of this format, where the profile has a figure of the op itself
    ulp_table    largest error of each function in ULP, in the format that kernels compute in
    least_normal smallest normal number
    infinity     whether it has infinities; a number beyond the range of a format without them saturates or becomes NaN
    carrier      name of the NumPy dtype that holds its numbers exactly: its own where NumPy has the format
    storage      name of the framework's dtype that holds its numbers
    accumulator  format in which kernels compute functions and accumulate sums (profiles.SINGLE or DOUBLE)
    computed     whether kernels compute in it; False for a storage format
    devices      kinds of device that compute in it; empty for all
    factorised   whether LAPACK has routines for it
    narrower     the next narrower format: where a wrong kernel would keep its sums; empty for the narrowest
    required     share of planted errors that a run has to catch, by kind of error (testing/power/thresholds.py)
    on_grid      whether rounding rules look for results that no kernel rounds (exactness.py)
    casts_below  significand bits below which a cast rounds the value of a formula under test; other casts widen the bound
    """

    name: str
    u: float
    u_acc: float
    eta: float
    max: float
    wide: np.dtype[Any]
    bits: int
    kinks: bool = True
    ranged: bool = False
    u_operand: float = 0.0
    u_scan: float | None = None
    u_repeated: float | None = None
    u_kernel: float | None = None
    compensated: bool = False
    u_reciprocal: float = 0.0
    broadcasting: bool = False
    flushed: float = 0.0
    zeroed: float = 0.0
    flushing: frozenset[str] = frozenset()
    own_figures: Mapping[str, float] = field(default_factory=lambda: NO_FIGURES)
    ulp_table: Mapping[str, float] = field(default_factory=lambda: NO_FIGURES)
    least_normal: float = 0.0
    infinity: bool = True
    carrier: str = SINGLE
    storage: str = ""
    accumulator: str = SINGLE
    computed: bool = True
    devices: tuple[str, ...] = ()
    factorised: bool = False
    narrower: str = ""
    required: Mapping[str, float] = field(default_factory=lambda: NO_FIGURES)
    on_grid: bool = False
    casts_below: int = 0

    @property
    def native(self) -> bool:
        """Whether NumPy itself rounds to this format."""
        return self.name == self.carrier

    @property
    def least(self) -> float:
        """Smallest subnormal number."""
        return 2.0 * self.eta if self.eta > SMALLEST_NUMBER else self.eta

    @property
    def overflow(self) -> float:
        """The magnitude halfway between the largest number and the next one there would be: what is above it rounds beyond the range."""
        return self.max + math.ldexp(1.0, math.frexp(self.max)[1] - self.bits - 1)

    @property
    def small_range(self) -> bool:
        """Whether a few products of ordinary numbers leave the range."""
        return self.max < 2.0**32

    def on(self, device: str) -> bool:
        """Whether kernels of a device ("cpu", "cuda", "cuda:1") compute in it."""
        return self.computed and (not self.devices or device.partition(":")[0] in self.devices)

    def under(self, profile: Profile) -> Format:
        """The format with the rounding that a profile promises."""
        u_acc = UNIT_ROUNDOFF[self.accumulator]
        truncated = profile.truncating and self.u > u_acc
        flushes, storing = self.name in profile.flushing, self.name in profile.storing_sums
        return replace(
            self,
            ulp_table=profile.ulp[self.accumulator],
            own_figures={
                **{
                    op: self._stored(ulp) for op, ulp in profile.own_figures.get(self.accumulator, {}).items()
                },
                **(profile.own_figures.get(self.name, {})),
            },
            u_acc=self.u if storing else 2.0 * u_acc if truncated else u_acc,
            u_kernel=u_acc if storing else None,
            u_scan=self.u if profile.scanning else None,
            u_repeated=self.u if self.name in profile.storing_broadcasts else None,
            compensated=profile.compensated,
            flushed=self.least_normal if flushes or self.name in profile.flushing_products else 0.0,
            u_reciprocal=(self.u if self.name in profile.stored_reciprocal else u_acc)
            if profile.reciprocal or profile.broadcasting_reciprocal
            else 0.0,
            broadcasting=profile.broadcasting_reciprocal,
            eta=self.least_normal if flushes else self.eta,
            zeroed=self.least_normal if flushes else 0.0,
            flushing=profile.flushing,
        )

    def ulp(self, name: str) -> float:
        """Largest error of the function in ULP: the documented one; half formats compute in float32 and round once to storage."""
        return self._stored(self.ulp_table[name])

    def _stored(self, documented: float) -> float:
        return float(documented) if self.u == (u := self.computing.u_acc) else 0.5 + documented * u / self.u

    @property
    def computing(self) -> Format:
        """The format as kernels of functions and of sums of products compute in it, where they add up other sums in storage (u_kernel)."""
        return self if self.u_kernel is None else replace(self, u_acc=self.u_kernel, u_kernel=None)

    def store(self, y: Array, e: Array | float = 0.0) -> Array:
        """What one rounding to storage adds to a value of magnitude at most |y| + e."""
        return self.u * (np.abs(y) + e) + self.eta

    def roundings(self, terms: Array) -> Array:
        """The unit roundoffs in the error of a sum of so many non-zero terms, over the sum of their magnitudes: m - 1 in any order.

        A compensated sum has 2u + O(n u^2) for n terms, zeros included (Higham, Accuracy and Stability, section 4.3): 3u covers it while
        n is small beside 1/u. It is more than m - 1 where a zero follows two or three terms, as the last correction is rounded, too.
        """
        return np.maximum(terms - 1, 3.0) if self.compensated else terms - 1

    def holds(self, other: Format) -> bool:
        """Whether every number of the other format is one of this format."""
        return (
            self.bits >= other.bits
            and self.max >= other.max
            and self.least <= other.least
            and (self.infinity or not other.infinity)
        )


FORMATS: dict[str, Format] = {}


def declare(
    name: str,
    *,
    bits: int,
    exponent: int,
    largest: float | None = None,
    infinity: bool = True,
    carrier: str = SINGLE,
    storage: str = "",
    accumulator: str = SINGLE,
    computed: bool = True,
    operand_bits: int | None = None,
    devices: tuple[str, ...] = (),
    factorised: bool = False,
    narrower: str = "",
    required: Mapping[str, float] = NO_FIGURES,
) -> Format:
    """Enter a format in FORMATS and return it.

    ``bits`` counts the significand with its leading bit; ``exponent`` is that of the smallest normal number, 2^exponent. ``largest`` is
    the largest number where it is not that of an IEEE format with these exponents. ``operand_bits`` are those that matrix products keep
    of each operand, by truncation. The other arguments are fields of Format.

    Raises RegistrationError for a name that is taken, and for facts that contradict each other.
    """
    if name in FORMATS:
        raise RegistrationError(f"format {name!r} is declared already; another name is expected")
    largest = (2.0 - 2.0 ** (1 - bits)) * 2.0 ** (1 - exponent) if largest is None else largest
    found = Format(
        name,
        u=2.0**-bits,
        u_acc=UNIT_ROUNDOFF.get(accumulator, 0.0),
        eta=max(2.0 ** (exponent - bits), SMALLEST_NUMBER),
        max=largest,
        wide=np.dtype(np.longdouble if accumulator == DOUBLE else np.float64),
        bits=bits,
        u_operand=0.0 if operand_bits is None else 2.0 ** (1 - operand_bits),
        flushed=2.0**exponent if name in CPU.flushing_products else 0.0,
        ulp_table=CPU.ulp.get(accumulator, NO_FIGURES),
        least_normal=2.0**exponent,
        infinity=infinity,
        carrier=carrier,
        storage=storage or name,
        accumulator=accumulator,
        computed=computed,
        devices=devices,
        factorised=factorised,
        narrower=narrower,
        required=MappingProxyType(dict(required)),
    )
    faults = _faults(found)
    if faults:
        raise RegistrationError(f"format {name!r}: {'; '.join(faults)}")
    FORMATS[name] = found
    return found


def _faults(fmt: Format) -> list[str]:
    """What is wrong with a format: what was given, and what is expected."""
    faults = []
    if fmt.accumulator not in UNIT_ROUNDOFF:
        faults.append(f"accumulator {fmt.accumulator!r}; one of {list(UNIT_ROUNDOFF)} is expected")
    if not 2 <= fmt.bits <= 53:
        faults.append(
            f"{fmt.bits} significand bits; from 2 to 53 are expected, for float64 carries every format"
        )
    elif not fmt.least_normal <= fmt.max < math.inf or math.ldexp(math.frexp(fmt.max)[0], fmt.bits) % 1:
        faults.append(
            f"largest number {fmt.max!r}; a number of {fmt.bits} significand bits above {fmt.least_normal!r} is expected"
        )
    carrier = np.finfo(fmt.carrier)
    if (
        carrier.nmant + 1 < fmt.bits
        or float(carrier.max) < fmt.max
        or float(carrier.smallest_subnormal) > fmt.least
    ):
        faults.append(f"carrier {fmt.carrier!r}; a NumPy dtype that holds every number of it is expected")
    if fmt.devices and not fmt.computed:
        faults.append(
            f"devices {fmt.devices!r} of a storage format; none is expected, for no kernel computes in it"
        )
    if not all(0 < share < 1 for share in fmt.required.values()):
        faults.append(f"required shares {dict(fmt.required)}; shares between 0 and 1 are expected")
    return faults


declare(
    "float64",
    bits=53,
    exponent=-1022,
    carrier="float64",
    accumulator=DOUBLE,
    factorised=True,
    narrower="float32",
    required={GROSS: 0.99, "relative 1e-2": 0.99, "relative 1e-3": 0.99, "relative 1e-4": 0.99},
)
declare(
    "float32",
    bits=24,
    exponent=-126,
    carrier="float32",
    factorised=True,
    narrower="bfloat16",
    required={GROSS: 0.99, "relative 1e-2": 0.98, "relative 1e-3": 0.97, "relative 1e-4": 0.95},
)
# float32 whose matrix products take eleven leading bits of each operand: an arithmetic of CUDA devices, judged as a dtype of its own.
# Tensor cores take operands with or without rounding: 2^-10 covers both. Which arithmetic a solver's library uses is not documented.
# Gross errors are held to the share of float16 and bfloat16, between whose unit roundoffs (2^-11 and 2^-8) 2^-10 lies. Two shortened
# operands leave 2^-9, a fifth of 1e-2, where float16 leaves less and bfloat16 a half; 1e-3 is below it, so in products it may go unseen,
# and a run may be of products alone.
declare(
    "tf32",
    bits=24,
    exponent=-126,
    storage="float32",
    operand_bits=11,
    devices=("cuda",),
    narrower="bfloat16",
    required={GROSS: 0.96, "relative 1e-2": 0.95},
)
declare(
    "bfloat16",
    bits=8,
    exponent=-126,
    narrower="float8_e4m3",
    required={GROSS: 0.96, "relative 1e-2": 0.70},
)
declare(
    "float16",
    bits=11,
    exponent=-14,
    carrier="float16",
    narrower="float8_e4m3",
    required={GROSS: 0.96, "relative 1e-2": 0.95, "relative 1e-3": 0.60},
)
# The 8-bit formats of the "OCP 8-bit Floating Point Specification (OFP8)", Open Compute Project, revision 1.0, 2023. A conversion of a
# number beyond the range may saturate, or overflow to infinity (E5M2) or NaN (E4M3, which has no infinities and one NaN of each sign).
declare(
    "float8_e4m3", bits=4, exponent=-6, largest=448.0, infinity=False, storage="float8_e4m3fn", computed=False
)
declare("float8_e5m2", bits=3, exponent=-14, computed=False)

DTYPES = tuple(name for name, fmt in FORMATS.items() if fmt.computed)  # the dtypes that are judged


def judged_on(device: str, dtype: str) -> bool:
    """Whether the dtype is judged on such a device ("cpu", "cuda", "cuda:1"): kernels compute in it there."""
    return dtype in FORMATS and FORMATS[dtype].on(device)


def computed_on(device: str = "cpu") -> dict[str, Format]:
    """The formats that kernels of a device compute in, by name, each under the profile of the device."""
    return {name: format_of(name, device) for name, fmt in FORMATS.items() if fmt.on(device)}


def without_rounding(fmt: Format) -> Format:
    """The format with next to no rounding: of a radius only the sets are left that are allowed at kinks and ties.

    Its unit roundoff is a number all the same, for rules divide by it; the smallest number stays. Its name is "exact", which is no dtype.
    """
    bits = int(np.finfo(fmt.wide).nmant) + 1
    nothing: dict[str, Any] = {
        **dict.fromkeys(("u_scan", "u_repeated", "u_kernel")),
        **dict.fromkeys(("u_operand", "u_reciprocal", "flushed", "zeroed"), 0.0),
        "own_figures": NO_FIGURES,
        "flushing": frozenset(),
    }
    return replace(fmt, name="exact", u=2.0**-500, u_acc=2.0**-500, eta=5e-324, bits=bits, **nothing)


def judged(dtype: str) -> Format:
    """The format of a judged dtype. Raises DtypeError for any other name, with what to do in place of a storage format."""
    fmt = FORMATS.get(dtype)
    if fmt is None:
        raise DtypeError(f"dtype {dtype!r} is not judged; one of {list(DTYPES)} is expected")
    if not fmt.computed:
        raise DtypeError(
            f"dtype {dtype!r} is a storage format, in which no arithmetic is judged; one of {list(DTYPES)} is expected. The family "
            "casts judges casts to it and from it, in every dtype"
        )
    return fmt


@functools.cache
def format_of(
    dtype: str, device: str = "cpu", profile: Profile | None = None, on_grid: bool = False
) -> Format:
    """The format of a dtype under the rounding profile of a backend on a device ("cpu", "cuda", "cuda:1"); None: under torch's.

    With ``on_grid`` it is for operands on a grid: rounding rules look for results that no kernel rounds.

    Raises DtypeError for a dtype that is not judged, and for one that the device does not compute in.
    """
    fmt = judged(dtype)
    if not fmt.on(device):
        raise DtypeError(
            f"{dtype} is an arithmetic of {' and '.join(fmt.devices).upper()} devices, and device {device!r} was asked for: "
            f"use {fmt.storage} there"
        )
    found = fmt.under(profile_of(device) if profile is None else profile)
    return replace(found, on_grid=True) if on_grid else found
