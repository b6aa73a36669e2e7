"""Explanations of wrong arrays: one number or one operation that turns the expected array into the observed one.

Every explanation is verified: it predicts each element within its window, see plausibility.py. Without such an explanation there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, format_of
from refgrad.quiet import quiet
from refgrad.testing.checks.array_verdict import BEGINNING, Evidence, LargeEvidence, beginning
from refgrad.testing.checks.constant_factors import factor, offsets, slice_factors
from refgrad.testing.checks.misplaced_arrays import predictions, round_to_bits, shorter_formats
from refgrad.testing.checks.plausibility import BITS, Difference
from refgrad.testing.checks.wrong_regions import region

Others = Sequence[tuple[str, PlainArray]]
Recompute = Callable[[tuple[PlainArray | None, ...]], tuple[PlainArray, PlainArray]]


def explained(evidence: Evidence, mode: str, dtype: str, device: str = "cpu") -> str:
    """The explanation of a wrong answer in a mode; "" where there is none, or where the answer or the reference has no array."""
    arrays: tuple[PlainArray | None, ...]
    if isinstance(evidence, LargeEvidence):  # its expected array and bound are computed at each access
        arrays, shape = evidence.beginning, evidence.shape
    else:
        arrays, shape = (evidence.got, evidence.expected, evidence.bound), None
    got, expected, bound = arrays
    if got is None or expected is None or bound is None:
        return ""
    seed = "tangent" if mode.startswith("forward") else "cotangent"
    return explain(
        got,
        expected,
        bound,
        format_of(dtype, device),
        others=evidence.others,
        seeds=evidence.seeds if mode in {"reverse", "forward"} else (),
        seed=seed,
        recompute=evidence.recompute,
        shape=shape,
    )


def explain(
    got: PlainArray,
    expected: PlainArray,
    bound: PlainArray,
    fmt: Format,
    *,
    others: Others = (),
    seeds: Sequence[PlainArray | None] = (),
    seed: str = "cotangent",
    recompute: Recompute | None = None,
    shape: tuple[int, ...] | None = None,
) -> str:
    """One number or one operation that explains all of ``got``, in words; "" where there is none.

    got, expected, bound   the observed array, the reference value, and the largest admissible errors; bound broadcasts to expected
    fmt         the judged format
    others      names and reference values of other arrays, such as ("gradient of input 1", x1_bar)
    seeds       the cotangents or tangents; None for one that was not given
    seed        their name: "cotangent" or "tangent"
    recompute   gives expected and bound for other seeds
    shape       of the whole array, where got, expected and bound are its beginning only
    """
    got, expected = np.asarray(got), np.asarray(expected)
    if got.dtype.kind == "c":
        return ""
    if got.shape != expected.shape:
        return _other_shape(got, expected, bound, fmt)
    if not got.size:
        return ""
    context = _Context(tuple(others), tuple(seeds), seed, recompute, shape or expected.shape)
    bound, restriction = np.broadcast_to(bound, expected.shape), ""
    if shape or got.size > BEGINNING:  # of a large array the beginning, to save memory
        got, expected, bound = (x[beginning(x.shape)] for x in (got, expected, bound))
        context, restriction = (
            replace(context, seeds=(), recompute=None),
            f" (looked at in its first {got.size} elements)",
        )
    for hidden in (False, True):
        d = Difference.of(got, expected, bound, fmt, hidden=hidden)
        if not d.wrong.any():
            return ""
        if words := _explanation(d, context):
            return words + restriction
    return ""


@dataclass(frozen=True)
class _Context:
    """The context of the explained array, see ``explain``; ``shape`` is that of the whole array."""

    others: tuple[tuple[str, PlainArray], ...]
    seeds: tuple[PlainArray | None, ...]
    seed: str
    recompute: Recompute | None
    shape: tuple[int, ...]

    def sizes(self) -> list[tuple[str, tuple[int, ...]]]:
        """The shapes after which a factor may be named."""
        whose = "output" if self.seed == "cotangent" else "input"
        seeds = [(f"{whose} {k}", np.asarray(s).shape) for k, s in enumerate(self.seeds) if s is not None]
        others = [(f"the {name}", np.asarray(x).shape) for name, x in self.others if x is not None]
        return [("", self.shape), *seeds, *others]


def _explanation(d: Difference, context: _Context) -> str:
    if whole := _constant_values(d) or _factor_in_words(d, context):
        return whole
    others = context.others if d.got.shape == context.shape else ()
    for words, predicted, window in chain(
        predictions(d, others, context.seeds, context.seed), _for_other_seeds(d, context)
    ):
        if d.bits(predicted, window) >= BITS:
            return words
    return _rounded(d) or _wrong_region(d, context) or slice_factors(d) or offsets(d)


def _constant_values(d: Difference) -> str:
    """Zeros, NaN or infinities in place of all elements."""
    here = d.got[np.isfinite(d.expected)]
    if np.all(here == 0):
        return "every element is zero"
    if np.all(np.isnan(here)):
        return "every element is NaN"
    return "every element is infinite" if np.all(np.isinf(here)) else ""


def _factor_in_words(d: Difference, context: _Context) -> str:
    """A constant factor, with its name where it has one."""
    return factor(d, context.sizes()) if np.all(np.isfinite(d.got) | ~np.isfinite(d.expected)) else ""


def _for_other_seeds(d: Difference, context: _Context) -> Iterator[tuple[str, PlainArray, PlainArray]]:
    """The reference values for other seeds: rounded ones, ones, a single one."""
    given = [k for k, s in enumerate(context.seeds) if s is not None and np.size(s)]
    only = np.asarray(context.seeds[given[0]]) if len(given) == 1 else None
    for words, changed in _other_seeds(context.seeds, given, context.seed, d.fmt.name):
        if context.recompute is not None:
            predicted, window = context.recompute(tuple(changed))
            predicted = np.asarray(predicted, d.fmt.wide)
            yield words, predicted, np.maximum(np.broadcast_to(window, predicted.shape), d.window)
        elif only is not None and only.shape == d.expected.shape:  # exact for an elementwise function
            after = np.asarray(changed[given[0]], d.fmt.wide)
            with quiet():
                share = np.where(only == 0, 1.0, after / only)
            yield words, d.expected * share, np.abs(share) * d.window


def _other_seeds(
    seeds: Sequence[PlainArray | None], given: list[int], seed: str, dtype: str
) -> Iterator[tuple[str, list[PlainArray | None]]]:
    for name, bits in shorter_formats(dtype):
        changed = [None if s is None else round_to_bits(np.asarray(s, float), bits) for s in seeds]
        yield f"the answer is the expected array for the {seed} rounded to {name}", changed
    ones = [None if s is None else np.ones_like(s) for s in seeds]
    yield (
        f"the answer is the expected array for a {seed} of ones: the {seed} that was given is not used",
        ones,
    )
    if len(given) > 1:
        for k in given:
            of = f"the {seed} of {'output' if seed == 'cotangent' else 'input'} {k}"
            alone = [s if j == k else None if s is None else np.zeros_like(s) for j, s in enumerate(seeds)]
            yield f"the answer is the expected array for {of} alone", alone
            without = [np.zeros_like(s) if j == k and s is not None else s for j, s in enumerate(seeds)]
            yield f"the answer is the expected array without {of}", without


def _rounded(d: Difference) -> str:
    """The reference value rounded to a format with fewer bits."""
    if not np.all(np.isfinite(d.got)):
        return ""
    for name, bits in reversed(shorter_formats(d.fmt.name)):
        with quiet():
            if not np.array_equal(round_to_bits(d.got, bits), d.got):
                continue
            some = (d.got != 0) & (round_to_bits(d.expected, bits) != d.expected)
            around = d.window + 2.0**-bits * np.abs(d.expected)
            if (
                np.all(np.abs(d.got - d.expected) <= around)
                and np.count_nonzero(some) * (d.fmt.bits - bits) >= BITS
            ):
                return f"every element is a number of {bits} significant bits next to the expected value: it was rounded to {name}"
    return ""


def _wrong_region(d: Difference, context: _Context) -> str:
    """The wrong region of the array, and the explanation of that region."""
    found = region(d.wrong)
    if found is None:
        return ""
    block, words = found
    part = d.at(block)
    why = _constant_values(part) or _factor_in_words(part, context)
    return f"wrong in {words} only" + (f"; {why} there" if why else "")


def _other_shape(got: PlainArray, expected: PlainArray, bound: PlainArray, fmt: Format) -> str:
    """An array of another shape that a sum, a transpose or a reshape turns into the expected one."""
    if got.size == expected.size:
        if got.ndim == 2 and got.T.shape == expected.shape and _matches(got.T, expected, bound, fmt):
            return "the answer is the expected array, transposed"
        if _matches(got.reshape(expected.shape), expected, bound, fmt):
            return f"the answer has the expected elements in the shape {got.shape}"
        return ""
    lead = got.ndim - expected.ndim
    if lead < 0 or not got.size:
        return ""
    padded = (1,) * lead + expected.shape
    axes = tuple(a for a, (m, n) in enumerate(zip(got.shape, padded, strict=True)) if m != n)
    if not axes or any(padded[a] != 1 for a in axes):
        return ""
    axes = tuple(dict.fromkeys((*range(lead), *axes)))
    with quiet():
        total = got.astype(fmt.wide).sum(axes, keepdims=True).reshape(expected.shape)
        count = got.size / max(expected.size, 1)
        slack = count * fmt.u_acc * np.abs(got).sum(axes, keepdims=True).reshape(expected.shape)
        slack = slack + fmt.u * np.abs(got).sum(axes, keepdims=True).reshape(expected.shape)
    if _matches(total, expected, np.asarray(bound) + slack, fmt):
        which = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
        return f"the sum over {which} is missing: summed, the answer is the expected array"
    return ""


def _matches(predicted: PlainArray, expected: PlainArray, bound: PlainArray, fmt: Format) -> bool:
    """Whether an array lies within its bounds, and an arbitrary array would not."""
    d = Difference.of(np.zeros(expected.shape), expected, bound, fmt)
    with quiet():
        within = np.abs(predicted - d.expected) <= np.asarray(bound) + fmt.u * np.abs(d.expected)
    if not np.all(within):
        return False
    d.got = np.asarray(predicted).astype(fmt.wide)
    d.expected = 0 * d.expected
    return d.bits(np.asarray(expected, fmt.wide), np.asarray(bound)) >= BITS
