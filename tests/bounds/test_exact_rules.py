"""Rules of ops that round nothing: exact operands have exact results, and such ops are not counted as roundings."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.exact_rules import EXACT_RULES
from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY, Op
from refgrad.tracing.ball import Ball, exact, nearest, rounded_operations

DRAWS = range(8)
EXACT = [op for _, op in sorted(REGISTRY.items()) if op.rounding in EXACT_RULES]


def test_ops_that_move_and_select_have_exact_rules() -> None:
    assert {"reshape", "getitem", "where", "sort", "maximum", "negative", "floor", "less"} <= {
        op.name for op in EXACT
    }


@pytest.mark.parametrize("op", EXACT, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_exact_rule_gives_exact_operands_an_exact_result(op: Op, dtype: str) -> None:
    """Operations with such a rule are not counted among those that round."""
    fmt = FORMATS[dtype]
    for draw in DRAWS:
        rng = np.random.default_rng([draw, *op.name.encode()])
        drawn, params = op.domain.sample(rng, len(op.signature.operands))
        operands = [np.asarray(x) for x in drawn]
        balls = [exact(nearest(x, fmt), fmt) if x.dtype.kind == "f" else x for x in operands]
        before = rounded_operations()
        y = op(*balls, **params)
        assert not isinstance(y, Ball) or y.radius is None
        op(*[Ball(b.value, np.abs(b.value) / 8, fmt) if isinstance(b, Ball) else b for b in balls], **params)
        assert rounded_operations() == before
