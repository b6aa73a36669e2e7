"""What a profile says of any op: figures of the op itself, and operands that are taken as zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS, Format
from refgrad.bounds.profiles import CPU, Profile
from refgrad.ops.activation import sigmoid
from refgrad.quiet import quiet
from refgrad.testing.judging.compare import compare
from refgrad.tracing.ball import exact, parts

OWN: Profile = replace(CPU, own_figures={"float32": {"sigmoid": 6.0}, "bfloat16": {"tanh": 3.0}})
X = np.array([-3.0, -0.5, 0.0, 2.0], np.float32)


def radius(op: object, fmt: Format) -> np.ndarray:
    return np.asarray(parts(op(exact(X, fmt)))[1], float)  # type: ignore[operator]  # an op of the registry


def test_of_exact_operands_the_figure_is_the_radius() -> None:
    fmt = FORMATS["float32"].under(OWN)
    value = parts(sigmoid(exact(X, fmt)))[0]
    # 6 ULP are 12 u of the value; the radius adds what is lost below the range, eta, and is rounded outwards in float64.
    due = 12.0 * fmt.u * value
    assert np.all(radius(sigmoid, fmt) >= due)
    assert np.all(radius(sigmoid, fmt) <= due * (1 + 12.0 * fmt.u) + 2 * fmt.eta)
    assert np.all(radius(sigmoid, fmt) > radius(sigmoid, FORMATS["float32"]))


def test_a_figure_of_float32_serves_half_formats_and_their_own_replaces_it() -> None:
    fmt = FORMATS["bfloat16"].under(OWN)
    assert fmt.own_figures == {"sigmoid": 0.5 + 6.0 * fmt.u_acc / fmt.u, "tanh": 3.0}
    assert np.all(radius(np.tanh, fmt) >= 6.0 * fmt.u * np.abs(np.tanh(X.astype(float))))


def test_a_figure_is_added_to_what_operands_have_caused() -> None:
    plain, own = FORMATS["float32"], FORMATS["float32"].under(OWN)
    rough = radius(lambda x: sigmoid(np.exp(x)), own)
    assert np.all(rough > radius(lambda x: sigmoid(np.exp(x)), plain))


@pytest.mark.parametrize("flushes", [True, False])
def test_the_root_of_a_negative_subnormal_number_may_be_that_of_zero(flushes: bool) -> None:
    fmt = FORMATS["float32"].under(replace(CPU, flushing=frozenset({"float32"} if flushes else ())))
    with np.errstate(invalid="ignore"):
        value, around = parts(np.sqrt(exact(np.array([-1e-40], np.float32), fmt)))
    assert np.isnan(value[0]) != flushes
    assert not flushes or np.isinf(around[0])


@pytest.mark.parametrize("f", [np.log, np.log2, np.log10])
def test_the_logarithm_of_a_negative_subnormal_number_may_be_that_of_zero(f: Callable[..., Any]) -> None:
    """TensorFlow takes positive subnormal numbers for zero, and negative ones for negative."""
    x = np.array([-1e-40], np.float32)
    for flushing, wrong in ((frozenset({"float32"}), [0, 0]), (frozenset(), [0, 1])):
        fmt = FORMATS["float32"].under(replace(CPU, flushing=flushing))
        with quiet():
            y = f(exact(x, fmt))
        assert [compare(np.array([got]), y, fmt, nan=True).count for got in (np.nan, -np.inf)] == wrong


@pytest.mark.parametrize("flushes", [True, False])
def test_the_remainder_by_a_subnormal_number_may_be_that_by_zero(flushes: bool) -> None:
    fmt = FORMATS["float32"].under(replace(CPU, flushing=frozenset({"float32"} if flushes else ())))
    x = exact(np.array([1.0, 2.5], np.float32), fmt)
    value, around = parts(np.remainder(x, exact(np.array([1e-40, 1.0], np.float32), fmt)))
    assert np.all(np.isfinite(value))
    assert list(np.isinf(np.broadcast_to(0.0 if around is None else around, (2,)))) == [flushes, False]
