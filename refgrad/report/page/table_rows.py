"""The rows of the page's table of results, compressed: columns of numbers and dictionaries of words.

Each failure has a row. In a large run, agreeing results with equal family, dtype, device, mode and op share a row, which shows the id of
the result with the largest ratio of error to bound.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

from refgrad.records import STATUSES, Result
from refgrad.report.analysis.blame import Blame
from refgrad.report.analysis.row_tally import Group, Words, add_group, op_name, without_op, words
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import cut, one_line

GROUPS = 12000  # groups; beyond, results of different ops share a row as well
WORDS = ("status", "op", "family", "dtype", "device", "mode", "text")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the table: a result, or several similar ones. ``words`` are in the order of WORDS."""

    words: Words
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
    blame = Blame(run.results)

    def op(r: Result) -> str:
        return blame.op(r) if r.failed else r.op

    rows = run.tally.rows
    single, others = rows.divided(r for r in run.results if r.failed)
    groups: dict[Words, Group] = {}
    for key, group in rows.groups.items():
        add_group(groups, key, group)
    for r in others:
        add_group(groups, words(r, op(r)), Group.of(r))
    if len(groups) > GROUPS:
        groups = without_op(groups)
    listed = [_single(r, op(r)) for r in single]
    ranked = sorted(groups, key=lambda key: (STATUSES.index(key[0]), key))
    listed += [_row(key, groups[key]) for key in ranked]
    return Payload(_pack(listed), len(listed), sum(group.results for group in groups.values()))


def _single(r: Result, op: str) -> TableRow:
    text = cut(one_line(r.text), 200)
    return _row((r.status, op_name(op), r.family, r.dtype, r.device, r.mode, text), Group.of(r))


def _row(key: Words, group: Group) -> TableRow:
    return TableRow(key, group.results, group.elements, group.ratio, group.ulp, group.id)


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
