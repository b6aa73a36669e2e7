"""The rows of the page's table of results, compressed: columns of numbers and dictionaries of words.

Each failure has a row. In a large run, agreeing results with equal family, dtype, device, mode and op share a row, which shows the id of
the result with the largest ratio of error to bound.
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

ALL = 6000  # results; up to so many have a row each
SINGLE = 2000  # rows of single results in a larger run, for those that do not agree
GROUPS = 12000  # groups; beyond, results of different ops share a row as well
WORDS = ("status", "op", "family", "dtype", "device", "mode", "text")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the table: a result, or several similar ones. ``words`` are in the order of WORDS."""

    words: tuple[str, ...]
    results: int
    elements: int
    ratio: float | None
    ulp: float | None
    id: str


@dataclass(frozen=True, slots=True)
class Payload:
    """The compressed rows. ``grouped`` is the number of results that share a row with others."""

    text: str
    rows: int
    grouped: int


def payload(run: Run) -> Payload:
    """The rows of the table, failures first."""
    ranked = sorted(run.results, key=lambda r: (STATUSES.index(r.status), r.order))
    limit = len(ranked) if len(ranked) <= ALL else SINGLE
    blame = Blame(run.results)
    single_rows = [r for r in ranked if limit == len(ranked) or r.status != AGREE][:limit]
    chosen = set(map(id, single_rows))
    others = [r for r in ranked if id(r) not in chosen]
    rows = [_single(r, blame.op(r) if r.failed else r.op) for r in single_rows]
    grouped_rows = _grouped(others, lambda r: _name(blame.op(r) if r.failed else r.op))
    if len(grouped_rows) > GROUPS:
        grouped_rows = _grouped(others, lambda _: "")
    rows += grouped_rows
    return Payload(_pack(rows), len(rows), sum(line.results for line in grouped_rows))


def _name(op: str) -> str:
    """An op as a query can name it."""
    return one_line(op).replace('"', " ")


def _single(r: Result, op: str) -> TableRow:
    words = (r.status, _name(op), r.family, r.dtype, r.device, r.mode, cut(one_line(r.text), 200))
    return TableRow(words, 1, r.elements, *_error(r), r.id)


def _error(r: Result) -> tuple[float | None, float | None]:
    return (None, None) if r.worst is None else (r.worst.ratio, r.worst.ulp)


def _grouped(results: list[Result], op: Callable[[Result], str]) -> list[TableRow]:
    groups: dict[tuple[str, ...], list[Result]] = defaultdict(list)
    for r in results:
        groups[r.status, op(r), r.family, r.dtype, r.device, r.mode, pattern(r.text)].append(r)
    rows = []
    for words in sorted(groups, key=lambda w: (STATUSES.index(w[0]), w)):
        group = groups[words]
        worst = max(group, key=lambda r: -1.0 if r.worst is None else severity(r.worst.ratio))
        rows.append(TableRow(words, len(group), sum(r.elements for r in group), *_error(worst), worst.id))
    return rows


def _pack(rows: list[TableRow]) -> str:
    data: dict[str, Any] = {"words": {}, "index": {}}
    for k, name in enumerate(WORDS):
        column = [line.words[k] for line in rows]
        words = sorted(set(column))
        places = {w: i for i, w in enumerate(words)}
        data["words"][name] = words
        data["index"][name] = [places[w] for w in column]
    data["results"] = [line.results for line in rows]
    data["elements"] = [line.elements for line in rows]
    data["ratio"] = [_number(line.ratio) for line in rows]
    data["ulp"] = [_number(line.ulp) for line in rows]
    data["id"] = [line.id for line in rows]
    raw = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


def _number(x: float | None) -> float | str | None:
    """A number with three digits; a non-finite one as a string, for JSON."""
    if x is None:
        return None
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    return float(f"{x:.3g}")
