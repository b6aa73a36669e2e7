"""Candidates for a wrong array: permuted, shifted or summed elements, another gradient, the cotangent itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS, computed_on
from refgrad.quiet import quiet
from refgrad.testing.checks.plausibility import Difference

# In words, the predicted array, the window of each of its elements.
Candidate = tuple[str, PlainArray, PlainArray]


def predictions(
    d: Difference, others: Sequence[tuple[str, PlainArray]], seeds: Sequence[PlainArray | None], seed: str
) -> Iterator[Candidate]:
    """All candidates, the simplest first. ``seed`` is the name of the seeds: cotangent or tangent."""
    yield from permuted(d)
    yield from shifted(d)
    yield from summed(d)
    yield from swapped(d, others)
    yield from passed_through(d, seeds, seed)


def permuted(d: Difference) -> Iterator[Candidate]:
    """The expected array with permuted axes, and with its elements in the order of permuted axes (a reshape in place of a transpose)."""
    shape, x, w = d.expected.shape, d.expected, d.window
    if not 2 <= len(shape) <= 4:
        return
    orders = list(itertools.permutations(range(len(shape))))[1:]
    for order in orders:
        if x.transpose(order).shape == shape:
            exchanged = "transposed" if len(shape) == 2 else f"with its axes in the order {order}"
            yield f"the answer is the expected array, {exchanged}", x.transpose(order), w.transpose(order)
    for order in orders:
        moved = tuple(shape[k] for k in order)
        said = (
            f"the answer has the expected elements in another order, as a reshape from {moved} to {shape} in place of a "
            "transpose leaves them"
        )
        yield said, x.transpose(order).reshape(shape), w.transpose(order).reshape(shape)
        back = tuple(np.argsort(order))
        yield said, x.reshape(moved).transpose(back), w.reshape(moved).transpose(back)


def shifted(d: Difference) -> Iterator[Candidate]:
    """The expected array shifted and reversed along each axis."""
    x, w = d.expected, d.window
    for axis, n in enumerate(x.shape):
        if n > 1:
            yield (
                f"the answer is the expected array, reversed along axis {axis}",
                np.flip(x, axis),
                np.flip(w, axis),
            )
        for by in (1, -1, 2, -2) if n > 2 else ():
            whose = f"{abs(by)} place{'s' * (abs(by) > 1)} {'before' if by > 0 else 'after'}"
            said = f"every element is the one expected {whose} it along axis {axis}"
            yield said, np.roll(x, by, axis), np.roll(w, by, axis)


def summed(d: Difference) -> Iterator[Candidate]:
    """The sum or the mean along axes in place of each element."""
    x, w, ndim = d.expected, d.window, d.expected.ndim
    for count in range(1, min(ndim, 3) + 1):
        for axes in itertools.combinations(range(ndim), count):
            n = math.prod(x.shape[a] for a in axes)
            if n < 2:
                continue
            with quiet():
                total = x.sum(axes, keepdims=True)
                around = w.sum(axes, keepdims=True) + n * d.fmt.u_acc * np.abs(x).sum(axes, keepdims=True)
            along = f"along ax{'e' if count > 1 else 'i'}s {' and '.join(map(str, axes))}"
            yield f"every element is the sum {along} of the expected array", total, around
            yield f"every element is the mean {along} of the expected array", total / n, around / n


def swapped(d: Difference, others: Sequence[tuple[str, PlainArray]]) -> Iterator[Candidate]:
    """Another array of the same question."""
    for name, other in others:
        if other is None:
            continue
        x = np.asarray(other, d.fmt.wide)
        with quiet():
            around = np.abs(x) * np.max(d.window / np.maximum(np.abs(d.expected), d.fmt.eta), initial=0.0)
            around = np.minimum(around, np.max(d.window, initial=0.0))
        if x.shape == d.expected.shape:
            yield f"the answer is the expected {name}", x, around
        elif x.ndim == 2 and x.T.shape == d.expected.shape:
            yield f"the answer is the expected {name}, transposed", x.T, around.T


def passed_through(d: Difference, seeds: Sequence[PlainArray | None], seed: str) -> Iterator[Candidate]:
    """The cotangent or tangent itself, its sum or mean over axes, or one of its slices."""
    shape = d.expected.shape
    for k, given in enumerate(seeds):
        if given is None:
            continue
        x = np.asarray(given, d.fmt.wide)
        of = f"the {seed} of {'output' if seed == 'cotangent' else 'input'} {k}"
        if x.shape == shape:
            yield f"the answer is {of} itself", x, 0 * np.abs(x)
        elif x.ndim == 2 and x.T.shape == shape:
            yield f"the answer is {of}, transposed", x.T, 0 * np.abs(x.T)
        for axis, n in enumerate(x.shape):
            if n and x.shape[:axis] + x.shape[axis + 1 :] == shape:
                total, around = x.sum(axis), n * d.fmt.u_acc * np.abs(x).sum(axis)
                yield f"the answer is {of}, summed over axis {axis}", total, around
                yield f"the answer is the mean of {of} over axis {axis}", total / n, around / n
                for where in dict.fromkeys((0, n - 1)):
                    row = np.take(x, where, axis)
                    yield (
                        f"the answer is {of} at index {where} of axis {axis} alone, not its sum",
                        row,
                        0 * np.abs(row),
                    )


def shorter_formats(fmt_name: str) -> list[tuple[str, int]]:
    """The formats with fewer significant bits than a dtype, with their number of bits."""
    bits = FORMATS[fmt_name].bits if fmt_name in FORMATS else 24
    return sorted(((name, f.bits) for name, f in computed_on().items() if f.bits < bits), key=lambda f: -f[1])


def round_to_bits(x: PlainArray, bits: int) -> PlainArray:
    """The nearest numbers with ``bits`` significant bits."""
    fraction, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits)
