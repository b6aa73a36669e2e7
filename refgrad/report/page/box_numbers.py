"""Numbers of a node as a box shows them: what came and what was expected, with the digits that tell them apart."""

from __future__ import annotations

from refgrad.records.observed import ANSWER, GRADIENT, SENT, TANGENT, VALUE, Numbers
from refgrad.report.analysis.text import place, short

LABELS = {VALUE: "value", GRADIENT: "∂", SENT: "∂ to ", TANGENT: "ẋ", ANSWER: "answer"}
FEW = 3  # elements that are written out
DIGITS, MOST_DIGITS = 4, 17


def pair(n: Numbers, element: int) -> tuple[str, str, str]:
    """Which element is shown (nothing where all are), what came, what was expected; empty where there is none."""
    if not n.count:
        return "×".join(map(str, n.shape)), "empty" if n.got or n.expected or 0 in n.shape else "", ""
    if len(n.shape) <= 1 and not n.at and n.count <= FEW:
        return "", *_told_apart(n, list(range(n.count)), brackets=len(n.shape) == 1)
    return place(n.place(element)), *_told_apart(n, [element], brackets=False)


def _told_apart(n: Numbers, elements: list[int], *, brackets: bool) -> tuple[str, str]:
    """The texts of both; of a wrong array with as many digits as it takes to see that they differ."""
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
