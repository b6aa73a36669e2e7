"""What the evidence holds beside numbers: strides as torch had them, the other arrays, and a way to ask the reference again."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.bounds.formats import FORMATS  # noqa: E402  torch decides whether this module runs at all
from refgrad.testing.checks.array_verdict import Question  # noqa: E402
from refgrad.torch.checking.layouts import GAPS, GIVEN, PERMUTED  # noqa: E402
from refgrad.torch.checking.plan import Request  # noqa: E402
from refgrad.torch.checking.point import Point  # noqa: E402
from refgrad.torch.circumstances import circumstances  # noqa: E402
from refgrad.tracing.ball import parts  # noqa: E402

X, W = torch.arange(6.0, dtype=torch.float64).view(2, 3), torch.ones(3, dtype=torch.float64)


def point():
    return Point(
        lambda x, w, k: x * w * k,
        lambda x, w, k: x * w * k,
        (X, W, 3),
        (0, 1),
        FORMATS["float64"],
        np.random.default_rng(0),
    )


def test_reverse_mode() -> None:
    at = point()
    request = Request(
        Question("reverse", "of zeros", (0, 1), (0,), PERMUTED, GAPS), 0, (PERMUTED, GIVEN, ""), (0,)
    )
    seeds = [np.ones((2, 3))]
    due = at.reference.pull_back(seeds)
    found = circumstances(at, "reverse", request, seeds, due, 1)
    assert (found["strides"], found["offsets"]) == (((1, 2), (1,), None), (0, 0, 0))
    assert (found["seed_strides"], found["seed_offsets"]) == (((6, 2),), (0,))
    ((name, other),) = found["others"]
    assert name == "gradient of input 0"
    np.testing.assert_array_equal(other, np.full((2, 3), 3.0))
    value, bound = found["recompute"]((2 * seeds[0],))
    np.testing.assert_array_equal(value, 2 * parts(due[1])[0])
    assert np.all(bound >= 0)


def test_forward_mode() -> None:
    at = point()
    request = Request(Question("forward", "of zeros", (0, 1)), 0, (GIVEN, GIVEN, ""), (1,))
    seeds = [None, np.ones(3), None]
    due = at.reference.push_forward(seeds[:2])
    found = circumstances(at, "forward", request, seeds, due, 0)
    assert found["seed_strides"] == (None, (1,), None)
    assert found["others"] == ()
    value, _ = found["recompute"]((np.ones((2, 3)), None, None))
    np.testing.assert_array_equal(value, np.full((2, 3), 3.0))


def test_values_have_a_memory_and_nothing_more() -> None:
    request = Request(Question("reverse"), 0, (GAPS, GIVEN, ""), ())
    found = circumstances(point(), "value", request, (), (), 0)
    assert found["strides"] == ((6, 2), (1,), None)
    assert set(found) == {"strides", "offsets", "seed_strides", "seed_offsets", "dtypes", "dtype"}
