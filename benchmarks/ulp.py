"""How far torch's elementary functions are off on this CPU, in ULP, beside the figures that refgrad judges with: python -m benchmarks.ulp.

float32 meets every N-th of all 2^32 numbers (``--every 1``: each of them), held against NumPy's float64. float64 meets random and
chosen numbers, as do functions of two operands, held against long double, the worst of them against mpmath. Each function is called on
contiguous arrays, on strided ones, and on short ones, because kernels compute these differently. Exit code 1: a figure is exceeded.
"""

from __future__ import annotations

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import mpmath
import numpy as np
import torch

import refgrad.ops  # noqa: F401 - fills the registry
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import FORMATS, Format
from refgrad.bounds.profiles import CPU_ULP
from refgrad.op import REGISTRY

Array = Any
Operands = tuple[Array, ...]
Table = Mapping[str, Mapping[str, float]]
LAYOUTS = ("contiguous", "strided", "short")
_BLOCK = 2**16
_SHORT = 7  # elements: less than the vectors of any processor hold


@dataclass(frozen=True)
class Function:
    """A function: NumPy's or our own, torch's, mpmath's, and where its first operand is measured."""

    forward: Callable[..., Array]
    kernel: Callable[[Any], Any]
    exactly: Callable[[Any], Any] | None = None
    low: float = -np.inf
    high: float = np.inf
    operands: int = 1
    composed: str = ""  # the op whose rule bounds it, where no library states a figure


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x: Array) -> Array:
    z = np.exp(-np.abs(x))
    return np.where(x < 0, z, 1) / (1 + z)


# SLEEF states its figures for sinh and cosh up to 88.5 in float32: see docs/findings/cosh-and-sinh-in-float32.md.
_GROWING, _RANGE = {"sinh", "cosh"}, {"float32": 88.5, "float64": 709.0}
FUNCTIONS = {
    "exp": Function(np.exp, torch.exp, mpmath.exp),
    "exp2": Function(np.exp2, torch.exp2, lambda x: mpmath.power(2, x)),
    "expm1": Function(np.expm1, torch.expm1, mpmath.expm1),
    "log": Function(np.log, torch.log, mpmath.log, low=0),
    "log2": Function(np.log2, torch.log2, lambda x: mpmath.log(x, 2), low=0),
    "log10": Function(np.log10, torch.log10, mpmath.log10, low=0),
    "log1p": Function(np.log1p, torch.log1p, mpmath.log1p, low=-1),
    "sqrt": Function(np.sqrt, torch.sqrt, mpmath.sqrt, low=0),
    "reciprocal": Function(np.reciprocal, torch.reciprocal, lambda x: 1 / x),
    "sin": Function(np.sin, torch.sin, mpmath.sin),
    "cos": Function(np.cos, torch.cos, mpmath.cos),
    "tan": Function(np.tan, torch.tan, mpmath.tan),
    "arcsin": Function(np.arcsin, torch.arcsin, mpmath.asin, -1, 1),
    "arccos": Function(np.arccos, torch.arccos, mpmath.acos, -1, 1),
    "arctan": Function(np.arctan, torch.arctan, mpmath.atan),
    "sinh": Function(np.sinh, torch.sinh, mpmath.sinh),
    "cosh": Function(np.cosh, torch.cosh, mpmath.cosh),
    "tanh": Function(np.tanh, torch.tanh, mpmath.tanh),
    "arcsinh": Function(np.arcsinh, torch.arcsinh, mpmath.asinh),
    "arccosh": Function(np.arccosh, torch.arccosh, mpmath.acosh, low=1),
    "arctanh": Function(np.arctanh, torch.arctanh, mpmath.atanh, -1, 1),
    "power": Function(np.power, torch.pow, mpmath.power, low=0, operands=2),
    "arctan2": Function(np.arctan2, torch.arctan2, mpmath.atan2, operands=2),
    "hypot": Function(np.hypot, torch.hypot, mpmath.hypot, operands=2),
    "sigmoid": Function(_sigmoid, torch.sigmoid, composed="sigmoid"),
    "softplus": Function(_softplus, lambda x: -torch.nn.functional.logsigmoid(-x), composed="softplus"),
}  # fmt: skip


@dataclass
class Worst:
    """The worst error met in each layout, in ULP (of a composed function: in bounds), and where."""

    error: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LAYOUTS, 0.0))
    at: dict[str, tuple[float, ...]] = field(default_factory=dict)
    met: int = 0

    def meet(self, layout: str, xs: Operands, errors: Array) -> None:
        if errors.max() > self.error[layout]:
            k = int(np.argmax(errors))
            self.error[layout], self.at[layout] = float(errors[k]), tuple(float(x[k]) for x in xs)

    @property
    def where(self) -> str:
        """The layout of the largest error."""
        return max(self.error, key=self.error.__getitem__)

    @property
    def largest(self) -> float:
        return self.error[self.where]


def spacing(y: Array, fmt: Format) -> Array:
    """One ULP at y: the distance of neighbours in its binade, below the normal range that of the subnormal numbers."""
    limits = np.finfo(fmt.storage)
    if (
        y.dtype == np.float64 and fmt.storage == "float32"
    ):  # much faster: the exponent's bits alone are the power of two
        power = (y.view(np.int64) & np.int64(0x7FF << 52)).view(np.float64)
        return np.maximum(power, 2.0**limits.minexp) * 2.0**-limits.nmant
    exponent = np.where(y == 0, limits.minexp, np.frexp(y)[1] - 1)
    return np.ldexp(y.dtype.type(1), np.maximum(exponent, limits.minexp) - limits.nmant)


def inputs32(every: int) -> Iterator[Array]:
    """Every N-th float32 number, by its bits, infinities and NaN left out."""
    step = _BLOCK * every
    for start in range(0, 2**32, step):
        bits = np.arange(start, min(start + step, 2**32), every, dtype=np.int64).astype(np.uint32)
        x = bits.view(np.float32)
        x = x[np.isfinite(x)]
        if x.size:
            yield x


def inputs64(count: int, low: float, high: float, seed: int) -> Iterator[Array]:
    """Random float64 numbers of every magnitude and of moderate ones; neighbours of 1, of multiples of pi/2, of roundings' ties."""
    rng = np.random.default_rng([seed, 0x1ED])
    left, right = max(low, -800.0), min(high, 800.0)
    for start in range(0, count, _BLOCK):
        n = min(_BLOCK, count - start)
        turns = rng.integers(-(2**20), 2**20, n) * (np.pi / 2)
        for x in (
            rng.integers(-(2**63), 2**63, n, dtype=np.int64).view(np.float64),
            rng.uniform(left, right, n),
            rng.uniform(max(left, -4), min(right, 4), n),
            rng.choice([-1.0, 1.0], n) * 2.0 ** rng.uniform(-30, 10, n),
            1 + rng.choice([-1.0, 1.0], n) * 2.0 ** rng.uniform(-52, 0, n),
            turns + np.spacing(turns) * rng.integers(-4, 5, n),
            np.rint(rng.uniform(-64, 64, n)) / 64 + rng.uniform(-1e-9, 1e-9, n),
        ):
            x = x[np.isfinite(x)]
            if x.size:
                yield x


def inputs(function: Function, dtype: str, every: int, count: int, seed: int) -> Iterator[Operands]:
    """The operands of the function, inside where it is measured."""
    if function.operands == 1:
        streams = [
            inputs32(every) if dtype == "float32" else inputs64(count, function.low, function.high, seed)
        ]
    else:
        streams = [
            inputs64(count, function.low, function.high, 2 * seed + k) for k in range(function.operands)
        ]
    for blocks in zip(*streams, strict=True):
        n = min(x.size for x in blocks)
        with np.errstate(over="ignore", under="ignore"):
            xs = tuple(x[:n].astype(dtype) for x in blocks)
        held = (xs[0] >= function.low) & (xs[0] <= function.high) & np.isfinite(xs).all(0)
        if held.any():
            yield tuple(x[held] for x in xs)


def called(kernel: Callable[..., Any], xs: Operands, layout: str) -> Array:
    """What torch makes of the operands, laid out so."""
    tensors = [torch.from_numpy(x) for x in xs]
    if layout == "strided":
        wide = [torch.empty(2 * t.numel(), dtype=t.dtype) for t in tensors]
        for w, t in zip(wide, tensors, strict=True):
            w[::2] = t
        tensors = [w[::2] for w in wide]
    return kernel(*tensors).numpy()


def errors(y: Array, reference: Array, one: Array, fmt: Format) -> Array:
    """|y - reference| in units of ``one``; infinite for NaN; where the reference is beyond the range, infinity is as good."""
    with np.errstate(all="ignore"):
        off = np.abs(y - reference)
        off /= one
        if off.max() < np.inf:
            return off
        off = np.where(np.isnan(off) & ~np.isnan(reference), np.inf, off)
        beyond = ~(np.abs(reference) < fmt.max * (1 + fmt.u / 2))
        return np.where(beyond & (~np.isfinite(y) | ~np.isfinite(reference)), 0.0, off)


def unit(function: Function, reference: Array, xs: Operands, fmt: Format) -> Array:
    """What errors are counted in: ULP; the radius that the rule of a composed function states."""
    if not function.composed:
        return spacing(reference, fmt)
    op = REGISTRY[function.composed]
    params: dict[str, Any] = {"threshold": None} if function.composed == "softplus" else {}
    with np.errstate(all="ignore"):
        return op.rounding(
            Evaluation(fmt, op.forward, reference, tuple(x.astype(fmt.wide) for x in xs), (None,), params)
        )


def measure(name: str, dtype: str, every: int, count: int, seed: int = 0) -> Worst:
    """The worst errors of one function in one dtype, over the numbers described above."""
    function, fmt, worst = FUNCTIONS[name], FORMATS[dtype], Worst()
    if name in _GROWING:
        function = replace(function, low=-_RANGE[dtype], high=_RANGE[dtype])
    for k, xs in enumerate(inputs(function, dtype, every, count, seed)):
        with np.errstate(all="ignore"):
            reference = function.forward(*[x.astype(fmt.wide) for x in xs])
        one, size = unit(function, reference, xs, fmt), xs[0].size
        for layout in LAYOUTS[:2]:
            worst.meet(layout, xs, errors(called(function.kernel, xs, layout), reference, one, fmt))
        for start in np.linspace(0, size - 1, 10).astype(
            int
        ):  # arrays of 1 to 7 elements, all over the block
            few = slice(start, start + 1 + k % _SHORT)
            part = tuple(x[few] for x in xs)
            y = called(function.kernel, part, "short")
            worst.meet("short", part, errors(y, reference[few], one[few], fmt))
        worst.met += size
    return worst


def confirmed(name: str, dtype: str, worst: Worst) -> float:
    """The largest error once more, against mpmath with 60 digits; as it was for a function that mpmath has no name for."""
    function, layout = FUNCTIONS[name], worst.where
    if function.exactly is None or layout not in worst.at:
        return worst.largest
    xs = tuple(np.full(1 if layout == "short" else 64, x, dtype) for x in worst.at[layout])
    got = float(called(function.kernel, xs, layout)[0])
    with mpmath.workdps(60):
        exact = function.exactly(*map(mpmath.mpf, worst.at[layout]))
        one = spacing(np.longdouble(mpmath.nstr(exact, 25)), FORMATS[dtype])
        return float(abs(mpmath.mpf(got) - exact) / mpmath.mpf(float(one)))


def main(arguments: list[str] | None = None, table: Table = CPU_ULP) -> int:
    """Print measured errors beside the table's; 1 where one exceeds its figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ulp", description=__doc__)
    parser.add_argument("functions", nargs="*", default=list(FUNCTIONS), metavar="function")
    parser.add_argument("--every", type=int, default=1009, help="float32: every N-th number (1: all of them)")
    parser.add_argument(
        "--count", type=int, default=2**18, help="float64, and two operands: numbers of each kind"
    )
    parser.add_argument("--dtype", choices=("float32", "float64"), action="append")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if unknown := set(given.functions) - FUNCTIONS.keys():
        parser.error(f"unknown function {min(unknown)!r}; one of {sorted(FUNCTIONS)} is expected")
    torch.set_num_threads(1)
    exceeded = 0
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}; one thread: {', '.join(pairs.THREADS)}"
    )
    print(
        f"{'':20}{'numbers':>12}"
        + "".join(f"{layout:>12}" for layout in LAYOUTS)
        + f"{'figure':>9}  worst at"
    )
    for dtype in given.dtype or ("float32", "float64"):
        if dtype == "float64" and np.finfo(np.longdouble).nmant <= np.finfo(np.float64).nmant:
            print("float64: long double is no wider here: not measured")
            continue
        for name in given.functions:
            worst = measure(name, dtype, given.every, given.count, given.seed)
            composed = FUNCTIONS[name].composed
            figure = 1.0 if composed else table[dtype][name]
            above = worst.largest > figure and confirmed(name, dtype, worst) > figure
            exceeded += above
            print(
                f"{name:12}{dtype:8}{worst.met:12}"
                + "".join(f"{worst.error[layout]:12.4f}" for layout in LAYOUTS)
                + f"{figure:9.5g}  {', '.join(map(repr, worst.at.get(worst.where, ())))}{' (bounds, not ULP)' if composed else ''}"
                + ("  EXCEEDED" if above else ""),
                flush=True,
            )
    return int(exceeded > 0)


if __name__ == "__main__":
    sys.exit(main())
