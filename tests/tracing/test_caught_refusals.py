"""A refusal that a function catches comes at the end of the run whose derivative it concerns, and of no other."""

from __future__ import annotations

import contextlib
import decimal
import fractions
import functools
import io
import json
import logging
import math
import pickle
import statistics
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.errors import RUNS, NoRuleError, TracingError
from refgrad.tracing.ball import exact

X = np.array([1.5, 2.5, 0.5])


def _writes_an_element(x: Any) -> Any:
    w = np.zeros(2)
    w[0] = x[0]
    return w


def _writes_by_a_mask(x: Any) -> Any:
    w = np.zeros(3)
    w[w == 0] = x
    return w


KEPT = {"array": np.array, "float64": np.float64}
CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "np.array": lambda x: KEPT["array"]([x[0], 1.0]), "np.asarray": np.asarray,
    "w[0] = x": _writes_an_element, "w[mask] = x": _writes_by_a_mask,
    "an object array": lambda x: np.array([x[0]], object),
    "math.sin": lambda x: math.sin(x[0]), "math.floor": lambda x: math.floor(x[0]), "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]), "complex": lambda x: complex(x[0]), "round": lambda x: round(x[0]), "range": lambda x: range(x[0]),
    "an index": lambda x: [1, 2][x[0]], "x.item": lambda x: x[0].item(), "x.tolist": lambda x: x.tolist(),
    "struct": lambda x: struct.pack("d", x[0]), "statistics.mean": lambda x: statistics.mean([x[0], x[1]]),
    "statistics.fmean": lambda x: statistics.fmean(list(x)), "Fraction": lambda x: fractions.Fraction(x[0]),
    "pickle": pickle.dumps, "np.float64": lambda x: KEPT["float64"](x[0]), "np.ma": lambda x: np.ma.masked_array(x, mask=[0, 1, 0]),
    "a cache": lambda x: functools.lru_cache(lambda v: v * 2)(x[0]), "a dict": lambda x: {1.5: 2.0}[x[0]],
    "a set": lambda x: {x[0]}, "a masked operand": lambda x: x * np.ma.masked_array(X),
    "an operand of objects": lambda x: x * np.array([1, 2, 3], object),
    "np.add.at": lambda x: np.add.at(np.zeros(3), [0, 1, 2], x), "out=": lambda x: np.exp(x, out=np.empty(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_refusal_that_the_function_catches_is_raised_at_its_end(name: str) -> None:
    def f(x: Any) -> Any:
        try:
            y = CONVERSIONS[name](x)
        except Exception:  # noqa: BLE001 - as programs do
            y = 0.0
        return np.sum(x) * 0.0 + np.sum(y)

    message = "caught an error of refgrad and went on, without a derivative: "
    for transformed in (
        lambda: rg.grad(f)(X),
        lambda: rg.jvp(f, (X,), (X,)),
        lambda: rg.hessian(f)(X),
        lambda: rg.vjp(rg.grad(f), X),
    ):
        with pytest.raises(TracingError, match=message):
            transformed()
    assert RUNS == []


@pytest.mark.parametrize("name", CONVERSIONS)
def test_the_same_use_is_refused_where_nothing_catches_it(name: str) -> None:
    with pytest.raises(TracingError):
        rg.grad(lambda x: np.sum(CONVERSIONS[name](x)))(X)


def test_the_first_refusal_is_told_and_kept_as_the_cause() -> None:
    def f(x: Any) -> Any:
        with contextlib.suppress(Exception):
            return np.sum(KEPT["array"]([x]))
        with contextlib.suppress(Exception):
            return float(x[0])
        return 0.0

    with pytest.raises(TracingError, match="conversion to a plain NumPy array") as caught:
        rg.grad(f)(X)
    assert isinstance(caught.value.__cause__, TracingError)


def test_an_error_that_hides_a_refusal_gives_way_to_it() -> None:
    def f(x: Any) -> Any:
        return struct.pack("d", x[0])  # struct.error: required argument is not a float

    with pytest.raises(TracingError, match=r"float\(x\) would lose") as caught:
        rg.grad(f)(X)
    assert isinstance(caught.value.__cause__, struct.error)


def test_another_formula_for_a_function_without_a_rule_is_legal() -> None:
    def f(x: Any) -> Any:
        try:
            return np.sum(np.exp(x, signature="d->d"))
        except NoRuleError:
            return np.sum(x**2)

    assert np.array_equal(rg.grad(f)(X), 2 * X)


def test_a_refusal_concerns_the_transformations_whose_array_it_was() -> None:
    def inner_alone(x: Any) -> Any:
        with contextlib.suppress(TracingError):
            rg.grad(lambda z: float(z) * z)(2.0)  # of a plain number: nothing of x is lost
        return np.sum(x**2)

    def both(x: Any) -> Any:
        with contextlib.suppress(TracingError):
            rg.grad(lambda z: float(z[0]) * z[0])(x)
        return np.sum(x**2)

    def outer_alone(x: Any) -> Any:
        return rg.grad(lambda z: z * z + (_suppressed(lambda: float(x[0])) or 0.0))(1.0) * np.sum(x)

    assert np.array_equal(rg.grad(inner_alone)(X), 2 * X)
    for f in (both, outer_alone):
        with pytest.raises(TracingError, match="went on, without a derivative"):
            rg.grad(f)(X)


def _suppressed(f: Callable[[], Any]) -> Any:
    with contextlib.suppress(Exception):
        return f()
    return None


def test_a_refusal_in_a_thread_of_the_function_is_its_own() -> None:
    def f(x: Any) -> Any:
        worker = threading.Thread(target=_suppressed, args=(lambda: float(x[0]),))
        worker.start()
        worker.join()
        return np.sum(x**2)

    with pytest.raises(TracingError, match="went on, without a derivative"):
        rg.grad(f)(X)


def test_threads_do_not_disturb_each_other() -> None:
    begun, refused, found = threading.Event(), threading.Event(), []

    def waits(x: Any) -> Any:
        begun.set()
        refused.wait(10)
        return np.sum(x**2)

    worker = threading.Thread(target=lambda: found.append(rg.grad(waits)(X)))
    worker.start()
    begun.wait(10)
    with pytest.raises(TracingError):
        rg.grad(lambda x: float(x[0]))(X)
    TracingError("of no array that is known")
    refused.set()
    worker.join()
    assert np.array_equal(found[0], 2 * X)
    assert RUNS == []


def test_a_reference_over_balls_and_a_custom_rule_cannot_pass_a_refusal_over() -> None:
    from refgrad.arguments import called

    def f(x: Any) -> Any:
        return _suppressed(lambda: KEPT["array"]([x])) or np.sum(x)

    with pytest.raises(TracingError, match="went on"):
        called(f, (exact(X, FORMATS["float32"]),))
    own = rg.custom_vjp(np.sin)
    own.defvjp(lambda x: (np.sin(x), x), lambda x, y_bar: (_suppressed(lambda: math.cos(x[0])) or y_bar,))
    with pytest.raises(TracingError, match="went on"):
        rg.hessian(lambda x: np.sum(own(x)))(X)


def test_text_loses_no_derivative() -> None:
    shown: list[str] = []

    def f(x: Any) -> Any:
        assert np.isfinite(x).all()
        shown.append("%.2f and %d" % (x[0], x[1]))  # noqa: UP031
        shown.append(f"{x[0]:.2f} {x[1]}")
        shown.append("{:.3e}".format(x[0]))  # noqa: UP032
        print(x, x[0], file=io.StringIO())
        logging.getLogger("test").warning("loss %.3f", x[0])
        return np.sum(x**2)

    assert np.array_equal(rg.grad(f)(X), 2 * X)
    assert shown[0] == "1.50 and 2"
    assert shown[1].startswith("1.50 ")
    assert shown[2] == "1.500e+00"


def test_what_a_debugger_tries_out_is_not_noted() -> None:
    looked: dict[str, Any] = {"__name__": "pdb", "tried": _suppressed}
    exec("def look(x): tried(lambda: float(x[0]))", looked)  # noqa: S102 - a module of that name

    def f(x: Any) -> Any:
        looked["look"](x)
        return np.sum(x**2)

    assert np.array_equal(rg.grad(f)(X), 2 * X)


@pytest.mark.parametrize("f", [decimal.Decimal, json.dumps, memoryview])
def test_code_in_c_that_does_not_know_a_traced_array_is_named(f: Callable[[Any], Any]) -> None:
    with pytest.raises(
        TracingError, match=r"the function at .*handed a traced array to code that does not know it"
    ):
        rg.grad(f)(1.5)


def test_a_missing_attribute_is_numpys() -> None:
    with pytest.raises(AttributeError, match=r"^'numpy\.ndarray' object has no attribute 'foo'$"):
        rg.grad(lambda x: x.foo)(X)
    with pytest.raises(AttributeError, match=r"^'numpy\.float64' object has no attribute 'foo'$"):
        rg.grad(lambda x: x.foo)(1.5)
    with pytest.raises(
        TracingError, match=r"x\.detach is an attribute of torch's tensors.*rg\.stop_gradient"
    ):
        rg.grad(lambda x: x.detach())(X)
    assert rg.grad(lambda x: x.detach() if hasattr(x, "detach") else x * 2)(1.5) == 2.0


def test_errors_of_the_function_stay_as_they_are() -> None:
    def fails(x: Any) -> Any:
        raise TypeError("Var must be positive")

    with pytest.raises(TypeError, match=r"^Var must be positive$") as caught:
        rg.grad(fails)(X)
    assert not isinstance(caught.value, TracingError)
    assert RUNS == []


def test_a_recorded_function_cannot_pass_a_refusal_over() -> None:
    def f(x: Any) -> Any:
        return _suppressed(lambda: float(x[0])) or np.sum(x**2)

    with pytest.raises(TracingError, match="went on, without a derivative"):
        rg.Graph.record(f, X)


def _norm_without_a_rule(x: Any) -> Any:
    return np.linalg.norm(x, -1)


def _complete(x: Any) -> Any:
    return np.linalg.qr(np.vstack([np.outer(x, x) + np.eye(3), np.ones((1, 3))]), "complete")[1]


def _writes_a_real_part(x: Any) -> Any:
    z = x + 1j * x
    z.real[...] = 5.0
    return np.abs(z)


@pytest.mark.parametrize("part", [_norm_without_a_rule, _complete, _writes_a_real_part])
def test_a_rule_that_is_missing_is_told_where_the_function_catches_it(part: Callable[[Any], Any]) -> None:
    def f(x: Any) -> Any:
        try:
            return np.sum(part(x))
        except Exception:  # noqa: BLE001 - as programs do
            return np.sum(x)

    assert f(X) != np.sum(X)
    for transformed in (lambda: rg.grad(f)(X), lambda: rg.jvp(f, (X,), (X,)), lambda: rg.hessian(f)(X)):
        with pytest.raises(TracingError, match="caught an error of refgrad and went on"):
            transformed()


def test_what_numpy_refuses_too_may_be_caught() -> None:
    def f(x: Any) -> Any:
        tried = (
            lambda: np.linalg.norm(x.reshape(3, 1, 1)[:, :, 0], 7),
            lambda: np.einsum("ij->i", x),
            lambda: x @ np.ones(2),
            lambda: np.linalg.matrix_power(np.outer(x, x), 1.5),
            lambda: np.linalg.qr(np.outer(x, x), "no mode"),
        )
        caught = 0
        for t in tried:
            try:
                t()
            except Exception:  # noqa: BLE001 - as programs do
                caught += 1
        return np.sum(x) * caught

    assert f(X) == 5 * np.sum(X)
    assert np.array_equal(rg.grad(f)(X), np.full(3, 5.0))
    assert RUNS == []


def test_a_hidden_rule_that_is_missing_is_told_as_such() -> None:
    def f(x: Any) -> Any:
        with contextlib.suppress(NotImplementedError):
            return _norm_without_a_rule(x)
        raise RuntimeError("no norm")

    with pytest.raises(NoRuleError, match="ord=-1") as caught:
        rg.grad(f)(X)
    assert isinstance(caught.value.__cause__, RuntimeError)
