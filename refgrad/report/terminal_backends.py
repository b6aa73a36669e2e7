"""The comparison of several backends for the terminal: 80 columns wide, readable without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from refgrad.exit_codes import FAIL, PASS
from refgrad.records import DISAGREE, ERROR, IMPRECISE, KNOWN, UNDECIDED, UNSUPPORTED
from refgrad.report.analysis.backend_comparison import BackendComparison
from refgrad.report.analysis.op_matrix import op_matrix
from refgrad.report.analysis.text import NARROW, brief, count, cut, one_line

WIDTH = 80
MOST = 20  # ops listed
_OP, _LEAST = 16, 11  # widths: of the op, and the smallest of a backend
_RED, _GREEN, _YELLOW, _BOLD = "31", "32", "33", "1"


def backends_table(comparison: BackendComparison, pages: Mapping[str, str], color: bool = False) -> str:
    """The comparison as text: a line for each backend, the ops at which one fails, and who agrees in the last lines.

    ``pages`` are the paths of the backends' pages, by label.
    """
    lines = [*_backends(comparison), "", *_ops(comparison), *_left_out(comparison)]
    for note in comparison.notes:
        lines += _wrapped(note)
    lines += [f"report of {label}: {pages[label]}" for label in comparison.labels]
    tone = _GREEN if comparison.exit == PASS else _RED if comparison.exit == FAIL else _YELLOW
    for line in _wrapped(f"exit {comparison.exit}: {comparison.sentence}"):
        lines.append(f"\x1b[{_BOLD};{tone}m{line}\x1b[0m" if color else line)
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    """Text as lines, broken between words only."""
    return textwrap.wrap(one_line(text).replace(NARROW, ","), WIDTH, break_on_hyphens=False)


def _backends(comparison: BackendComparison) -> list[str]:
    """The table of backends: cases with each kind of result."""
    form = "{:<16} {:<14} {:>4}" + " {:>6}" * 6
    lines = [form.format("backend", "release", "exit", "cases", "wrong", "error", "known", "impr.", "open")]
    for b in comparison.backends:
        counts = [b.judged, *(b.of(s) for s in (DISAGREE, ERROR, KNOWN, IMPRECISE))]
        names = cut(one_line(b.label), 16), cut(one_line(b.run.header.release), 14)
        lines.append(
            form.format(*names, b.exit, *map(brief, counts), brief(b.of(UNDECIDED) + b.of(UNSUPPORTED)))
        )
    return lines


def _ops(comparison: BackendComparison) -> list[str]:
    """The ops at which a backend fails or is known to disagree: failing of judged results over all modes, or the worst ratio."""
    rows = op_matrix(comparison).failing.by_backend
    if not rows:
        return []
    shown = comparison.labels[: (WIDTH - _OP) // (_LEAST + 1)]
    width = min(20, (WIDTH - _OP) // len(shown) - 1)
    form = f"{{:<{_OP}}}" + f" {{:>{width}}}" * len(shown)
    lines = [form.format("op", *(cut(one_line(label), width) for label in shown))]
    for op, cells in rows[:MOST]:
        texts = ["" if c is None else cut(f"{c.symbol} {c.text}".strip(), width) for c in cells]
        lines.append(form.format(cut(one_line(op), _OP), *texts[: len(shown)]).rstrip())
    if len(rows) > MOST:
        lines.append(f"... and {len(rows) - MOST} more ops, which the page shows")
    if len(shown) < len(comparison.labels):
        lines.append(f"... and {len(comparison.labels) - len(shown)} more backends, which the page shows")
    return [*lines, ""]


def _left_out(comparison: BackendComparison) -> list[str]:
    """What was left out, and because of which backends."""
    lines = []
    for names, ops in comparison.left_out_by_backend:
        text = f"left out  {count(len(ops))}, for want of them in {one_line(names)}: {', '.join(ops)}"
        lines += textwrap.wrap(
            text.replace(NARROW, ","),
            WIDTH,
            subsequent_indent=" " * 10,
            max_lines=3,
            placeholder=" ...",
            break_on_hyphens=False,
        )
    return [*lines, ""] if lines else []
