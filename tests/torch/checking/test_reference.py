"""The reference at one point: outputs with and without a derivative, pulled and pushed seeds, and what a formula may start from."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, DtypeError
from refgrad.torch.checking.reference import Reference, perturbed
from refgrad.tracing.ball import Ball, exact, parts
from tests.within import assert_within

FMT = FORMATS["float32"]
X, W = np.array([0.5, -1.0, 2.0]), np.array([1.0, 3.0, -2.0])


def reference(f, *xs, active=None) -> Reference:
    balls = [exact(x, FMT) if np.asarray(x).dtype.kind == "f" else x for x in xs]
    return Reference(f, balls, range(len(xs)) if active is None else active, FMT)


def test_outputs_without_a_derivative_are_plain_arrays() -> None:
    r = reference(lambda x: (np.sin(x), np.argmax(x), np.sum(x)), X)
    assert (r.count, r.differentiable) == (3, [0, 2])
    assert isinstance(r.expected[0], Ball)
    assert r.expected[1] == 2
    assert [r.shape(k) for k in range(3)] == [(3,), (), ()]
    r.check_count(3)
    with pytest.raises(ArgumentError, match=r"func returns 2 tensor\(s\), reference 3 array\(s\)"):
        r.check_count(2)


def test_none_stands_for_a_cotangent_of_zeros() -> None:
    r = reference(lambda x, w: (x * w, np.sum(x)), X, W)
    x_bar, w_bar = r.pull_back([np.ones(3), None])
    assert parts(x_bar)[0].tolist() == W.tolist()
    assert parts(w_bar)[0].tolist() == X.tolist()
    x_bar, w_bar = r.pull_back([None, 2.0])
    assert parts(x_bar)[0].tolist() == [2, 2, 2]
    assert not parts(w_bar)[0].any()


def test_a_released_reference_computes_again() -> None:
    r = reference(np.sin, X)
    before = parts(r.pull_back([np.ones(3)])[0])
    r.release()
    after = parts(r.pull_back([np.ones(3)])[0])
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_tangents_come_for_each_output_with_a_derivative() -> None:
    r = reference(lambda x, w: (x * w, x > 0), X, W, active=[0])
    y_dot, none = r.push_forward([np.ones(3)])
    assert parts(y_dot)[0].tolist() == W.tolist()
    assert none is None


def test_operations_that_round_or_choose_are_counted_by_mode() -> None:
    r = reference(lambda x: np.sin(x) * x, X)
    r.pull_back([np.ones(3)])
    r.push_forward([np.ones(3)])
    assert r.rounded["value"] == 2
    assert r.rounded["reverse"] > 2
    assert r.rounded["forward"] > 2
    assert not r.choices
    assert reference(np.abs, X).choices


def test_a_shaken_argument_may_be_off_by_one_rounding() -> None:
    assert parts(perturbed(exact(X, FMT)))[1].tolist() == (FMT.u * np.abs(X)).tolist()
    assert perturbed(3) == 3
    r = reference(lambda x, w: np.where(w > 0, -x, w), X, W, active=[0])  # which rounds nothing
    assert not parts(r.expected[0])[1].any()
    assert parts(r.perturbed().expected[0])[1].tolist() == (FMT.u * np.abs(X) * (W > 0)).tolist()


def test_a_gradient_from_the_value_moves_by_the_second_derivative_over_the_first() -> None:
    y_bar = np.array([1.0, -2.0, 0.5])
    # Its reference computes in long double, whose rounding is below the bound for float64.
    x = exact(X, FORMATS["float64"])
    found = Reference(lambda x: 1 / (1 + np.exp(-x)), [x], [0], x.fmt).sensitivity_to_value(y_bar)
    s = 1 / (1 + np.exp(-x))
    assert found is not None
    assert assert_within(found, np.abs(y_bar * (1 - 2 * s) * s)) == X.size
    powers = np.array([1.0, 4.0, -2.0])  # products with them are exact
    balls = [x, exact(powers, x.fmt)]
    beside = Reference(lambda x, w: w / (1 + np.exp(-x)), balls, [0], x.fmt).sensitivity_to_value(y_bar)
    assert type(beside) is np.ndarray  # no Ball, which passes for one
    assert np.array_equal(beside, np.abs(powers) * found)
    assert reference(np.cumsum, X).sensitivity_to_value(y_bar) is None  # not elementwise
    assert reference(np.multiply, X, W).sensitivity_to_value(y_bar) is None


@pytest.mark.parametrize("f", [lambda x: {"a": x}, lambda x: (x, (x, x))])
def test_a_container_among_the_outputs_is_named_with_what_is_expected(f) -> None:
    with pytest.raises(
        DtypeError,
        match=r"what reference returned is a (dict|tuple); .* Return an array, or a tuple of arrays",
    ):
        reference(f, X)
