"""Losses of classification: other formulas in use are those of the same loss."""

from __future__ import annotations

import numpy as np

from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.op import FUNCTIONS
from refgrad.tracing.ball import exact


def test_the_formulas_of_one_softplus_are_that_loss() -> None:
    rng = np.random.default_rng(4)
    x, target, weight, positive = rng.normal(size=(4, 3, 5))
    given = {"target": np.abs(target) % 1, "weight": np.abs(weight), "pos_weight": np.abs(positive)}
    formulas = FUNCTIONS["nn.binary_cross_entropy_with_logits"].of_whole
    assert len(formulas) == 2
    fmt = FORMATS["float64"]
    for some in ({}, {"weight": None}, {"pos_weight": None}, {"reduction": "none"}):
        arguments = {"weight": None, "pos_weight": None, "reduction": "sum", **given, **some}
        due = nn.binary_cross_entropy_with_logits(exact(x, fmt), **arguments)
        for formula in formulas:
            y = formula.function(exact(x, fmt), **arguments)
            assert np.all(np.abs(y.value - due.value) <= y.radius + due.radius)
