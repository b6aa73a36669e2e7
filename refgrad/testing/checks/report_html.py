"""A report as HTML for Jupyter: a table of arrays, and a heat map of the error of each wrong one. It needs no script and no other file."""

from __future__ import annotations

from html import escape

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.quiet import quiet
from refgrad.records.fields import cut
from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence
from refgrad.testing.checks.findings import Findings
from refgrad.testing.checks.report_text import conditions, element, summary
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, IMPRECISE, UNDECIDED, Element, Verdict

MOST_BYTES = 20_000
_ROWS, _COLUMNS, _CELL = 24, 64, 9
_LINES = 40  # rows of the table; beyond, agreeing ones are only counted
_LEVELS = (  # largest ratio of error to bound, and its legend
    (0.1, "up to 0.1 of the bound"),
    (1.0, "within the bound"),
    (10.0, "up to 10 bounds"),
    (1e4, "up to 10,000"),
    (np.inf, "more, or not a number"),
)
_MARKS = {AGREE: "✓", DISAGREE: "✗", ERROR: "✗", IMPRECISE: "≈", UNDECIDED: "?"}
_STYLE = """<style>
.refgrad{--c0:#e4e7eb;--c1:#b9c2cc;--c2:#f3b661;--c3:#d9582b;--c4:#8e1020;--line:#8886;font-size:13px}
@media(prefers-color-scheme:dark){.refgrad{--c0:#2c3138;--c1:#4d5763;--c2:#a86f1d;--c3:#e2633a;--c4:#ff9aa6}}
[data-jp-theme-light=true] .refgrad{--c0:#e4e7eb;--c1:#b9c2cc;--c2:#f3b661;--c3:#d9582b;--c4:#8e1020}
[data-jp-theme-light=false] .refgrad{--c0:#2c3138;--c1:#4d5763;--c2:#a86f1d;--c3:#e2633a;--c4:#ff9aa6}
.refgrad table{border-collapse:collapse;margin:.5em 0}
.refgrad th,.refgrad td{text-align:left;vertical-align:top;padding:.2em .7em .2em 0;border-bottom:1px solid var(--line);font-weight:400}
.refgrad td:not(:last-child){white-space:nowrap}.refgrad th{opacity:.75}.refgrad td.n{text-align:right;font-variant-numeric:tabular-nums}
.refgrad .bad{font-weight:700}.refgrad figure{margin:.8em 0}.refgrad figcaption{max-width:60em}
.refgrad svg{display:block;margin:.3em 0;max-width:100%;height:auto}
.refgrad i{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 .8em}
</style>"""


def page(report: Findings) -> str:
    """The report as an HTML fragment of at most MOST_BYTES bytes."""
    head, _, _ = summary(report).partition("\n")
    text = [f'<div class="refgrad">{_STYLE}<p><b>{escape(cut(head, 400))}</b></p>', _table(report)]
    end = "</div>"
    figures = [
        _figure(dtype, v, p)
        for dtype, v in report.verdicts
        for p in v.parts
        if p.evidence is not None and p.status in (DISAGREE, IMPRECISE)
    ]
    remark = f"<p>{len(figures)} wrong arrays in all; report.summary() names each.</p>"
    room = MOST_BYTES - sum(len(t.encode()) for t in (*text, end, remark))
    shown_figures = 0
    for figure in figures:
        room -= len(figure.encode())
        if room < 0:
            break
        text.append(figure)
        shown_figures += 1
    return "".join([*text, *([remark] if shown_figures < len(figures) else []), end])


def _table(report: Findings) -> str:
    rows = [
        (_row(dtype, v, p), (v if p is None else p).status)
        for dtype, v in report.verdicts
        for p in (v.parts or [None])
    ]
    total = len(rows)
    if total > _LINES:
        rows = sorted(rows, key=lambda row: row[1] == AGREE)[:_LINES]
    more = f'<tr><td colspan="7">{total - len(rows)} more</td></tr>' if total > len(rows) else ""
    titles = ("dtype", "mode", "array", "status", "judged", "would have caught", "worst element")
    heads = "".join(f'<th scope="col">{t}</th>' for t in titles)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(r for r, _ in rows)}{more}</tbody></table>"


def _row(dtype: str, v: Verdict, p: ArrayVerdict | None) -> str:
    verdict = v if p is None else p
    caught = v.sensitivity if p is None else p.smallest
    bad = ' class="bad"' if verdict.status in (DISAGREE, ERROR) else ""
    unseen = [f"{n} {what}" for n, what in ((verdict.blind, "blind"), (verdict.skipped, "skipped")) if n]
    judged = f"{verdict.elements}" + (f" ({', '.join(unseen)})" if unseen else "")
    worst: Element | None = verdict.wrong[0] if verdict.wrong else None
    notes = [] if p is None else p.notes
    other = (
        f"{worst.what}: " if worst is not None and p is not None and worst.what not in {"", p.what} else ""
    )
    worst_or_reason = (
        other + element(worst).removeprefix(": ") if worst is not None else " ".join([*notes, verdict.reason])
    )
    size = "" if caught is None else f"{caught:.1e}"
    cells = [escape(dtype), escape(v.mode), escape(cut("" if p is None else p.what, 60))]
    plain = "".join(f"<td>{c}</td>" for c in cells)
    return (
        f"<tr>{plain}<td{bad}>{_MARKS.get(verdict.status, '–')} {escape(verdict.status)}</td>"
        f'<td class="n">{judged}</td><td class="n">{size}</td><td>{escape(cut(worst_or_reason, 160))}</td></tr>'
    )


def _figure(dtype: str, v: Verdict, p: ArrayVerdict) -> str:
    assert p.evidence is not None
    how = conditions(p, v.mode)
    lines = [f"<b>{escape(cut(p.what, 80))}</b>, {escape(dtype)} {escape(v.mode)}"]
    lines += [escape(cut(how, 300))] if how else []
    lines += [f"<b>{escape(cut(p.explanation, 300))}</b>"] if p.explanation else []
    picture = heat_map(p.evidence)
    return f"<figure><figcaption>{'<br>'.join(lines)}</figcaption>{picture}</figure>"


def heat_map(e: Evidence) -> str:
    """The ratio of error to bound of each element, as inline SVG with a legend; "" where there is nothing to draw."""
    if e.got is None or e.expected is None or np.shape(e.got) != np.shape(e.expected) or not np.size(e.got):
        return ""
    with quiet():
        error = np.abs(np.asarray(e.got) - e.expected)
        ratio = np.where(error == 0, 0.0, np.nan_to_num(error / e.bound, nan=np.inf)).astype(float)
        ratio = np.where(np.isfinite(e.expected), ratio, np.nan)  # not judged: an empty cell
    cells, how = _cells(ratio)
    rows, columns = cells.shape
    limits = np.array([limit for limit, _ in _LEVELS])
    level = np.where(np.isnan(cells), -1, np.searchsorted(limits, np.nan_to_num(cells, nan=0.0)))
    paths = "".join(
        f'<path style="fill:var(--c{k})" d="{runs}"/>'
        for k in range(len(_LEVELS))
        if (runs := _runs(level == k))
    )
    box = f"0 0 {columns} {rows}"
    label = f"error in units of the bound, {how}"
    svg = (
        f'<svg role="img" aria-label="{escape(label)}" width="{columns * _CELL}" height="{rows * _CELL}" viewBox="{box}" '
        f'preserveAspectRatio="none" shape-rendering="crispEdges">{paths}</svg>'
    )
    here = [k for k in range(len(_LEVELS)) if np.any(level == k)]
    legend = "".join(f'<i style="background:var(--c{k})"></i>{_LEVELS[k][1]}' for k in here)
    return f"{svg}<div>{escape(label)}{legend}</div>"


def _cells(ratio: PlainArray) -> tuple[PlainArray, str]:
    """An array as a table of at most _ROWS × _COLUMNS cells, each the maximum of its elements, and a description of the table."""
    shape = ratio.shape
    if ratio.ndim < 2:
        columns = min(max(ratio.size, 1), _COLUMNS)
        flat = np.full(-(-ratio.size // columns) * columns, np.nan)
        flat[: ratio.size] = ratio.ravel()
        table = flat.reshape(-1, columns)
        how = f"shape {shape}" + (f" in rows of {columns}" if len(table) > 1 else "")
    else:
        table = ratio.reshape(-1, shape[-1])
        how = f"shape {shape}, the last axis from left to right"
    high, wide = (-(-n // most) for n, most in zip(table.shape, (_ROWS, _COLUMNS), strict=True))
    if high * wide > 1:
        padded = np.full((-(-table.shape[0] // high) * high, -(-table.shape[1] // wide) * wide), -1.0)
        padded[: table.shape[0], : table.shape[1]] = np.where(np.isnan(table), -1.0, table)
        table = padded.reshape(padded.shape[0] // high, high, -1, wide).max(axis=(1, 3))
        table = np.where(table < 0, np.nan, table)
        how += f", each cell the worst of {high} × {wide}"
    return table, how


def _runs(mask: PlainArray) -> str:
    """The cells of a mask as an SVG path, one rectangle for each run in a row."""
    found: list[str] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        found += [f"M{a} {y}h{b - a}v1H{a}z" for a, b in edges.reshape(-1, 2)]
    return "".join(found)
