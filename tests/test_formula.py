"""A program computed by other formulas of its ops: each meets its first one, its second one, and so on."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.formula import by_each
from refgrad.op import REGISTRY
from refgrad.ops import arithmetic
from refgrad.tracing.ball import exact, parts

FMT = FORMATS["float32"]


def ball(x):
    return exact(np.array(x), FMT)


def test_rules_are_those_of_the_formula() -> None:
    x = 6.0
    for derive in (rg.grad(np.tanh), lambda x: rg.jvp(np.tanh, (x,), (ball(1.0),))[1]):
        (found, blind), (other, _) = by_each(lambda derive=derive: derive(ball(x)))
        value, radius = parts(found)
        own = parts(derive(ball(x)))[1]
        y = np.tanh(x)
        assert value == 1 - y * y  # in float64
        assert radius > 100 * own
        assert blind
        assert abs(parts(other)[0] - (1 - y * y)) <= np.spacing(1.0)  # (1 - y)(1 + y)


def test_a_composition_takes_the_place_of_value_and_rules() -> None:
    found = by_each(lambda: parts(rg.value_and_grad(rg.nn.softsign)(ball(3000.0))[1]))
    own = parts(rg.grad(rg.nn.softsign)(ball(3000.0)))
    assert len(found) == len(arithmetic.divide.usual)  # the quotient in it is taken by each of its formulas
    assert all(radius > 100 * own[1] and not blind for (_, radius), blind in found)


def test_second_derivatives_are_those_of_the_formula_too() -> None:
    def second():
        return parts(rg.grad(rg.grad(np.tanh))(ball(6.0)))[1]

    for radius, _ in by_each(second):
        assert radius > 100 * second()


def test_one_formula_that_is_not_blind_makes_a_program_that_is_not() -> None:
    """So a run by the blind formulas alone follows, in which the other op keeps its record."""
    x = ball(6.0)
    found = by_each(lambda: rg.grad(lambda x: rg.nn.softsign(x) + np.tanh(x))(x))
    quotients, by_value = len(arithmetic.divide.usual), len(REGISTRY["tanh"].usual)
    assert [blind for _, blind in found] == [False] * quotients + [True] * by_value
    mixed, alone = found[:quotients], found[quotients:]
    for (of_tanh, _), (one, _) in zip(by_each(lambda: rg.grad(np.tanh)(x)), alone, strict=True):
        assert parts(of_tanh)[1] < parts(one)[1]
        assert all(parts(one)[1] < parts(both)[1] for both, _ in mixed)


@pytest.mark.parametrize("divisor", [np.int64(3), np.array([3, 3])])
def test_the_formulas_of_a_quotient_take_an_integer_divisor(divisor) -> None:
    """The reciprocal of an integer is no integer: each formula gives the quotient's slope, with the rounding of two operations."""
    found = by_each(lambda: parts(rg.grad(lambda x: np.sum(x / divisor))(ball([3.0, 1.0]))))
    assert len(found) == len(arithmetic.divide.usual)
    for (value, radius), _ in found:
        assert np.all(abs(value - 1 / 3) <= radius)
        assert np.all(radius <= 2 * FMT.u)


def test_nothing_comes_where_no_op_has_another_formula() -> None:
    assert by_each(lambda: np.sin(ball(1.0)) * 2) == []
    assert by_each(lambda: np.tanh(1.0)) == []  # nothing is traced


def test_afterwards_records_hold_again() -> None:
    before = parts(rg.grad(np.tanh)(ball(6.0)))[1]
    by_each(lambda: rg.grad(np.tanh)(ball(6.0)))
    with pytest.raises(ZeroDivisionError):
        by_each(lambda: 1 // 0)
    assert parts(rg.grad(np.tanh)(ball(6.0)))[1] == before


def test_there_are_ops_of_both_kinds() -> None:
    kinds = {f.blind for op in REGISTRY.values() for f in op.usual}
    assert kinds == {True, False}
