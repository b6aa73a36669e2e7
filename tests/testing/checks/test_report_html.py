"""The report in Jupyter: small, without script, escaped, and its picture shows where the error is."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from refgrad.testing.checks.array_verdict import Evidence, Question
from refgrad.testing.checks.check_report import Report
from refgrad.testing.checks.report_html import MOST_BYTES, heat_map
from refgrad.testing.judging.verdict import ERROR, UNSUPPORTED, Verdict
from tests.checked import part, report, verdict

RNG = np.random.default_rng(0)


def noisy(name, shape=(50, 200)):
    x = RNG.standard_normal(shape)
    return part(name, x * (1 + 10.0 ** RNG.uniform(-17, -9, shape)), x, 1e-14 * np.abs(x))


def parsed(html):
    """The fragment as a tree: tags are closed, attributes quoted."""
    return ET.fromstring(re.sub(r"<br>", "<br/>", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)))  # noqa: S314


def test_a_row_for_each_array_and_a_picture_for_each_wrong_one() -> None:
    x = RNG.standard_normal((3, 4))
    right = part("gradient of input 1", x, x, 1e-15)
    right.smallest = 2e-15
    made = report(
        verdict("value", [part("output 0", x, x, 1e-15)]),
        verdict("reverse", [part("gradient of input 0", 2 * x, x, 1e-15), right]),
    )
    tree = parsed(made._repr_html_())
    rows = [[c.text for c in row] for row in tree.iter("tr")]
    assert [row[:4] for row in rows[1:]] == [
        ["float64", "value", "output 0", "✓ agree"],
        ["float64", "reverse", "gradient of input 0", "✗ disagree"],
        ["float64", "reverse", "gradient of input 1", "✓ agree"],
    ]
    assert rows[3][4:6] == ["12", "2.0e-15"]
    assert "got" in rows[2][6]
    assert len(list(tree.iter("figure"))) == 1
    assert "every element is 2 times the expected value" in "".join(tree.itertext())


def test_it_stays_small_whatever_is_wrong() -> None:
    parts = [noisy(f"gradient of input {k} " + "of a long name" * 40) for k in range(100)]
    html = report(verdict("reverse", parts))._repr_html_()
    assert len(html.encode()) < MOST_BYTES
    assert "100 wrong arrays in all" in html
    assert "60 more" in html
    assert "<figure>" in html
    parsed(html)
    one = report(verdict("reverse", [noisy("gradient of input 0")]))._repr_html_()
    assert "wrong arrays in all" not in one


def test_wrong_arrays_are_shown_before_agreeing_ones() -> None:
    x = RNG.standard_normal(3)
    parts = [part(f"gradient of input {k}", x * (1 + (k == 99)), x, 1e-15) for k in range(100)]
    assert "gradient of input 99" in report(verdict("reverse", parts))._repr_html_()


def test_what_comes_from_outside_is_escaped_and_nothing_is_executed() -> None:
    wrong = part(
        "<img src=x onerror=alert(1)>",
        2 * np.ones(3),
        np.ones(3),
        1e-15,
        question=Question("reverse", "<script>alert(2)</script>"),
    )
    wrong.explanation = "<b onclick=alert(3)>"
    made = Report(
        "<script>alert(0)</script>",
        [("float64", verdict("reverse", [wrong])), ("float64", Verdict("forward", ERROR, reason="<hr>"))],
    )
    html = made._repr_html_()
    assert not re.search(r"<(script|img|hr|b onclick)", html)
    assert html.count("&lt;script&gt;") == 2


def test_verdicts_without_parts_have_a_row() -> None:
    made = Report("it", [("float64", Verdict("forward", UNSUPPORTED, reason="no jvp"))])
    rows = [[c.text for c in row] for row in parsed(made._repr_html_()).iter("tr")]
    assert rows[1][1:4] + rows[1][6:] == ["forward", None, "– unsupported", "no jvp"]


def drawn(got, expected, bound):
    """The level of each cell of a heat map, -1 where nothing is drawn, and its label."""
    html = heat_map(Evidence(Question("reverse"), (), (), 0, got, expected, bound))
    tree = ET.fromstring(f"<div>{html}</div>")  # noqa: S314
    svg = tree.find("svg")
    columns, rows = map(int, svg.attrib["viewBox"].split()[2:])
    levels = np.full((rows, columns), -1)
    for path in svg:
        k = int(re.search(r"--c(\d)", path.attrib["style"]).group(1))
        for x, y, n in re.findall(r"M(\d+) (\d+)h(\d+)v1H\1z", path.attrib["d"]):
            levels[int(y), int(x) : int(x) + int(n)] = k
    return levels, svg.attrib["aria-label"]


def test_the_picture_shows_where_the_error_is() -> None:
    x = np.ones((4, 6))
    got = x.copy()
    got[1, 2], got[2, 3:5], got[3, 0], got[0, 5], got[0, 0] = 1 + 5e-3, 1.5, np.nan, 1 + 5e-4, 1 + 5e-5
    expected = x.copy()
    expected[3, 5] = np.nan
    levels, label = drawn(got, expected, 1e-3 * x)
    due = np.zeros((4, 6), int)
    due[1, 2], due[2, 3:5], due[3, 0], due[0, 5], due[3, 5] = 2, 3, 4, 1, -1
    np.testing.assert_array_equal(levels, due)
    assert label == "error in units of the bound, shape (4, 6), the last axis from left to right"


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((), ()),
        ((1,), (0,)),
        ((500,), (499,)),
        ((2, 3, 4), (1, 2, 3)),
        ((1000, 1000), (999, 999)),
        ((3, 5000), (2, 0)),
    ],
)
def test_every_shape_has_a_picture_that_keeps_its_worst_element(shape, place) -> None:
    got, x = np.ones(shape), np.ones(shape)
    got[place] = 7.0
    levels, _ = drawn(got, x, 1e-3 * x)
    assert np.count_nonzero(levels == 3) == 1
    assert levels.size <= 24 * 64


def test_without_an_array_there_is_no_picture() -> None:
    x = np.ones(3)
    for got, expected in ((None, x), (np.ones(2), x), (np.zeros(0), np.zeros(0))):
        assert (
            heat_map(Evidence(Question("reverse"), (), (), 0, got, expected, np.zeros_like(expected))) == ""
        )
