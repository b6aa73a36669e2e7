"""Formulas of recorded disagreements of normalization layers: what torch computes, and not the second derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.nn import layer_norm
from refgrad.testing.deviations.normalization_formulas import NORMALIZATION_FORMULAS
from refgrad.testing.deviations.recorded_formula import Inputs
from refgrad.tracing.ball import exact
from tests.within import assert_within

FMT, RNG = FORMATS["float64"], np.random.default_rng(8)


def numbers(shape: Any) -> Any:
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("weight", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm_holds_its_statistics(weight: bool, bias: bool) -> None:
    if not weight and bias:
        pytest.skip("torch raises there")
    shape, inner = (2, 5), (5,)
    xs = [numbers(shape), *[numbers(inner) for given in (weight, bias) if given]]
    x_dots, y_bar = [numbers(x.shape) for x in xs], numbers(shape)
    params = {"normalized_shape": inner, "eps": 0.1}
    params |= {name: None for name, given in (("weight", weight), ("bias", bias)) if not given}

    def f(x: Any, w: Any = None, b: Any = None) -> Any:
        return torch.nn.functional.layer_norm(x, inner, w, b, 0.1)

    tensors, dots = [tuple(map(torch.tensor, given)) for given in (xs, x_dots)]
    found = torch.func.vjp(lambda *given: torch.func.jvp(f, given, dots)[1], *tensors)[1](torch.tensor(y_bar))
    balls = [tuple(exact(x, FMT) for x in given) for given in (xs, x_dots)]
    inputs = Inputs(True, balls[0], params, exact(y_bar, FMT), balls[1], FMT)
    held = NORMALIZATION_FORMULAS["layer_norm with statistics held"](inputs)
    assert sorted(held) == list(range(len(xs)))
    for k, got in enumerate(found):
        assert assert_within(got.numpy(), held[k][0], str(k)) == got.numel()
    right = rg.jvp(
        lambda *given: rg.vjp(lambda x, w=None, b=None: layer_norm(x, inner, w, b, 0.1), *given)[1](y_bar),
        tuple(xs),
        tuple(x_dots),
    )[1]
    with pytest.raises(AssertionError):
        assert_within(right[0], held[0][0])
