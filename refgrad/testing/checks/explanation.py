"""What explains a wrong array: one number or one operation that turns what is expected into what came.

Everything that is said has been verified: with it, every element lies within its window (weighing.py). Where nothing does, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format, format_of
from refgrad.quiet import quiet
from refgrad.testing.checks.constant_factors import factor, offsets, own_factors
from refgrad.testing.checks.misplaced_arrays import coarser, cut, predictions
from refgrad.testing.checks.part import BEGINNING, Evidence, LargeEvidence, beginning
from refgrad.testing.checks.plausibility import BITS, Difference
from refgrad.testing.checks.wrong_regions import region

Array = Any
Others = Sequence[tuple[str, Array]]
Ask = Callable[[tuple[Array | None, ...]], tuple[Array, Array]]


def explained(evidence: Evidence, mode: str, dtype: str, device: str = "cpu") -> str:
    """The explanation of a wrong answer in a mode; empty where there is none, or where no array of numbers came or was expected."""
    if isinstance(evidence, LargeEvidence):
        (got, expected, bound), shape = evidence.beginning, evidence.shape
    else:
        got, expected, bound, shape = evidence.got, evidence.expected, evidence.bound, None
    if got is None or expected is None:
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
        ask=evidence.ask,
        shape=shape,
    )


def explain(
    got: Array,
    expected: Array,
    bound: Array,
    fmt: Format,
    *,
    others: Others = (),
    seeds: Sequence[Array | None] = (),
    seed: str = "cotangent",
    ask: Ask | None = None,
    shape: tuple[int, ...] | None = None,
) -> str:
    """One number or one operation that explains all of ``got``, in words; empty where there is none.

    got, expected, bound   what came, what was expected, how far they may differ; bound broadcasts to expected
    fmt      the format that is judged
    others   name and array of what is expected elsewhere, such as ("gradient of input 1", x1_bar)
    seeds    the cotangents or tangents, None for one that was not given
    seed     what they are called: "cotangent" or "tangent"
    ask      gives expected and bound for other seeds
    shape    that of the whole array, where the three are its beginning alone
    """
    got, expected = np.asarray(got), np.asarray(expected)
    if got.dtype.kind == "c":
        return ""
    if got.shape != expected.shape:
        return _misshapen(got, expected, bound, fmt)
    if not got.size:
        return ""
    known = _Known(tuple(others), tuple(seeds), seed, ask, shape or expected.shape)
    bound, said = np.broadcast_to(bound, expected.shape), ""
    if shape or got.size > BEGINNING:  # of a large array a part, for the sake of memory
        got, expected, bound = (x[beginning(x.shape)] for x in (got, expected, bound))
        known, said = replace(known, seeds=(), ask=None), f" (looked at in its first {got.size} elements)"
    for hidden in (False, True):
        d = Difference.of(got, expected, bound, fmt, hidden=hidden)
        if not d.wrong.any():
            return ""
        if words := _explanation(d, known):
            return words + said
    return ""


@dataclass(frozen=True)
class _Known:
    """What is known beside the array itself, see ``explain``; ``shape`` is that of the whole array."""

    others: tuple[tuple[str, Array], ...]
    seeds: tuple[Array | None, ...]
    seed: str
    ask: Ask | None
    shape: tuple[int, ...]

    def sizes(self) -> list[tuple[str, tuple[int, ...]]]:
        """The shapes by which a factor may be named."""
        whose = "output" if self.seed == "cotangent" else "input"
        seeds = [(f"{whose} {k}", np.asarray(s).shape) for k, s in enumerate(self.seeds) if s is not None]
        others = [(f"the {name}", np.asarray(x).shape) for name, x in self.others if x is not None]
        return [("", self.shape), *seeds, *others]


def _explanation(d: Difference, known: _Known) -> str:
    if whole := _plain(d) or _numbers(d, known):
        return whole
    others = known.others if d.got.shape == known.shape else ()
    for words, told, window in chain(predictions(d, others, known.seeds, known.seed), _asked(d, known)):
        if d.bits(told, window) >= BITS:
            return words
    return _rounded(d) or _somewhere(d, known) or own_factors(d) or offsets(d)


def _plain(d: Difference) -> str:
    """Zeros, NaN or infinities in the place of all elements."""
    here = d.got[np.isfinite(d.expected)]
    if np.all(here == 0):
        return "every element is zero"
    if np.all(np.isnan(here)):
        return "every element is NaN"
    return "every element is infinite" if np.all(np.isinf(here)) else ""


def _numbers(d: Difference, known: _Known) -> str:
    """A constant factor, named by the size of an axis where it has one."""
    return factor(d, known.sizes()) if np.all(np.isfinite(d.got) | ~np.isfinite(d.expected)) else ""


def _asked(d: Difference, known: _Known) -> Iterator[tuple[str, Array, Array]]:
    """What would be due for other seeds: rounded ones, ones, a single one."""
    given = [k for k, s in enumerate(known.seeds) if s is not None and np.size(s)]
    only = np.asarray(known.seeds[given[0]]) if len(given) == 1 else None
    for words, changed in _other_seeds(known.seeds, given, known.seed, d.fmt.name):
        if known.ask is not None:
            told, window = known.ask(tuple(changed))
            told = np.asarray(told, d.fmt.wide)
            yield words, told, np.maximum(np.broadcast_to(window, told.shape), d.window)
        elif only is not None and only.shape == d.expected.shape:  # right for a function of single elements
            after = np.asarray(changed[given[0]], d.fmt.wide)
            with quiet():
                share = np.where(only == 0, 1.0, after / only)
            yield words, d.expected * share, np.abs(share) * d.window


def _other_seeds(
    seeds: Sequence[Array | None], given: list[int], seed: str, dtype: str
) -> Iterator[tuple[str, list[Array | None]]]:
    for name, bits in coarser(dtype):
        changed = [None if s is None else cut(np.asarray(s, float), bits) for s in seeds]
        yield f"what came is what is due for the {seed} rounded to {name}", changed
    ones = [None if s is None else np.ones_like(s) for s in seeds]
    yield f"what came is what is due for a {seed} of ones: the {seed} that was given is not used", ones
    if len(given) > 1:
        for k in given:
            of = f"the {seed} of {'output' if seed == 'cotangent' else 'input'} {k}"
            alone = [s if j == k else None if s is None else np.zeros_like(s) for j, s in enumerate(seeds)]
            yield f"what came is what is due for {of} alone", alone
            without = [np.zeros_like(s) if j == k and s is not None else s for j, s in enumerate(seeds)]
            yield f"what came is what is due without {of}", without


def _rounded(d: Difference) -> str:
    """Numbers of a format with fewer bits, the nearest to what is expected."""
    if not np.all(np.isfinite(d.got)):
        return ""
    for name, bits in reversed(coarser(d.fmt.name)):
        with quiet():
            if not np.array_equal(cut(d.got, bits), d.got):
                continue
            some = (d.got != 0) & (cut(d.expected, bits) != d.expected)
            around = d.window + 2.0**-bits * np.abs(d.expected)
            if (
                np.all(np.abs(d.got - d.expected) <= around)
                and np.count_nonzero(some) * (d.fmt.bits - bits) >= BITS
            ):
                return f"every element is a number of {bits} significant bits next to what is expected: it was rounded to {name}"
    return ""


def _somewhere(d: Difference, known: _Known) -> str:
    """Which part of the array is wrong, and what explains that part."""
    found = region(d.wrong)
    if found is None:
        return ""
    block, words = found
    part = d.at(block)
    why = _plain(part) or _numbers(part, known)
    return f"wrong in {words} only" + (f"; {why} there" if why else "")


def _misshapen(got: Array, expected: Array, bound: Array, fmt: Format) -> str:
    """An array of another shape that is the expected one but for a sum, a transpose or a reshape."""
    if got.size == expected.size:
        if got.ndim == 2 and got.T.shape == expected.shape and _near(got.T, expected, bound, fmt):
            return "what came is what is expected, transposed"
        if _near(got.reshape(expected.shape), expected, bound, fmt):
            return f"what came has the expected elements in the shape {got.shape}"
        return ""
    lead = got.ndim - expected.ndim
    if lead < 0 or not got.size:
        return ""
    kept = (1,) * lead + expected.shape
    axes = tuple(a for a, (m, n) in enumerate(zip(got.shape, kept, strict=True)) if m != n)
    if not axes or any(kept[a] != 1 for a in axes):
        return ""
    axes = tuple(dict.fromkeys((*range(lead), *axes)))
    with quiet():
        total = got.astype(fmt.wide).sum(axes, keepdims=True).reshape(expected.shape)
        count = got.size / max(expected.size, 1)
        slack = count * fmt.u_acc * np.abs(got).sum(axes, keepdims=True).reshape(expected.shape)
        slack = slack + fmt.u * np.abs(got).sum(axes, keepdims=True).reshape(expected.shape)
    if _near(total, expected, np.asarray(bound) + slack, fmt):
        which = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
        return f"the sum over {which} is missing: summed, what came is what is expected"
    return ""


def _near(told: Array, expected: Array, bound: Array, fmt: Format) -> bool:
    """Whether an array lies within its bounds, and would not if its elements were others."""
    d = Difference.of(np.zeros(expected.shape), expected, bound, fmt)
    with quiet():
        within = np.abs(told - d.expected) <= np.asarray(bound) + fmt.u * np.abs(d.expected)
    if not np.all(within):
        return False
    d.got = np.asarray(told).astype(fmt.wide)
    d.expected = 0 * d.expected
    return d.bits(np.asarray(expected, fmt.wide), np.asarray(bound)) >= BITS
