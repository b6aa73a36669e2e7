"""How far elementary functions are off on this CPU, in ULP, beside the figures that refgrad judges with: python -m benchmarks.ulp.

torch is measured, or with --backend the framework behind a worker. float32 meets every N-th of all 2^32 numbers (--every 1: each of
them), and a half format each of its numbers, held against NumPy's float64. float64 meets random and chosen numbers, held against long
double. Functions of two operands do so in each dtype. An error above its figure is computed again with mpmath. Kernels compute
contiguous, strided and short arrays differently: each is called on all of them, a worker on strided ones only with --strided. Where a
profile says that kernels flush subnormal numbers, there are none among the operands; nor are those at which a value is a recorded
disagreement of the worker's framework. Of a worker the command also says how it rounds
quotients, and whether it fuses or flushes. Exit code 1: a figure is exceeded, or the profile denies what was seen.
"""

from __future__ import annotations

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import argparse

import numpy as np

import refgrad.ops  # noqa: F401 - fills the registry
from benchmarks.ulp.arithmetic import findings
from benchmarks.ulp.errors import shown
from benchmarks.ulp.functions import FUNCTIONS
from benchmarks.ulp.kernels import Kernels, NoValueError, TorchKernels, WorkerKernels
from benchmarks.ulp.measure import confirmed, figure, measure
from refgrad import backends
from refgrad.bounds.formats import DTYPES


def main(arguments: list[str] | None = None, kernels: Kernels | None = None) -> int:
    """Print measured errors beside the figures; 1 where one is exceeded. ``kernels`` are measured in place of those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ulp", description=__doc__)
    parser.add_argument(
        "functions", nargs="*", metavar="function", help="all that the framework has, by default"
    )
    parser.add_argument(
        "--backend",
        default="torch",
        metavar="NAME[=PYTHON]",
        help="torch, or a worker, as for refgrad conformance",
    )
    parser.add_argument("--every", type=int, default=1009, help="float32: every N-th number (1: all of them)")
    parser.add_argument(
        "--count", type=int, default=2**18, help="float64, and two operands: numbers of each kind"
    )
    parser.add_argument("--dtype", choices=DTYPES, action="append")
    parser.add_argument("--strided", action="store_true", help="ask a worker for strided operands, too")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if unknown := set(given.functions) - FUNCTIONS.keys():
        parser.error(f"unknown function {min(unknown)!r}; one of {sorted(FUNCTIONS)} is expected")
    kernels = kernels or _kernels(parser, given.backend, strided=given.strided)
    exceeded = 0
    print(f"{kernels.described}; one thread: {', '.join(pairs.THREADS)}")
    print(
        f"{'':22}{'numbers':>12}"
        + "".join(f"{layout:>12}" for layout in kernels.layouts)
        + f"{'figure':>9}  worst at"
    )
    for dtype in given.dtype or kernels.dtypes:
        if dtype not in kernels.dtypes:
            parser.error(
                f"{given.backend} does not compute in {dtype}; one of {list(kernels.dtypes)} is expected"
            )
        if dtype == "float64" and np.finfo(np.longdouble).nmant <= np.finfo(np.float64).nmant:
            print("float64: long double is no wider here: not measured")
            continue
        for name in given.functions or FUNCTIONS:
            exceeded += kernels.has(name, dtype) and _printed(kernels, name, dtype, given)
        if isinstance(kernels, WorkerKernels) and not given.functions:
            for found in findings(kernels, dtype, given.seed):
                exceeded += found.denied
                print(
                    f"{found.question:22}{dtype:10}{found.answer}{'  EXCEEDED' if found.denied else ''}",
                    flush=True,
                )
    if lacking := [name for name in given.functions or FUNCTIONS if name not in kernels.names]:
        print(f"not among its ops: {', '.join(lacking)}")
    return int(exceeded > 0)


def _kernels(parser: argparse.ArgumentParser, name: str, *, strided: bool) -> Kernels:
    if name == "torch":
        return TorchKernels()
    backend = backends.load(name)
    if not isinstance(backend, backends.WorkerBackend):
        parser.error(
            f"backend {name!r} is no worker; torch or a worker is expected (`refgrad backends` lists them)"
        )
    return WorkerKernels(backend, strided=strided)


def _printed(kernels: Kernels, name: str, dtype: str, given: argparse.Namespace) -> bool:
    """Print the line of a function; whether its figure is exceeded."""
    try:
        worst = measure(kernels, name, dtype, given.every, given.count, given.seed)
    except NoValueError as refused:
        print(f"{name:12}{dtype:10}not measured: {refused}", flush=True)
        return False
    stated = figure(kernels, name, dtype)
    above = worst.largest > stated and confirmed(kernels, name, dtype, worst) > stated
    print(
        f"{name:12}{dtype:10}{worst.met:12}"
        + "".join(shown(worst.error[layout]) for layout in kernels.layouts)
        + f"{stated:9.5g}  {', '.join(map(repr, worst.at.get(worst.where, ())))}"
        + (" (bounds, not ULP)" if FUNCTIONS[name].composed and stated == 1.0 else "")
        + (f" ({worst.excused} left out: a recorded disagreement)" if worst.excused else "")
        + ("  EXCEEDED" if above else ""),
        flush=True,
    )
    return above
