"""Imprecise or wrong: rounding of another correct formula is imprecise, and gross errors stay wrong."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.testing import check_jvp, check_vjp
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import Hidden, explained
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import AGREE, DISAGREE, IMPRECISE, Comparison, digits
from refgrad.testing.runs.judgement import _imprecise_end_to_end
from refgrad.tracing.ball import Ball, exact, nearest, parts

FMT = FORMATS["float32"]
ANY = Hidden()


def logistic(x):
    return 1 / (1 + np.exp(-x))


def slope_by_value(y_bar, x):
    """A right kernel: s(1 - s), which cancels for large x."""
    s = (1 / (1 + np.exp(-x.astype(np.float32)))).astype(np.float32)
    return (y_bar.astype(np.float32) * (s * (1 - s))).astype(float)


def judged(got, x, y_bar, hidden=ANY):
    """The verdict on a gradient of the logistic function in float32."""
    (expected,) = rg.vjp(logistic, exact(x, FMT))[1](exact(y_bar, FMT))
    tally = Tally("reverse", "float32", "numpy")
    tally.add(-1, "kernel", compare(got, expected, FMT, "gradient", hidden=hidden))
    return tally.verdict(), parts(expected)


@pytest.fixture
def points():
    rng = np.random.default_rng(3)
    return rng.standard_normal(4096).astype(np.float32).astype(float) * 3, rng.integers(
        -8, 9, 4096
    ) / 4 + 0.375


def test_a_right_kernel_by_another_formula_is_imprecise(points) -> None:
    verdict, _ = judged(slope_by_value(points[1], points[0]), *points)
    assert verdict.status == IMPRECISE
    assert 0 < verdict.imprecise < verdict.elements == 4096
    assert verdict.digits == digits(verdict.wrong[0]) < 6
    assert "fewer correct digits" in verdict.message
    assert not verdict.failed


def test_the_same_numbers_are_wrong_where_one_formula_alone_is_granted(points) -> None:
    verdict, _ = judged(slope_by_value(points[1], points[0]), *points, hidden=None)
    assert verdict.status == DISAGREE


@pytest.mark.parametrize(
    "change",
    [
        np.negative,
        lambda g: 2 * g,
        lambda g: np.roll(g, 1),
        lambda g: g * (1 + 1e-4),
        np.zeros_like,
        lambda g: g / 4096,
        lambda g: np.where(np.arange(g.size) == np.argmin(np.abs(g)), -g, g),
        lambda g: np.where(np.arange(g.size) == np.argmin(np.abs(g)), 2 * g, g),
        lambda g: np.where(np.arange(g.size) == 7, np.nan, g),
        lambda g: np.where(np.arange(g.size) == 7, np.inf, g),
    ],
)
def test_a_gross_error_stays_wrong(points, change) -> None:
    _, (right, _) = judged(np.zeros(4096), *points)
    verdict, _ = judged(nearest(change(np.asarray(right, float)), FMT), *points)
    assert verdict.status == DISAGREE


def test_an_ill_conditioned_element_does_not_move_the_scale() -> None:
    size, bound = np.array([1.0, 1.0, 1.0, 1.0, 1e-3]), np.array([1e-7, 1e-7, 1e-7, 0.9, 1e-10])
    error = np.array([0.0, 0.0, 0.0, 0.0, 1e-6])
    assert not explained(error, bound, size).any()


def test_a_single_element_and_an_exact_array_explain_nothing() -> None:
    one = np.array([1e-3])
    assert not explained(np.array([2e-10]), np.array([1e-10]), one).any()
    size = np.array([1.0, 0.5, 0.0])
    assert not explained(np.full(3, 1e-9), np.zeros(3), size).any()


def test_an_element_below_the_scale_is_known_by_no_digit() -> None:
    size, bound = np.array([1.0, 1.0, 1e-8]), np.array([1e-7, 1e-7, 1e-15])
    for got in (0.0, -1e-8, 2e-8, 0.7e-8):
        assert explained(np.array([0.0, 0.0, abs(got - 1e-8)]), bound, size).tolist() == [False, False, True]


def test_within_the_bound_of_a_named_formula_a_number_needs_a_correct_bit_or_is_0() -> None:
    expected = Ball(np.full(4, 1e-8), np.full(4, 1e-15), FMT)
    c = compare(np.array([0.7e-8, 0.0, 2e-8, -1e-8]), expected, FMT, "gradient", reach=np.full(4, 1e-7))
    assert sorted(e.element for e in c.least_precise) == [(0,), (1,)]
    assert sorted(e.element for e in c.wrong) == [(2,), (3,)]


def test_where_half_of_the_elements_are_blind_nothing_is_explained() -> None:
    size, bound = np.array([1.0, 1e-3, 1e-3]), np.array([0.1, 1e-2, 1e-2])
    assert not explained(np.array([0.0, 5e-2, 0.0]), bound, size).any()


def test_check_vjp_accepts_lost_digits_and_refuses_them_where_it_is_strict() -> None:
    x = np.linspace(-12, 12, 97)

    def by_value(y_bar, x):
        s = np.asarray(1 / (1 + np.exp(-np.asarray(x))))  # plain numbers: its own rounding is not granted
        return y_bar * (s * (1 - s))

    def opaque(y_bar, x):
        plain = [np.asarray(parts(v)[0], float) for v in (y_bar, x)]
        return by_value(*plain)

    report = check_vjp(logistic, opaque, (x,))
    assert (report.status, bool(report)) == (IMPRECISE, True)
    with pytest.raises(rg.errors.GradientMismatch, match="correct digits are left"):
        check_vjp(logistic, opaque, (x,), strict=True)
    assert (
        check_vjp(logistic, lambda y_bar, x: y_bar * logistic(x) * logistic(-x), (x,), strict=True).status
        == AGREE
    )


def test_check_jvp_does_likewise() -> None:
    x = np.linspace(-12, 12, 97)

    def opaque(args, tangents):
        x, x_dot = (np.asarray(parts(v[0])[0], float) for v in (args, tangents))
        s = 1 / (1 + np.exp(-x))
        return x_dot * (s * (1 - s))

    assert check_jvp(logistic, opaque, (x,)).status == IMPRECISE
    with pytest.raises(rg.errors.GradientMismatch):
        check_jvp(logistic, opaque, (x,), strict=True)


def test_a_bound_of_another_formula_explains_what_lies_within_it() -> None:
    expected = Ball(np.array([1.0, 1.0]), np.array([1e-7, 1e-7]), FMT)
    c = compare(np.array([1.001, 1.5]), expected, FMT, "gradient", reach=np.array([0.01, np.inf]))
    assert (c.imprecise, [e.element for e in c.least_precise]) == (1, [(0,)])
    assert [e.element for e in c.wrong] == [(1,)]  # a bound without end explains nothing


@pytest.mark.parametrize(
    ("got", "note", "due"),
    [
        (1.1, "", IMPRECISE),
        (3.0, "", IMPRECISE),
        (np.nan, "", DISAGREE),
        (1.1, "its shape is another", DISAGREE),
    ],
)
def test_lost_digits_of_a_node_excuse_numbers_from_end_to_end_and_nothing_else(got, note, due) -> None:
    end_to_end, by_node = Tally("reverse end to end", "float32", "cpu"), Tally("reverse", "float32", "cpu")
    expected = Ball(np.array([1.0]), np.array([1e-7]), FMT)
    end_to_end.add(0, "mean", compare(np.array([got]), expected, FMT, "gradient"))
    if note:
        end_to_end.add(1, "mean", Comparison(note=note))
    by_node.add(0, "sinc", compare(np.array([1.1]), expected, FMT, "gradient", reach=np.array([0.2])))
    verdict = _imprecise_end_to_end(end_to_end.verdict(), by_node.verdict())
    assert verdict.status == due


def test_what_is_off_by_half_of_the_largest_element_is_never_explained() -> None:
    size, bound = np.ones(3), np.array([0.9, 0.9, 0.1])
    assert explained(np.array([0.0, 0.0, 0.4]), bound, size).tolist() == [False, False, True]
    assert not explained(np.array([0.0, 0.0, 0.6]), bound, size).any()


def test_an_element_that_is_computed_alone_is_not_hidden_by_a_larger_one() -> None:
    size = np.array([1e16, 0.4, 3.0])
    bound = 4 * FMT.u * size
    error = np.array([0.0, 0.4, 20 * FMT.u * 3.0])  # an element doubled, and one that lost digits
    loss = 30 * FMT.u
    assert explained(error, bound, size, Hidden(loss)).tolist() == [False, True, True]
    assert explained(error, bound, size, Hidden(loss, alone=True)).tolist() == [False, False, True]
