"""Judges the formulas of a mutant by the same comparison and bounds as all other derivatives."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array, Tree
from refgrad.bounds.formats import FORMATS
from refgrad.testing.checks.check import check_jvp, check_vjp
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import AGREE, DISAGREE, Comparison, Verdict
from refgrad.tracing.ball import exact
from refgrad.transforms import vjp

from ..families.arrays import rounded  # noqa: TID252 - the suite has another name in a wheel
from .record import Args, Backward, Mutant, Way

RAISED = "raised"
REPEATS = 3  # random cotangents for each case


def cases(mutant: Mutant, dtype: str, seed: int) -> list[Args]:
    """The mutant's arguments, rounded to the format; the exposing ones come first."""
    drawn = mutant.inputs(np.random.default_rng(seed))
    return [
        tuple(rounded(x, dtype) if np.asarray(x).dtype.kind == "f" else x for x in args) for args in drawn
    ]


def verdict(
    mutant: Mutant, backward: Backward, args: Args, dtype: str, seed: int, repeats: int = REPEATS
) -> Verdict:
    """The verdict on one formula at one set of arguments."""
    with np.errstate(all="ignore"):  # many wrong formulas divide by zero
        if mutant.way is Way.KERNEL:
            return _kernel(mutant, backward, args, dtype, seed, repeats)
        check = check_vjp if mutant.way is Way.FORMULA else check_jvp
        report = check(
            mutant.forward, backward, args, dtype=dtype, repeats=repeats, seed=seed, raise_exception=False
        )
        return report.verdicts[0][1]


def refusals(mutant: Mutant, dtype: str, seed: int) -> list[str]:
    """The reasons why the right formula was not accepted, one for each such case; empty where all cases agree."""
    found = []
    for k, args in enumerate(cases(mutant, dtype, seed)):
        v = verdict(mutant, mutant.right, args, dtype, seed)
        if v.status != AGREE:
            found.append(f"case {k}: {v.status}, {v.message or v.reason}")
    return found


def caught(mutant: Mutant, dtype: str, seed: int) -> str:
    """The message of the disagreement of the wrong formula at the exposing inputs; "" where the judge accepted it.

    Raises what the wrong formula raises, unless the record expects it.
    """
    args = cases(mutant, dtype, seed)[0]
    try:
        for repeats in (1, REPEATS):  # one cotangent shows almost every mistake
            v = verdict(mutant, mutant.wrong, args, dtype, seed, repeats)
            if v.status == DISAGREE:
                return v.message
    except Exception as error:
        if mutant.raises is None or not isinstance(error, mutant.raises):
            raise  # an error of the suite, not of the mutant
        return f"{RAISED} {type(error).__name__}: {error}"
    return ""


def _kernel(mutant: Mutant, kernel: Backward, args: Args, dtype: str, seed: int, repeats: int) -> Verdict:
    """Run the emulation in the format, on copies of the arguments, and compare it with the derivative of forward."""
    fmt, rng = FORMATS[dtype], np.random.default_rng(seed)
    active = [k for k, x in enumerate(args) if np.asarray(x).dtype.kind == "f"]

    def f(*xs: Array) -> Tree:
        full = list(args)
        for k, x in zip(active, xs, strict=True):
            full[k] = x
        return mutant.forward(*full)

    y, pullback = vjp(f, *[exact(args[k], fmt) for k in active])
    tally = Tally("reverse", dtype, "numpy")
    for _ in range(repeats):
        y_bar = rounded(rng.integers(-8, 9, y.shape) / 4.0 + 0.25, dtype)
        expected = pullback(exact(y_bar, fmt))
        got = kernel(y_bar.copy(), *[np.copy(x) for x in args])
        got = got if isinstance(got, tuple) else (got,)
        for k, x_bar in zip(active, expected, strict=True):
            what = f"gradient of argument {k}"
            same = np.asarray(got[k]).dtype == np.asarray(args[k]).dtype
            strange = f"{what} has dtype {np.asarray(got[k]).dtype}, expected {np.asarray(args[k]).dtype}"
            tally.add(-1, mutant.op, compare(got[k], x_bar, fmt, what) if same else Comparison(note=strange))
    return tally.verdict()
