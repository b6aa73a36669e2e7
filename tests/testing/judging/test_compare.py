"""compare: every element is compared with its bound or counted as skipped."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.judging.compare import LARGE, compare, compare_all
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.sharpness import median
from refgrad.tracing.ball import Ball

FMT = FORMATS["float32"]
comparing = sys.modules[compare.__module__]


def ball(value, radius=0.0):
    value = np.asarray(value, float)
    return Ball(value, np.broadcast_to(np.asarray(radius, float), value.shape), FMT)


def test_within_the_bound_agrees_and_counts() -> None:
    c = compare(np.array([1.0, 2.0]), ball([1.0, 2.5], 0.5), FMT)
    assert (c.elements, len(c.wrong)) == (2, 0)
    assert c.worst is not None
    assert c.worst.element == (1,)
    assert c.worst.ratio == pytest.approx(1.0, rel=1e-6)


def test_out_of_bounds_is_listed_worst_first() -> None:
    c = compare(np.array([1.0, 2.0, 9.0]), ball([1.0, 2.5, 3.0], 0.1), FMT, "gradient of x")
    assert [e.element for e in c.wrong] == [(2,), (1,)]
    assert (c.wrong[0].got, c.wrong[0].expected, c.wrong[0].what) == (9.0, 3.0, "gradient of x")


def test_an_exact_expectation_allows_nothing() -> None:
    assert compare(np.array([0.0]), ball([1e-30]), FMT).wrong
    assert not compare(np.array([1e-30]), ball([1e-30]), FMT).wrong


def test_a_shape_is_compared_first() -> None:
    c = compare(np.zeros(3), ball(np.zeros((1, 3))), FMT, "gradient of x")
    assert c.elements == 0
    assert c.note == "gradient of x has shape (3,), expected (1, 3)"


def test_nan_where_a_number_is_due_is_wrong() -> None:
    assert compare(np.array([np.nan]), ball([1.0], 0.5), FMT).wrong


def test_nan_in_the_reference_defines_nothing() -> None:
    c = compare(np.array([np.nan, 3.0]), ball([np.nan, np.nan]), FMT)
    assert (c.elements, c.skipped, c.wrong) == (0, 2, [])


def test_infinities_must_match_exactly() -> None:
    assert not compare(np.array([np.inf]), ball([np.inf]), FMT).wrong
    assert compare(np.array([-np.inf]), ball([np.inf]), FMT).wrong
    assert compare(np.array([1e30]), ball([np.inf]), FMT).wrong


def test_overflow_stands_for_a_value_beyond_the_format() -> None:
    assert not compare(np.array([np.inf]), ball([1e39], 1e32), FMT).wrong
    assert compare(np.array([np.inf]), ball([1e37], 1e30), FMT).wrong
    assert compare(np.array([-np.inf]), ball([1e39], 1e32), FMT).wrong


def test_an_infinite_bound_is_not_a_comparison() -> None:
    c = compare(np.array([1.0]), ball([1.0], np.inf), FMT)
    assert (c.elements, c.skipped) == (0, 1)


def test_loose_and_blind_elements_are_counted() -> None:
    c = compare(np.array([1.0, 1.0, 1.0]), ball([1.0, 1.0, 1.0], [1e-7, 0.2, 1.0]), FMT)
    assert (c.elements, c.loose, c.blind) == (3, 2, 1)


def test_empty_arrays_compare_nothing() -> None:
    assert compare(np.zeros((0, 3)), ball(np.zeros((0, 3))), FMT).elements == 0


def test_several_arrays_come_to_what_each_comes_to_alone() -> None:
    """Ordinary ones beside NaN, infinities, overflow, other shapes, empty arrays and wrong elements."""
    pairs = [
        (np.array([1.0, 2.0]), ball([1.0, 2.5], 0.5), "within"),
        (np.zeros((0, 3)), ball(np.zeros((0, 3))), "empty"),
        (np.zeros(3), ball(np.zeros((1, 3))), "of another shape"),
        (np.array([[1.0, 2.0], [9.0, 7.0]]), ball([[1.0, 2.5], [3.0, 3.0]], 0.1), "wrong"),
        (np.array(4.0), ball(4.0), "a number"),
        (np.array([np.nan, np.inf, np.inf]), ball([np.nan, np.inf, 3.4e38], 1e38), "exceptional"),
        (np.array([1.0]), ball([3.0], 2.0), "blind"),
    ]
    for chosen in (pairs, [p for p in pairs if p[2] != "exceptional"]):
        together = compare_all(chosen, FMT)
        for c, (got, expected, what) in zip(together, chosen, strict=True):
            alone = compare(got, expected, FMT, what)
            bounds, sizes = (c.sharpness.bound, c.sharpness.size) if c.sharpness else ((), ())
            unlike = {"sharpness": None, "make_worst": None}  # and NaN, which in Python 3.13 equals no NaN
            assert repr(replace(c, **unlike)) == repr(replace(alone, **unlike))
            assert len(bounds) == len(sizes) == c.elements


def test_without_an_error_the_ratio_is_zero_whatever_the_bound() -> None:
    bound = [5e-324, 0.0, 1e-310, 1.0]
    c = compare(np.array([0.0, 2.0, 0.0, 3.0]), ball([0.0, 2.0, 1e-310, 3.0], bound), FMT)
    assert (c.elements, c.wrong) == (4, [])
    # The ratio is that of the third element alone, whose error is its bound; a comparison grants a little more.
    assert 0.99 < c.ratio < 1


def test_a_radius_may_be_a_number() -> None:
    assert not compare(np.float64(1.5), Ball(np.asarray(1.0), 0.5, FMT), FMT).wrong
    assert compare(np.float64(1.5), Ball(np.asarray(1.0), 0.25, FMT), FMT).wrong


def large(kind: str, shape: tuple[int, ...], fmt) -> tuple[np.ndarray, Ball]:
    """What came and what was expected: right, imprecise and wrong elements, NaN, infinities, overflow, endless bounds."""
    rng = np.random.default_rng(len(kind))
    value = rng.standard_normal(shape) * 10.0 ** rng.integers(-8, 2, shape)
    value = value.astype(fmt.name).astype(fmt.wide)
    radius = np.abs(value.astype(float)) * fmt.u * rng.integers(2, 5, shape)
    error = rng.uniform(-0.4, 0.4, shape) * radius
    if kind != "right":  # lost digits, equally bad elements among them
        at = rng.choice(value.size, value.size // 5, replace=False)
        error.flat[at] = fmt.u * rng.integers(1, 4, at.size)
    came = (value + error).astype(float)
    if kind in ("wrong", "exceptional"):
        at = rng.choice(value.size, 40, replace=False)
        came.flat[at] *= 2
        came.flat[at[:5]] = came.flat[at[0]]
        value.flat[at[:5]], radius.flat[at[:5]] = value.flat[at[0]], radius.flat[at[0]]
    if kind == "exceptional":
        at = rng.choice(value.size, (10, 30), replace=False)
        came.flat[at[0]] = np.nan
        came.flat[at[1]] = np.inf
        value.flat[at[2]] = np.nan
        value.flat[at[3]] = came.flat[at[3]] = -np.inf
        value.flat[at[4]] = np.inf
        radius.flat[at[5]] = np.inf
        radius.flat[at[6]] = np.nan
        came.flat[at[7]], value.flat[at[7]] = np.inf, 2 * fmt.max if fmt.name == "float32" else np.inf
        radius.flat[at[8]], came.flat[at[8]] = np.inf, np.nan
        value.flat[at[9]] = radius.flat[at[9]] = 0
    return came, Ball(value, radius, fmt)


@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["right", "imprecise", "wrong", "exceptional"])
@pytest.mark.parametrize("reached", [False, True])
def test_blocks_come_to_what_the_whole_comes_to(
    kind: str, name: str, reached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fmt = FORMATS[name]
    got, expected = large(kind, (37, 2003), fmt)
    assert got.size > LARGE
    reach = 8 * expected.radius.astype(float) if reached else None
    found = []
    for hidden in (None, Hidden(), Hidden(4 * fmt.u, 0.1, 3.0)):
        blocks = compare(got, expected, fmt, "x", hidden=hidden, reach=reach, nan=kind == "exceptional")
        with monkeypatch.context() as patched:
            patched.setattr(comparing, "LARGE", got.size)
            whole = compare(got, expected, fmt, "x", hidden=hidden, reach=reach, nan=kind == "exceptional")
        unlike = {"sharpness": None, "make_worst": None, "every_wrong": None}
        assert repr(replace(blocks, **unlike)) == repr(replace(whole, **unlike))
        assert repr(blocks.worst) == repr(whole.worst)
        assert (blocks.every_wrong is None) == (whole.every_wrong is None)
        if whole.every_wrong is not None:
            assert repr(blocks.every_wrong()) == repr(whole.every_wrong())
        assert blocks.sharpness.typical_and_largest() == whole.sharpness.typical_and_largest()
        assert blocks.sharpness.detectability() == whole.sharpness.detectability()
        assert median([blocks.sharpness]) == median([whole.sharpness])
        found.append(whole)
    assert any(c.imprecise for c in found) == (kind != "right")
    assert any(c.wrong for c in found) == (kind != "right")
