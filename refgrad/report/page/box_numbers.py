"""Observed and expected numbers of a node as texts, with enough digits to show their difference."""

from __future__ import annotations

from refgrad.records.observed import ANSWER, GRADIENT, SENT, TANGENT, VALUE, Numbers
from refgrad.report.analysis.text import place, short

LABELS = {VALUE: "value", GRADIENT: "∂", SENT: "∂ to ", TANGENT: "ẋ", ANSWER: "answer"}
FEW = 3  # elements of a vector that are shown in full
DIGITS, MOST_DIGITS = 4, 17


def compared_texts(n: Numbers, element: int) -> tuple[str, str, str]:
    """The index of the element shown ("" where all are), the observed and the expected numbers ("" where there are none)."""
    if not n.count:
        return "×".join(map(str, n.shape)), "empty" if n.got or n.expected or 0 in n.shape else "", ""
    if len(n.shape) <= 1 and not n.at and n.count <= FEW:
        return "", *_distinguishable(n, list(range(n.count)), brackets=len(n.shape) == 1)
    return place(n.place(element)), *_distinguishable(n, [element], brackets=False)


def _distinguishable(n: Numbers, elements: list[int], *, brackets: bool) -> tuple[str, str]:
    """Both texts. For a wrong array, with as many digits as the texts need to differ."""
    for digits in range(DIGITS, MOST_DIGITS + 1):
        got, expected = (_text(xs, elements, digits, brackets) for xs in (n.got, n.expected))
        if not n.wrong or got != expected:
            break
    return got, expected


def _text(xs: tuple[float, ...], elements: list[int], digits: int, brackets: bool) -> str:
    if not xs:
        return ""
    inside = ", ".join(short(xs[i], digits) for i in elements)
    return f"[{inside}]" if brackets else inside
