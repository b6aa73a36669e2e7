"""The findings of a check: the worst status over dtypes and modes, what counts as agreement, the sharpness of the check."""

from __future__ import annotations

import pytest

from refgrad.testing.checks.findings import Findings
from refgrad.testing.judging.verdict import (
    AGREE,
    DISAGREE,
    ERROR,
    IMPRECISE,
    UNDECIDED,
    UNSUPPORTED,
    Element,
    Verdict,
)


def found(*pairs: tuple[str, str]) -> Findings:
    """Findings of these modes with these statuses."""
    return Findings("check", [("float64", Verdict(mode, status)) for mode, status in pairs])


@pytest.mark.parametrize(
    ("pairs", "status"),
    [
        ([("value", AGREE), ("reverse", AGREE), ("forward", AGREE)], AGREE),
        ([("reverse", AGREE), ("forward", DISAGREE)], DISAGREE),
        ([("reverse", DISAGREE), ("forward", ERROR)], ERROR),
        ([("reverse", AGREE), ("forward", UNDECIDED)], UNDECIDED),
        ([("reverse", IMPRECISE), ("forward", UNDECIDED)], UNDECIDED),
        ([("reverse", AGREE), ("forward", IMPRECISE)], IMPRECISE),
        ([("value", IMPRECISE), ("reverse", AGREE)], IMPRECISE),
        ([("value", UNDECIDED), ("reverse", AGREE)], AGREE),  # an undecided value does not count
        ([("reverse", AGREE), ("forward", UNSUPPORTED)], AGREE),  # nor does a mode that is unsupported
        ([("value", AGREE)], UNDECIDED),  # no gradient was compared
        ([("value", AGREE), ("reverse", UNSUPPORTED)], UNSUPPORTED),
        ([], UNDECIDED),
    ],
)
def test_the_status_is_the_worst_that_counts(pairs: list[tuple[str, str]], status: str) -> None:
    findings = found(*pairs)
    assert findings.status == status
    assert bool(findings) == (status in (AGREE, IMPRECISE))
    assert findings.failed == (status in (DISAGREE, ERROR))
    assert repr(findings) == f"<Findings check: {status}>"


def test_the_worst_element_is_that_of_the_largest_ratio() -> None:
    findings = found(("value", AGREE), ("reverse", AGREE))
    assert findings.worst is None
    for (_, v), ratio in zip(findings.verdicts, (0.5, 0.2), strict=True):
        v.worst = Element(1.0, 1.0, 1.0, ratio, 1.0, ())
    assert findings.worst is findings.verdicts[0][1].worst


def test_the_sensitivity_of_a_dtype_is_that_of_its_bluntest_gradient() -> None:
    verdicts = [
        ("float64", Verdict("value", sensitivity=1.0)),
        ("float64", Verdict("reverse", sensitivity=1e-15)),
        ("float64", Verdict("forward", sensitivity=1e-14)),
        ("float32", Verdict("reverse", sensitivity=1e-6)),
        ("float16", Verdict("reverse")),
    ]
    assert Findings("check", verdicts).sensitivity == {"float64": 1e-14, "float32": 1e-6}
