"""Operators with operands of every kind: what NumPy makes of them, or a refusal that names the operand."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import OperandError, RefgradError
from tests.outcomes import below, outcome


class Reflected:
    def __rmul__(self, other: Any) -> Any:
        return other * 2

    def __mul__(self, other: Any) -> Any:
        return other * 3

    def __gt__(self, other: Any) -> Any:
        return "greater"

    def __rmatmul__(self, other: Any) -> Any:
        return "product"


class NoUfuncs(Reflected):
    __array_ufunc__ = None


class Higher(Reflected):
    __array_priority__ = 5.0


class Ufuncs:
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return next(x for x in inputs if x is not self) * 7


class Plain(np.ndarray):
    pass


class Own(np.ndarray):
    def __mul__(self, other: Any) -> Any:
        return "own"


OPERANDS: dict[str, Any] = {
    "Fraction": Fraction(1, 2), "Decimal": Decimal(1), "2**64": 2**64, "2**1100": 2**1100, "None": None, "text": "a", "bytes": b"a",
    "list": [1, 2], "tuple": (1.0, 2.0), "range": range(2), "set": {1}, "dict": {}, "True": True, "np.True_": np.True_, "object": object(),
    "complex": 1j, "np.complex128": np.complex128(1j), "complex array": np.ones(2) * 1j, "object array": np.array([1, 2], object),
    "date": np.datetime64(1, "s"), "record": np.zeros(2, [("a", float)]), "texts": np.array(["a", "b"]), "int8": np.ones(2, np.int8),
    "masked": np.ma.masked_array([1.0, 2.0], mask=[0, 1]), "matrix": np.array([[1.0, 2.0]]).view(np.matrix),
    "recarray": np.rec.array([(1.0,), (2.0,)]), "Plain": np.ones(2).view(Plain), "Own": np.ones(2).view(Own), "Reflected": Reflected(),
    "NoUfuncs": NoUfuncs(), "Higher": Higher(), "Ufuncs": Ufuncs(),
}  # fmt: skip
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    **{name: getattr(operator, name) for name in ("add", "mul", "truediv", "pow", "mod", "matmul", "lt", "ge", "eq", "ne")},
    "radd": lambda x, o: o + x, "rmul": lambda x, o: o * x, "rpow": lambda x, o: o**x, "rgt": lambda x, o: o > x,
    "np.multiply": np.multiply, "np.less": np.less, "np.maximum": lambda x, o: np.maximum(o, x), "divmod": divmod,
}  # fmt: skip
VALUES = {"array": np.array([1.5, 2.5]), "scalar": np.float64(1.5)}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("name", OPERANDS)
@pytest.mark.filterwarnings("ignore")
def test_every_operator_with_every_operand(name: str, kind: str) -> None:
    other, x, compared = OPERANDS[name], VALUES[kind], 0
    for what, operation in OPERATIONS.items():
        expected = outcome(lambda operation=operation: operation(x, other))
        for mode in (rg.grad, lambda f: lambda x: rg.jvp(f, (x,), (np.ones_like(x),))):
            seen: list[Any] = []

            def f(v: Any, operation: Any = operation, seen: list[Any] = seen) -> Any:
                seen.append(operation(v, other))
                return np.sum(v)

            got = outcome(lambda mode=mode, f=f: mode(f)(x))
            compared += 1
            if isinstance(got, RefgradError):  # in words
                continue
            if isinstance(got, Exception):
                assert type(got) is type(expected), f"{what}: {got!r}, NumPy: {expected!r}"
                continue
            assert not isinstance(expected, Exception), f"{what}: NumPy raises {expected!r}"
            np.testing.assert_array_equal(np.asarray(below(seen[0])), np.asarray(expected), what)
            if isinstance(expected, (np.ndarray, np.generic)):
                assert np.asarray(below(seen[0])).dtype == expected.dtype, what
    assert compared == 2 * len(OPERATIONS)


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "masked": (lambda x: x * OPERANDS["masked"], r"multiply: an operand is a masked array.*np\.where\(mask"),
    "masked first": (lambda x: OPERANDS["masked"] * x, "use in a masked array would lose the derivative"),
    "matrix": (lambda x: x @ OPERANDS["matrix"], r"matmul: an operand is an np\.matrix.*np\.asarray\(m\)"),
    "objects": (lambda x: x + OPERANDS["object array"], r"add: an operand has dtype object.*np\.asarray\(a, float\)"),
    "a class": (lambda x: x * OPERANDS["Reflected"], "multiply: an operand is of class Reflected.*__array_ufunc__ = None"),
    "a subclass": (lambda x: np.multiply(x, OPERANDS["Own"]), "multiply: an operand is of class Own.*defines __mul__"),
    "in place": (lambda x: operator.iadd(x, OPERANDS["masked"]), "add: an operand is a masked array"),
    "written": (lambda x: operator.setitem(x, 0, OPERANDS["np.complex128"]), "from complex128 to float64 would drop the imaginary part"),
    "a function": (lambda x: np.concatenate([x, OPERANDS["masked"]]), "concatenate: an operand is a masked array"),
    "np.where": (lambda x: np.where(x > 2, x, OPERANDS["object array"]), "where: an operand has dtype object"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_operand_is_named_in_both_modes(name: str) -> None:
    f, message = REFUSED[name]
    for mode in (
        lambda: rg.grad(lambda x: np.sum(f(x)))(VALUES["array"]),
        lambda: rg.jvp(f, (VALUES["array"],), (np.ones(2),)),
    ):
        with pytest.raises((OperandError, rg.errors.TracingError), match=message):
            mode()


def test_operands_that_numpy_leaves_to_others_keep_their_derivative() -> None:
    x = VALUES["array"]
    assert np.array_equal(rg.grad(lambda v: np.sum(v * NoUfuncs()))(x), [2.0, 2.0])
    assert np.array_equal(rg.grad(lambda v: np.sum(v * Ufuncs()))(x), [7.0, 7.0])
    assert np.array_equal(rg.grad(lambda v: np.sum(np.multiply(v, Ufuncs())))(x), [7.0, 7.0])
    assert rg.grad(lambda v: v * Reflected())(1.5) == 2.0
    assert rg.grad(lambda v: Reflected() * v)(1.5) == 3.0
    assert rg.grad(lambda v: v * Fraction(1, 2))(1.5) == rg.grad(lambda v: Fraction(1, 2) * v)(1.5) == 0.5
    assert np.array_equal(rg.grad(lambda v: np.sum(v * [v[0], 3.0]))(x), [3.0, 3.0])  # v[0] squared, 3 v[1]


def test_in_place_operators_of_a_scalar_are_those_of_its_operators() -> None:
    def f(s: Any) -> Any:
        s *= Fraction(1, 2)
        s *= Reflected()
        return s

    assert f(np.float64(1.5)) == 1.5
    assert rg.grad(f)(1.5) == 1.0


def test_a_file_in_memory_is_an_array(tmp_path: Path) -> None:
    m = np.memmap(tmp_path / "m", dtype=float, mode="w+", shape=(2,))
    m[:] = 3.0
    assert np.array_equal(rg.grad(lambda v: np.sum(v * m))(np.ones(2)), [3.0, 3.0])
    assert np.array_equal(rg.grad(lambda v: np.sum(v * v))(m), [6.0, 6.0])


def test_large_integers_are_rounded_as_numpy_does() -> None:
    from refgrad.bounds.formats import FORMATS
    from refgrad.tracing.ball import exact, parts

    y = exact(np.ones(2), FORMATS["float64"]) * 2**64
    assert np.array_equal(parts(y)[0], np.full(2, 2.0**64))
