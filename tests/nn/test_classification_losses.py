"""Losses of classification: other formulas in use are those of the same loss."""

from __future__ import annotations

import functools

import numpy as np

import refgrad as rg
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


def test_where_the_weights_add_up_to_nothing_the_derivatives_are_nan_and_not_zero() -> None:
    x, target = np.array([[0.3, -0.7], [1.1, 0.2]]), np.array([1, 0])
    for loss in (nn.nll_loss, nn.cross_entropy):
        for weight in np.array([[0.0, 0.0], [1.0, -1.0]]):
            value, gradient = rg.value_and_grad(functools.partial(loss, target=target, weight=weight))(x)
            assert np.isnan(value)
            assert np.all(np.isnan(gradient[[0, 1], target]))


def test_ignored_targets_have_a_gradient_of_zero_though_the_mean_is_nan() -> None:
    value, gradient = rg.value_and_grad(lambda x: nn.cross_entropy(x, np.array([-100, -100])))(np.eye(2))
    assert np.isnan(value)
    np.testing.assert_array_equal(gradient, 0)
