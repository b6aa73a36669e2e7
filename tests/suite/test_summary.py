"""The line for pipelines: key=value, in an order that stays."""

from __future__ import annotations

import re
from pathlib import Path

from refgrad.records import Audit, Crash, End, Header, Result
from refgrad.records.audit import EXACT_CASES
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.tally import Tally
from refgrad.suite.summary import comparison_line, summary_line

KEYS = "result exit cases disagree error undecided crashed unfinished elements planted caught seconds backend report".split()  # noqa: SIM905


def result(case: str, status: str, mode: str = "reverse") -> Result:
    return Result(case, "ops", "float32", "cpu", mode, status, elements=4, shrunk=case.startswith("shrunk"))


def test_the_counts_of_a_run() -> None:
    results = (
        result("a", "agree"), result("a", "undecided", "forward"), result("b", "disagree"), result("b", "disagree", "forward"),
        result("c", "error"), result("d", "undecided"), result("shrunk-1", "error"), result("shrunk-2", "disagree"),
    )  # fmt: skip
    run = Run(
        Header("0", "", ()), results, Tally.of(results),
        (Audit("sign", "float32", 10, 2, 7), Audit("sign", "float32", 4, 1, 3, EXACT_CASES)), (Crash("", "x[1]", "died"),),
        End(1, "", 12.5),
        unfinished=("y",),
    )  # fmt: skip
    found = summary_line(run, 1, Path("a folder/report.html"))
    assert found == (
        "refgrad: result=fail exit=1 cases=2 disagree=1 error=1 undecided=2 crashed=1 unfinished=1 elements=32 planted=8 caught=7 "
        "seconds=12.5 backend=torch report=a folder/report.html"
    )
    assert re.findall(r"(\w+)=", found) == KEYS


def test_a_run_without_a_verdict_and_one_that_agrees() -> None:
    run = Run(Header("0", "", ()))
    assert summary_line(run, 3, Path("r.html")).startswith("refgrad: result=nothing exit=3 cases=0 ")
    assert "seconds=0 backend=torch report=r.html" in summary_line(run, 3, Path("r.html"))
    assert "seconds=41.3 backend" in summary_line(run, 3, Path("r.html"), 41.26)
    assert summary_line(run, 0, Path("r.html")).startswith("refgrad: result=agree exit=0 ")


def test_the_line_of_several_backends() -> None:
    beside = ("torch", "jax 0.10", "jax 0.12")
    runs = {
        label: Run(
            Header(
                "0", "", (), backend=label.split()[0], environment={"jax": label.split()[-1]}, beside=beside
            ),
            results,
            Tally.of(results),
        )
        for label, results in zip(
            beside,
            ((result("a", "agree"),), (result("a", "disagree"),), (result("a", "agree"),)),
            strict=True,
        )
    }
    found = comparison_line(runs, dict(zip(beside, (0, 1, 3), strict=True)), 1, Path("r.html"))
    assert found == (
        "refgrad: result=fail exit=1 cases=1 backends=torch:agree,jax-0.10:fail,jax-0.12:nothing report=r.html"
    )
    assert " backend=jax-0.10 report=" in summary_line(runs["jax 0.10"], 1, Path("r.html"))
