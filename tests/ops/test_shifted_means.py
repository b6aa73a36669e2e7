"""Forward mode through a shift that is differentiated: right values, and a bound at the largest element for what the row has rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY
from refgrad.ops.shifted_means import shifted_mean
from refgrad.tracing.ball import exact, parts
from refgrad.transforms import jvp, vjp

PLACES = np.arange(512)
LARGEST = PLACES == 77
LOGITS = np.where(LARGEST, 2.0, np.random.default_rng(4).integers(-64, 65, 512) / 64)
ALONG = np.random.default_rng(5).integers(-7, 9, 512) / 4
PARAMS: dict[str, dict[str, Any]] = {
    "logsumexp": {"axis": 0},
    "log_softmax": {"axis": 0},
    "cross_entropy": {"axis": 0, "labels": np.array(3)},
}


def test_it_is_the_mean_by_softmax() -> None:
    x = np.array([[0.0, 1.0, -np.inf], [1e4, 1e4, 3.0]])
    found = shifted_mean(np.array([[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]]), x, 1)
    due = np.array([(1 + 2 * np.e) / (1 + np.e), 1.5])
    # Two exponentials within 1 ulp, two products, three sums and a quotient here, and as many there: 16 roundings of numbers of this size.
    assert np.all(np.abs(found[:, 0] - due) <= 16 * 2.0**-53 * due)


def second(f: Any, y_bar: Any) -> Any:
    """Reverse mode over forward mode in bfloat16: values and bounds."""
    x, x_dot, sent = [exact(np.asarray(a), FORMATS["bfloat16"]) for a in (LOGITS, ALONG, y_bar)]
    return parts(vjp(lambda x: jvp(f, (x,), (x_dot,))[1], x)[1](sent)[0])


@pytest.mark.parametrize("name", PARAMS)
def test_the_largest_element_gets_what_was_rounded_along_the_axis(name: str) -> None:
    op, params = REGISTRY[name], PARAMS[name]
    y_bar = 1 + np.resize([0.0, 1.0], np.shape(op.forward(LOGITS, **params)))
    formula = op.usual[-1].of(op)
    value, radius = second(lambda x: op(x, **params), y_bar)
    by_shift, reach = second(lambda x: formula(x, **params), y_bar)
    assert np.all(np.abs(value - by_shift) <= radius + reach)
    rounded_once_each = FORMATS["bfloat16"].u * np.sum(np.abs(value))
    assert reach[LARGEST] >= rounded_once_each
    assert np.max((reach / radius)[~LARGEST]) < (reach / radius)[LARGEST]


def stored(x: Any) -> Any:
    """The nearest number of bfloat16."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32).astype(float)


def test_a_kernel_that_stores_each_result_is_within_the_bound() -> None:
    op, params = REGISTRY["logsumexp"], PARAMS["logsumexp"]
    weights = stored(np.exp(LOGITS - 2.0))
    total, moved = stored(weights.sum()), stored(stored(weights * ALONG).sum())
    terms = stored(
        stored(stored(stored(1 / total) * ALONG) - stored(stored(moved / total) / total)) * weights
    )
    got = np.where(LARGEST, stored(terms - stored(terms.sum())), terms)

    value, radius = second(lambda x: op(x, **params), 1.0)
    _, reach = second(lambda x: op.usual[-1].of(op)(x, **params), 1.0)
    error = np.abs(got - value)
    assert np.all(error <= reach)
    assert error[LARGEST] > radius[LARGEST]
