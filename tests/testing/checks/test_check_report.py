"""A report's status, what it raises, and that it explains before it tells."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from refgrad.errors import GradientMismatch, GradientUndecided
from refgrad.testing.checks.check import check_vjp
from refgrad.testing.checks.check_report import LISTENERS, Report
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, IMPRECISE, UNDECIDED, UNSUPPORTED, Verdict
from tests.checked import part, report, verdict

X = np.random.default_rng(0).standard_normal((3, 4))
WORST_FIRST = (ERROR, DISAGREE, UNDECIDED, IMPRECISE, AGREE)


@pytest.mark.parametrize(("worse", "better"), list(itertools.combinations(WORST_FIRST, 2)))
def test_the_status_is_the_worst(worse: str, better: str) -> None:
    for pair in ((worse, better), (better, worse)):
        made = Report("it", [("float64", Verdict("reverse", status)) for status in pair])
        assert made.status == worse
        assert bool(made) == (worse in (IMPRECISE, AGREE))
        assert made.failed == (worse in (ERROR, DISAGREE))


def test_an_unsupported_mode_counts_only_where_no_gradient_was_judged() -> None:
    def status(*verdicts: tuple[str, str]) -> str:
        return Report("it", [("float64", Verdict(mode, s)) for mode, s in verdicts]).status

    assert status(("value", AGREE), ("reverse", AGREE), ("forward", UNSUPPORTED)) == AGREE
    assert status(("value", AGREE), ("reverse", UNSUPPORTED), ("forward", UNSUPPORTED)) == UNSUPPORTED
    assert status(("value", UNDECIDED), ("reverse", AGREE)) == AGREE
    assert status(("value", AGREE)) == UNDECIDED
    assert status() == UNDECIDED


def test_what_is_raised() -> None:
    def made(status: str) -> Report:
        return Report("it", [("float64", Verdict("reverse", status))])

    for status in (DISAGREE, ERROR):
        with pytest.raises(GradientMismatch, match=f"it: {status}") as raised:
            made(status).settle(True, allow_undecided=True)
        assert raised.value.report.status == status
    for status in (UNDECIDED, UNSUPPORTED):
        with pytest.raises(GradientUndecided, match=f"it: {status}") as seen:
            made(status).settle(True)
        assert isinstance(seen.value, AssertionError)
        assert not isinstance(seen.value, GradientMismatch)
        assert seen.value.report.status == status
        assert not made(status).settle(True, allow_undecided=True)
    assert made(IMPRECISE).settle(True)
    with pytest.raises(GradientMismatch, match="it: imprecise"):
        made(IMPRECISE).settle(True, strict=True)
    assert made(AGREE).settle(True, strict=True)
    for status in WORST_FIRST:
        assert made(status).settle(False).status == status


def test_strict_sees_an_imprecise_dtype_beside_an_undecided_one() -> None:
    made = Report(
        "it", [("float64", Verdict("reverse", IMPRECISE)), ("float16", Verdict("reverse", UNDECIDED))]
    )
    with pytest.raises(GradientMismatch):
        made.settle(True, strict=True, allow_undecided=True)


def test_a_report_is_shown_in_one_line_where_there_is_no_page() -> None:
    assert (
        repr(report(verdict("reverse", [part("gradient of input 0", 2 * X, X, 1e-15)])))
        == "<Report gradcheck(it): disagree>"
    )


def test_a_check_of_nothing_does_not_pass() -> None:
    with pytest.raises(GradientUndecided, match="nothing to compare"):
        check_vjp(lambda x: 2 * x, lambda y_bar, x: 2 * y_bar, (np.ones(0),))


def test_listeners_hear_of_every_check() -> None:
    heard: list[Report] = []
    LISTENERS.append(heard.append)
    try:
        with pytest.raises(GradientMismatch):
            report(verdict("reverse", [part("gradient of input 0", 2 * X, X, 1e-15)])).settle(True)
    finally:
        LISTENERS.remove(heard.append)
    assert [r.status for r in heard] == [DISAGREE]


def test_explanations_are_found_once_and_the_question_is_let_go() -> None:
    wrong = part("gradient of input 0", 2 * X, X, 1e-15)
    assert wrong.evidence is not None
    wrong.evidence.recompute = lambda seeds: (X, 1e-15)
    made = report(verdict("reverse", [wrong, part("gradient of input 1", X, X, 1e-15)]))
    made.explain()
    assert wrong.explanation == "every element is 2 times the expected value"
    assert wrong.evidence.recompute is None
    wrong.explanation = "kept"
    assert "kept" in made.summary()
    assert made.verdicts[0][1].parts[1].explanation == ""


def test_the_script_is_of_the_first_disagreement() -> None:
    lost = part("gradient of input 0", X, X, 1e-15)
    lost.status = IMPRECISE
    lost.evidence = part("gradient of input 0", 2 * X, X, 1e-15).evidence
    wrong = part("gradient of input 1", 2 * X, X, 1e-15)
    made = report(
        verdict("reverse", [lost, wrong]),
        script=lambda dtype, mode, p: f"{dtype} {mode} {p.what}",
        source="call it again",
    )
    assert made.repro() == "float64 reverse gradient of input 1"
    wrong.status = AGREE
    assert made.repro() == "float64 reverse gradient of input 0"
    lost.status = AGREE
    assert made.repro() == "call it again"
    made.script, wrong.status = None, DISAGREE
    assert made.repro() == "call it again"


def test_a_disagreement_about_one_array_is_shown_before_others() -> None:
    parts = [part(f"gradient of input {k}", 2 * X, X, 1e-15) for k in range(2)]
    assert parts[0].evidence is not None
    made = report(verdict("reverse", parts), script=lambda dtype, mode, p: p.what)
    assert made.repro() == "gradient of input 0"
    parts[0].evidence.expected = None
    assert made.repro() == "gradient of input 1"


def test_a_saved_report_can_be_read(tmp_path: Path) -> None:
    made = report(
        verdict("reverse", [part("gradient of input 0", X * np.inf, X, 1e-15)]),
        notes=["eps means nothing here"],
    )
    made.save(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())
    assert (data["schema"], data["status"], data["notes"]) == (2, "disagree", ["eps means nothing here"])
    assert data["verdicts"][0]["parts"][0]["explanation"] == "every element is infinite"
    assert data["summary"] == made.summary()
