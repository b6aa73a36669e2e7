"""What a report says: the first line alone tells how far it can be trusted, and every wrong array is named with its evidence."""

from __future__ import annotations

import numpy as np

from refgrad.testing.checks.array_verdict import Question
from refgrad.testing.checks.check_report import Report
from refgrad.testing.checks.report_text import ADVICE, conditions
from refgrad.testing.checks.script_text import reason_without_array
from refgrad.testing.judging.verdict import AGREE, ERROR, IMPRECISE, UNDECIDED, UNSUPPORTED, Verdict
from tests.checked import part, report, verdict

X = np.random.default_rng(0).standard_normal((3, 4))


def first(made: Report) -> str:
    return made.summary().partition("\n")[0]


def right(what: str = "gradient of input 0"):
    made = part(what, X, X, 1e-15)
    made.smallest = 2.5e-15
    return made


def test_agreement_is_short() -> None:
    made = report(
        verdict("value", [right("output 0")]), verdict("reverse", [right(), right("gradient of input 1")])
    )
    assert made.summary().splitlines() == [
        "gradcheck(it): agree",
        "  float64 value: agree, 12 elements compared, would have caught a relative error of 2.5e-15",
        "  float64 reverse: agree, 24 elements compared, would have caught a relative error of 2.5e-15",
    ]


def test_another_device_is_named() -> None:
    assert (
        "  float64 reverse on cuda: agree, " in report(verdict("reverse", [right()]), device="cuda").summary()
    )


def test_the_weakest_array_counts() -> None:
    weak = right("gradient of input 1")
    weak.smallest = 0.5
    said = report(verdict("reverse", [right(), weak])).summary()
    assert "would have caught a relative error of 5.0e-01" in said
    assert "2.5e-15" not in said


def test_skipped_elements_are_in_the_first_line() -> None:
    expected = X.copy()
    expected[0, :3] = np.nan
    made = report(
        verdict("reverse", [part("gradient of input 0", X, expected, 1e-15), right("gradient of input 1")])
    )
    description = "gradcheck(it): agree (3 of 24 elements not judged: the reference has no finite derivative or bound there)"
    assert first(made) == description
    assert "gradient of input 0: agree, 9 elements judged, 3 skipped" in made.summary()
    assert "gradient of input 1: agree, 12 elements judged" in made.summary()


def test_an_undecided_input_is_named_first_with_its_reason() -> None:
    blind = part("gradient of input 1", X, X, 10.0, "bfloat16")
    made = report(verdict("reverse", [right(), blind]), dtype="bfloat16")
    assert first(made) == "gradcheck(it): undecided (bfloat16 reverse, gradient of input 1: blind bound)"
    assert (
        "gradient of input 1: undecided, 12 elements judged, 12 loose, 12 blind (blind bound)"
        in made.summary()
    )
    assert made.summary().splitlines()[-1].strip() == ADVICE[UNDECIDED]


def test_of_many_undecided_inputs_the_first_are_named() -> None:
    blind = [part(f"gradient of input {k}", X, X, 10.0) for k in range(5)]
    assert first(report(verdict("reverse", blind))).endswith("gradient of input 2: blind bound; 2 more)")


def test_imprecise_says_how_many_digits_are_left() -> None:
    expected = np.array([1.0, 1e-3, 0.5])
    got = expected + np.array([0, 3e-7, 0])
    lost = part("gradient of input 0", got, expected, expected * 1e-6, "float32")
    lost.wrong, lost.status = lost.wrong, IMPRECISE
    bound = expected * 1e-6
    lost = part(
        "gradient of input 0",
        expected + np.array([0, 3e-7, 0]),
        expected,
        bound * np.array([1, 1e-1, 1]),
        "float32",
    )
    assert lost.status == IMPRECISE
    made = report(verdict("reverse", [lost], digits=3.5), dtype="float32")
    assert first(made) == "gradcheck(it): imprecise (3.5 correct digits are left in the worst element)"
    said = made.summary()
    assert "gradient of input 0: imprecise, 3 elements judged, 1 imprecise" in said
    assert "gradient of input 0[1]: got 0.0010003" in said
    assert "3.5 correct digits" in said
    assert ADVICE[IMPRECISE] in said
    assert ADVICE[UNDECIDED] not in said


def test_every_wrong_input_is_listed_with_its_worst_element_and_how_it_was_asked() -> None:
    question = Question("reverse", "of the whole significand", (0, 2), (1,), "permuted", "with gaps")
    wrong = [
        part(
            f"gradient of input {k}", X + (1 + k) * np.eye(3, 4), X, 1e-15, question=question, seeds=(None, X)
        )
        for k in (0, 2)
    ]
    for p in wrong:
        p.evidence.inputs = (X, X, X)
    said = report(verdict("reverse", [wrong[0], right("gradient of input 1"), wrong[1]])).summary()
    for p in wrong:
        e = p.wrong[0]
        assert f"{p.what}: disagree, 12 elements judged, 3 wrong" in said
        description = (
            f"got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g} ({e.ratio:.3g} times the bound)"
        )
        assert f"{p.what}{list(e.element)}: {description}" in said
    how = "cotangents of the whole significand, inputs permuted, cotangents with gaps in memory, "
    assert (
        said.count(
            f"      asked with {how}a gradient required of inputs 0 and 2 alone, a cotangent for output 1 alone"
        )
        == 2
    )
    assert "gradient of input 1: agree" in said


def how(question: Question, mode: str = "reverse", seeds=(X, X), **more) -> str:
    wrong = part("gradient of input 0", 2 * X, X, 1e-15, question=question, seeds=seeds)
    wrong.evidence.inputs = (X, 3, X)
    for name, value in more.items():
        setattr(wrong, name, value)
    return conditions(wrong, mode)


def test_what_is_as_it_would_be_anyway_is_not_told() -> None:
    assert (
        how(Question("reverse", "of zeros", (0, 2), (0, 1), "", "contiguous"))
        == "asked with cotangents of zeros"
    )
    assert how(Question("forward", "of zeros", (2,), (), "", ""), "forward") == (
        "asked with tangents of zeros, a gradient required of input 2 alone"
    )
    zeros = how(Question("reverse", "", (0, 2), (0, 1)), seeds=(X, None))
    assert zeros == "asked with a cotangent for output 0 alone, zeros for output 1"
    assert (
        how(Question("reverse", "of zeros", (0,), (0,), "permuted", "expanded"), "value")
        == "asked with inputs permuted"
    )
    assert how(Question("reverse")) == ""
    nested = Question("reverse over reverse", "of the whole significand", (0, 2), (0,))
    assert how(nested, "reverse over reverse", (X, X, X, X)) == "asked with seeds of the whole significand"


def test_how_many_questions_are_answered_wrongly() -> None:
    q = Question("reverse", "of zeros")
    assert how(q, asked=20, wrong_in=[q]) == "wrong in 1 of 20 questions; asked with cotangents of zeros"
    assert (
        how(q, asked=20, wrong_in=[q, q])
        == "wrong in 2 of 20 questions; first asked with cotangents of zeros"
    )
    assert how(Question("reverse"), asked=20, wrong_in=[q]) == "wrong in 1 of 20 questions"


def test_of_a_number_that_is_not_finite_no_bound_is_told() -> None:
    got = X.copy()
    got[1, 2] = np.nan
    said = report(verdict("reverse", [part("gradient of input 0", got, X, 1e-15)])).summary()
    assert f"gradient of input 0[1, 2]: got nan, a finite number is expected: {float(X[1, 2])!r}" in said


def test_an_element_that_belongs_to_something_else_is_named_by_it() -> None:
    wrong = part("gradient of input 0", 2 * X, X, 1e-15)
    for e in wrong.wrong:
        e.what, e.element = "the sum over tied elements", ()
    made = report(verdict("reverse", [wrong]))
    assert "      the sum over tied elements: got " in made.summary()
    assert "the sum over tied elements: got " in made._repr_html_()
    wrong.evidence.expected = None
    assert reason_without_array(wrong) == "what is wrong: the sum over tied elements"


def test_the_explanation_and_other_notes_stand_under_the_array() -> None:
    said = report(verdict("reverse", [part("gradient of input 0", -X, X, 1e-15)])).summary()
    assert "      every element has the opposite sign: it is -1 times the expected value" in said
    said = report(verdict("reverse", [part("gradient of input 0", X[:2], X, 1e-15)])).summary()
    assert "      gradient of input 0 has shape (2, 4), expected (3, 4)" in said


def test_an_exception_is_told_in_the_words_it_came_in() -> None:
    error = Verdict("reverse", ERROR, reason="RuntimeError: not implemented for 'BFloat16'")
    refused = Verdict("forward", UNSUPPORTED, reason="no jvp")
    made = Report(
        "it", [("bfloat16", error), ("bfloat16", refused), ("float64", verdict("reverse", [right()]))]
    )
    assert made.summary().splitlines()[:3] == [
        "it: error",
        "  bfloat16 reverse: error (RuntimeError: not implemented for 'BFloat16')",
        "  bfloat16 forward: unsupported (no jvp)",
    ]


def test_verdicts_without_parts_are_told_as_well() -> None:
    v = Verdict("reverse", AGREE, elements=4, skipped=2, sensitivity=0.0)
    made = Report("it", [("float64", v)], notes=["eps means nothing here"])
    assert made.summary().splitlines() == [
        "it: agree (2 of 6 elements not judged: the reference has no finite derivative or bound there)",
        "  float64 reverse: agree, 4 elements compared, would have caught a relative error of any size, 2 not judged",
        "  note: eps means nothing here",
    ]
    v = Verdict("reverse", UNDECIDED, reason="non-finite", skipped=2)
    assert first(Report("it", [("float64", v)])) == "it: undecided (float64 reverse: non-finite)"
