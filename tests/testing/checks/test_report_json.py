"""What is saved is exact: arrays in every format, long double included."""

from __future__ import annotations

import json

import numpy as np
import pytest

from refgrad.errors import CaseFileError
from refgrad.records import strict
from refgrad.testing.checks.array_verdict import Question
from refgrad.testing.checks.report_json import array_data, array_of, report_data, terms
from tests.checked import part, report, verdict

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "x",
    [
        RNG.standard_normal((3, 4)), np.float32(RNG.standard_normal(5)), np.array(1.5), np.arange(6).reshape(2, 3).T, np.zeros((0, 3)),
        np.array([True, False]), np.array([1 + 2j]), np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        RNG.standard_normal(9).astype(np.longdouble) / 3, np.array([np.nan, np.inf, 1], np.longdouble) / 3,
    ],
)  # fmt: skip
def test_an_array_comes_back_as_it_was(x) -> None:
    back = array_of(json.loads(json.dumps(strict(array_data(x)), allow_nan=False)))
    assert back.dtype == x.dtype
    assert back.shape == x.shape
    np.testing.assert_array_equal(back, x)
    assert back.tobytes() == x.tobytes() or x.dtype.itemsize > 8


def test_terms_add_up() -> None:
    x = RNG.standard_normal(100).astype(np.longdouble) / 7
    assert np.array_equal(sum(t.astype(np.longdouble) for t in terms(x)), x)
    assert len(terms(np.ones(3, np.longdouble))) == 1


def test_what_is_no_array_is_named() -> None:
    assert array_data(None) is None
    assert array_data({"k": 1}) == {"python": "dict", "repr": "{'k': 1}"}
    assert array_data(np.array(["a"]))["python"] == "<U1"
    with pytest.raises(CaseFileError, match="is no array"):
        array_of(array_data(3))


def test_the_evidence_is_whole() -> None:
    x = RNG.standard_normal((3, 4))
    asked = Question("reverse", "of one element", (0, 2), (1,), "permuted", "expanded")
    wrong = part("gradient of input 0", 2 * x, x, 1e-15, question=asked, seeds=(None, x))
    assert wrong.evidence is not None
    wrong.evidence.strides, wrong.evidence.seed_strides, wrong.evidence.seed_offsets = (
        ((1, 3),),
        (None, (0, 1)),
        (0, 2),
    )
    data = json.loads(json.dumps(strict(report_data(report(verdict("reverse", [wrong])))), allow_nan=False))
    saved = data["verdicts"][0]["parts"][0]
    e = saved["evidence"]
    assert (saved["count"], saved["what"]) == (12, "gradient of input 0")
    assert e["question"] == {
        "mode": "reverse", "draw": "of one element", "active": [0, 2], "used": [1], "layout": "permuted", "seed_layout": "expanded",
    }  # fmt: skip
    assert (e["strides"], e["seed_strides"], e["seed_offsets"]) == ([[1, 3]], [None, [0, 1]], [0, 2])
    assert e["seeds"][0] is None
    for name, due in (("got", 2 * x), ("expected", x), ("bound", np.full((3, 4), np.longdouble(1e-15)))):
        np.testing.assert_array_equal(array_of(e[name]), due)
    np.testing.assert_array_equal(array_of(e["seeds"][1]), x)
