"""Makes verdicts of drafts: compares the arrays of many judgements in one pass, and counts what agrees.

An array with an element out of bounds is compared by its own judge, in full, and so is every array of a draft that has a large array, or
one of a wrong shape, dtype or device.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds import magnitudes
from refgrad.bounds.formats import Format
from refgrad.testing.judging.concatenated import Concatenated, Segment
from refgrad.testing.judging.judge import Draft, Expectation, Judge
from refgrad.testing.judging.observation import NODE_PARTS, Place
from refgrad.testing.judging.sharpness import RelativeBounds
from refgrad.testing.judging.verdict import Verdict
from refgrad.tracing.ball import Ball, parts

# An array of a draft: its place, its expectation, and the observed array, the expected one and the radius, each with one axis.
_Row = tuple[Place, Expectation, PlainArray, PlainArray, PlainArray]

_ZEROS = np.zeros(magnitudes.LARGE)
_EMPTY = Segment(0, 0, 0, 0, 0.0, 0)


def settle(drafts: Sequence[Draft]) -> list[Verdict]:
    """The verdicts, in their order."""
    lines: dict[tuple[int, bool], _Line] = {}
    for draft in drafts:
        rows = _rows(draft)
        if rows:
            fmt, nan = draft.places[-1][0].fmt, rows[0][0][0] == "values"
            key = id(fmt), nan
            if key not in lines:
                lines[key] = _Line(fmt, nan)
            lines[key].drafts.append((draft, rows))
        else:
            _alone(draft)
    for line in lines.values():
        line.settle()
    return [draft.tally.verdict() for draft in drafts]


def _alone(draft: Draft) -> None:
    for judge, places in draft.places:
        judge.compare(draft.tally, places)


def _rows(draft: Draft) -> list[_Row]:
    """The arrays of a draft; empty where they have to be compared by themselves."""
    rows: list[_Row] = []
    if len(draft.places) > 1:  # values of another run beside tangents
        return rows
    (judge, places), total = draft.places[0], 0
    seen, expectations = judge.seen, judge.expectations
    arrays = {"values": seen.values, "cotangents": seen.cotangents, "tangents": seen.tangents}
    if not _as_expected(judge):
        return []
    for place in places:
        part, key = place
        expectation = expectations[place]
        got = seen.parts.get(key) if part == "parts" else arrays[part][key]
        if got is None:
            return []
        expected, size = expectation.expected, got.size
        total += size
        if got.shape != expected.shape or total >= magnitudes.LARGE:
            return []
        value, radius = parts(expected) if type(expected) is not Ball else (expected.value, expected.radius)
        if radius is None:
            radius = _ZEROS[:size]
        elif np.shape(radius) != value.shape:
            radius = np.broadcast_to(radius, value.shape).ravel()
        else:
            radius = np.ravel(radius)  # of a single number it may be a float
        rows.append((place, expectation, got.ravel(), value.ravel(), radius))
    return rows


def _as_expected(judge: Judge) -> bool:
    """Whether every array of the observation has the dtype of the case and is on its device, as far as that is known."""
    seen, dtypes, devices = judge.seen, {None, judge.fmt.storage}, {None, judge.case.device}
    return all(
        dtypes.issuperset(seen.dtypes.get(part, ())) and devices.issuperset(seen.devices.get(part, ()))
        for part in NODE_PARTS
    )


class _Line:
    """The arrays of many drafts in one format, to be compared in one pass. With ``nan`` they are values."""

    def __init__(self, fmt: Format, nan: bool) -> None:
        self.fmt, self.nan = fmt, nan
        self.drafts: list[tuple[Draft, list[_Row]]] = []

    def settle(self) -> None:
        """Compare, and add the findings to the tallies."""
        flat = [row[2:] for _, rows in self.drafts for row in rows if row[2].size]
        if not flat:
            for draft, rows in self.drafts:
                for _, expectation, *_ in rows:
                    draft.tally.count(expectation.op, expectation.users, _EMPTY)
            return
        starts = np.cumsum([0, *[got.size for got, _, _ in flat[:-1]]])
        whole = Concatenated(flat, self.fmt, self.nan, None, None, as_they_are=True)
        segments = iter(zip(starts.tolist(), whole.segments(starts), strict=True))
        shares, some = whole.relative_bounds()
        for draft, rows in self.drafts:
            found = [next(segments) if row[2].size else (0, _EMPTY) for row in rows]
            places: list[slice] = []  # of the arrays without an element out of bounds, neighbours joined
            for row, (start, segment) in zip(rows, found, strict=True):
                if segment.wrong:
                    draft.places[0][0].compare(draft.tally, [row[0]])
                    continue
                _count(draft, row, start, segment, whole)
                if row[2].size:
                    begin = places.pop().start if places and places[-1].stop == start else start
                    places.append(slice(begin, start + row[2].size))
            draft.tally.sharpness += [RelativeBounds(shares[here], some[here]) for here in places]


def _count(draft: Draft, row: _Row, start: int, segment: Segment, whole: Concatenated) -> None:
    """Count an array without an element out of bounds."""
    place, expectation, got, _, _ = row
    tally = draft.tally
    tally.count(expectation.op, expectation.users, segment)
    if got.size:
        # these do not refer to the expectation, which would be in a cycle
        what, shape = expectation.what, expectation.expected.shape
        expectation.found = functools.partial(whole.comparison, what, shape, start, place)
        if segment.elements and (tally.worst is None or segment.ratio > tally.worst[0]):
            make = functools.partial(whole.worst_element, what, shape, start)
            tally.worst = segment.ratio, expectation.node, expectation.op, make


__all__ = ["settle"]
