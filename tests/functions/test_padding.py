"""np.pad in all modes: NumPy's values and errors, the third judge's derivatives by the array and by what is added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from tests.function_checks import in_any_nesting, values_and_derivatives

Array = Any
MODES = [
    "constant",
    "edge",
    "linear_ramp",
    "maximum",
    "mean",
    "median",
    "minimum",
    "reflect",
    "symmetric",
    "wrap",
    "empty",
]
A = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])
V = np.array([0.5, -1.5, 2.5, 0.25])


def continued(line: Array, widths: Any, axis: int, options: dict[str, Any]) -> None:
    """A function of the kind that np.pad takes as a mode."""
    if widths[0]:
        line[: widths[0]] = options.get("factor", 1.0) * line[widths[0]]
    if widths[1]:
        line[-widths[1] :] = line[-widths[1] - 1] ** 2


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever NumPy raises
        return type(error)


@pytest.mark.parametrize(
    "mode", [*MODES, "unknown", continued], ids=lambda mode: getattr(mode, "__name__", mode)
)
@pytest.mark.filterwarnings("ignore")
def test_values_and_errors_are_numpys(mode: Any) -> None:
    rng, compared = np.random.default_rng(3), 0
    for _ in range(60):
        shape = tuple(rng.integers(0 if rng.random() < 0.1 else 1, 5, rng.integers(1, 4)).tolist())
        x = rng.standard_normal(shape).astype([np.float64, np.float32, np.float16][rng.integers(3)])
        pairs = [tuple(rng.integers(0, 7, 2).tolist()) for _ in shape]
        width: Any = [2, (1, 3), pairs, {0: (1, 2)}, {-1: 3}, [[1]], -1, 0][rng.integers(8)]
        values: Any = [1.5, (1, 2.0), [(float(k), k + 0.5) for k in range(len(shape))]][rng.integers(3)]
        options: dict[str, Any] = {
            "constant": {"constant_values": values}, "linear_ramp": {"end_values": values},
            "reflect": {"reflect_type": "odd"}, "symmetric": {"reflect_type": "odd"},
            **{key: {"stat_length": [1, (2, 1), None][rng.integers(3)]} for key in ("maximum", "mean", "median", "minimum")},
        }.get(mode, {})  # fmt: skip
        options = options if rng.random() < 0.6 else {}
        due = outcome(lambda x=x, w=width, o=options: np.pad(x.copy(), w, mode, **o))
        got = outcome(lambda x=x, w=width, o=options: rg.vjp(lambda x: np.pad(x, w, mode, **o), x)[0])
        if isinstance(due, type):
            assert got is due
            continue
        compared += due.size
        assert got.dtype == due.dtype
        assert got.shape == due.shape
        if mode == "empty":
            before = np.argwhere(got == x.flat[0])[0] if x.size and not isinstance(width, dict) else None
            assert before is None or np.array_equal(
                got[tuple([slice(b, b + n) for b, n in zip(before, x.shape, strict=True)])], x
            )
        else:
            assert np.array_equal(got, due, equal_nan=True)
    assert compared > 100 or mode == "unknown"


WIDTHS = ((2, 1), (0, 5))


@pytest.mark.parametrize("mode", [*MODES[:-1], continued], ids=lambda mode: getattr(mode, "__name__", mode))
def test_derivatives_by_the_array(mode: Any) -> None:
    options: list[dict[str, Any]] = [{}]
    options += [{"reflect_type": "odd"}] if mode in {"reflect", "symmetric"} else []
    options += [{"stat_length": ((1, 2), (2, 1))}] if mode in {"maximum", "mean", "median", "minimum"} else []
    for given in options:
        values_and_derivatives(lambda a, o=given: np.pad(a, WIDTHS, mode, **o), [A])
        in_any_nesting(lambda a, o=given: np.pad(a * a, WIDTHS, mode, **o), [A])


@pytest.mark.parametrize(("mode", "name"), [("constant", "constant_values"), ("linear_ramp", "end_values")])
def test_derivatives_by_what_is_added(mode: Any, name: str) -> None:
    for values in (
        lambda v: v[0],
        lambda v: (v[0], v[1]),
        lambda v: v.reshape(2, 2),
        lambda v: ((v[0], 0.5), (1.0, v[2])),
    ):

        def f(a: Array, v: Array, values: Any = values) -> Array:
            return np.pad(a, WIDTHS, mode, **{name: values(v)})

        values_and_derivatives(f, [A, V])
        in_any_nesting(f, [A, V])


def test_a_result_is_an_array_of_its_own() -> None:
    def f(x: Array) -> Array:
        y = np.pad(x, 0, "edge")
        y[0] = 5.0
        return np.sum(x) + np.sum(y)

    assert rg.grad(f)(V).tolist() == [1.0, 2.0, 2.0, 2.0]


@pytest.mark.filterwarnings("ignore")  # NumPy warns of a mean of nothing
def test_a_median_of_nothing_is_nan() -> None:
    y, pullback = rg.vjp(lambda x: np.pad(x, 1, "median", stat_length=0), V)
    assert np.array_equal(y, np.pad(V, 1, "median", stat_length=0), equal_nan=True)
    assert pullback(np.ones(6))[0].tolist() == [1.0] * 4
