"""The line for pipelines: key=value, in an order that stays."""

from __future__ import annotations

import re
from pathlib import Path

from refgrad.records import Audit, Crash, End, Header, Result
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.tally import Tally
from refgrad.suite.summary import summary_line

KEYS = "result exit cases disagree error undecided crashed unfinished elements planted caught seconds report".split()  # noqa: SIM905


def result(case: str, status: str, mode: str = "reverse") -> Result:
    return Result(case, "ops", "float32", "cpu", mode, status, elements=4)


def test_the_counts_of_a_run() -> None:
    results = (
        result("a", "agree"), result("a", "undecided", "forward"), result("b", "disagree"), result("b", "disagree", "forward"),
        result("c", "error"), result("d", "undecided"),
    )  # fmt: skip
    run = Run(
        Header("0", "", ()), results, Tally.of(results), (Audit("sign", "float32", 10, 2, 7),), (Crash("", "x[1]", "died"),),
        End(1, "", 12.5),
        unfinished=("y",),
    )  # fmt: skip
    found = summary_line(run, 1, Path("a folder/report.html"))
    assert found == (
        "refgrad: result=fail exit=1 cases=2 disagree=1 error=1 undecided=2 crashed=1 unfinished=1 elements=24 planted=8 caught=7 "
        "seconds=12.5 report=a folder/report.html"
    )
    assert re.findall(r"(\w+)=", found) == KEYS


def test_a_run_without_a_verdict_and_one_that_agrees() -> None:
    run = Run(Header("0", "", ()))
    assert summary_line(run, 3, Path("r.html")).startswith("refgrad: result=nothing exit=3 cases=0 ")
    assert "seconds=0 report=r.html" in summary_line(run, 3, Path("r.html"))
    assert summary_line(run, 0, Path("r.html")).startswith("refgrad: result=agree exit=0 ")
