"""The table's rows, small enough to travel in the page: columns of numbers and dictionaries of words, compressed.

Failures stand one by one. When a run is large, results that agree are put together by family, dtype, device, mode and op,
with the id of the one that came nearest to its bound.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refgrad.records import AGREE, STATUSES, Result, Run, severity
from refgrad.report.analysis.blame import Blame
from refgrad.report.analysis.text import cut, one_line, pattern

ALL = 6000  # up to so many results stand one by one
SINGLE = 2000  # in a larger run, up to so many of those that do not agree
GROUPS = 12000  # more groups than this, and ops are put together too
WORDS = ("status", "op", "family", "dtype", "device", "mode", "text")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: a result, or several that are alike."""

    words: tuple[str, ...]  # in the order of WORDS
    results: int
    elements: int
    ratio: float | None
    ulp: float | None
    id: str


@dataclass(frozen=True, slots=True)
class Payload:
    """The compressed rows and what they leave out."""

    text: str
    rows: int
    grouped: int  # results that share a row with others


def payload(run: Run) -> Payload:
    """The rows of the table, failures first."""
    ranked = sorted(run.results, key=lambda r: (STATUSES.index(r.status), r.order))
    room = len(ranked) if len(ranked) <= ALL else SINGLE
    blame = Blame(run.results)
    apart = [r for r in ranked if room == len(ranked) or r.status != AGREE][:room]
    chosen = set(map(id, apart))
    rest = [r for r in ranked if id(r) not in chosen]
    lines = [_one(r, blame.op(r) if r.failed else r.op) for r in apart]
    together = _together(rest, lambda r: _name(blame.op(r) if r.failed else r.op))
    if len(together) > GROUPS:
        together = _together(rest, lambda _: "")
    lines += together
    return Payload(_pack(lines), len(lines), sum(line.results for line in together))


def _name(op: str) -> str:
    """An op as the query line can ask for it."""
    return one_line(op).replace('"', " ")


def _one(r: Result, op: str) -> Line:
    words = (r.status, _name(op), r.family, r.dtype, r.device, r.mode, cut(one_line(r.text), 200))
    return Line(words, 1, r.elements, *_error(r), r.id)


def _error(r: Result) -> tuple[float | None, float | None]:
    return (None, None) if r.worst is None else (r.worst.ratio, r.worst.ulp)


def _together(results: list[Result], op: Callable[[Result], str]) -> list[Line]:
    groups: dict[tuple[str, ...], list[Result]] = defaultdict(list)
    for r in results:
        groups[r.status, op(r), r.family, r.dtype, r.device, r.mode, pattern(r.text)].append(r)
    lines = []
    for words in sorted(groups, key=lambda w: (STATUSES.index(w[0]), w)):
        group = groups[words]
        worst = max(group, key=lambda r: -1.0 if r.worst is None else severity(r.worst.ratio))
        lines.append(Line(words, len(group), sum(r.elements for r in group), *_error(worst), worst.id))
    return lines


def _pack(lines: list[Line]) -> str:
    data: dict[str, Any] = {"words": {}, "index": {}}
    for k, name in enumerate(WORDS):
        column = [line.words[k] for line in lines]
        words = sorted(set(column))
        places = {w: i for i, w in enumerate(words)}
        data["words"][name] = words
        data["index"][name] = [places[w] for w in column]
    data["results"] = [line.results for line in lines]
    data["elements"] = [line.elements for line in lines]
    data["ratio"] = [_number(line.ratio) for line in lines]
    data["ulp"] = [_number(line.ulp) for line in lines]
    data["id"] = [line.id for line in lines]
    raw = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


def _number(x: float | None) -> float | str | None:
    """Three digits are enough for a table; non-finite numbers are strings in JSON."""
    if x is None:
        return None
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    return float(f"{x:.3g}")
