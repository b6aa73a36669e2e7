"""The line by which a pipeline reads the outcome of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from refgrad.records import DISAGREE, ERROR, UNDECIDED
from refgrad.report.analysis.backend_comparison import compare_backends
from refgrad.report.analysis.items import judged_cases
from refgrad.report.analysis.power import totals_of_run
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import one_line

RESULTS = {0: "agree", 1: "fail", 3: "nothing"}


def summary_line(run: Run, code: int, page: Path, seconds: float = 0) -> str:
    """``refgrad:`` and pairs key=value, separated by blanks. The keys and their order stay; new ones come before ``report``.

    ``disagree``, ``error`` and ``undecided`` count the cases with such a result; like ``cases`` they leave out those
    that shrinking has made. ``seconds`` is the time of a run that was cut short, which has no end line to tell it.
    The path of the report comes last, to the end of the line.
    """
    caught, planted = totals_of_run(run)
    pairs = {
        "result": RESULTS.get(code, "nothing"),
        "exit": code,
        "cases": judged_cases(run)[0],
        **{
            name: _cases(run, status)
            for name, status in (("disagree", DISAGREE), ("error", ERROR), ("undecided", UNDECIDED))
        },
        "crashed": len(run.crashes),
        "unfinished": len(run.unfinished),
        "elements": run.tally.elements,
        "planted": planted,
        "caught": caught,
        "seconds": round(seconds, 1) if run.end is None else run.end.seconds,
        "backend": one_line(run.header.label).replace(" ", "-"),
        "report": page,
    }
    return _line(pairs)


def comparison_line(runs: Mapping[str, Run], codes: Mapping[str, int], code: int, page: Path) -> str:
    """The line of several backends, after those of each. ``cases`` counts those that were judged on all of them."""
    comparison = compare_backends(runs, codes)
    names = {label: one_line(label).replace(" ", "-") for label in runs}
    pairs = {
        "result": RESULTS.get(code, "nothing"),
        "exit": code,
        "cases": comparison.shared,
        "backends": ",".join(
            f"{names[b.label]}:{RESULTS.get(b.exit, 'nothing')}" for b in comparison.backends
        ),
        "report": page,
    }
    return _line(pairs)


def _line(pairs: Mapping[str, object]) -> str:
    return "refgrad: " + " ".join(f"{key}={value}" for key, value in pairs.items())


def _cases(run: Run, status: str) -> int:
    """The number of distinct drawn cases with a result of this status."""
    found = run.tally.cases.by_entries().items()
    return sum(cases for entries, cases in found if any(e.status == status and not e.shrunk for e in entries))
