"""The recorded second derivatives of powers are those that torch gives, in each mode, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.power_formulas import POWER_FORMULAS
from refgrad.testing.deviations.recorded_formula import Inputs
from refgrad.tracing.ball import exact, parts

torch = pytest.importorskip("torch")

FMT = FORMATS["float64"]
FORMULA = POWER_FORMULAS["power with its mask held"]
CASES = {  # bases, exponents and their tangents
    "numbers": ([1.5], [0.0], [0.7], [-0.4]),
    "arrays": ([1.5, 2.0, 3.0], [0.0, 2.0, -0.0], [0.7, 0.2, 1.1], [-0.4, 0.3, 0.9]),
    "one base": ([1.5], [0.0, 2.0, 0.5], [0.7], [-0.4, 0.3, 0.9]),
    "one exponent": ([1.5, 0.25], [0.0], [0.7, 0.1], [-0.4]),
}


def of_torch(a: Any, b: Any, y_bar: Any, a_dot: Any, b_dot: Any) -> list[tuple[Any, ...]]:
    """Forward over reverse, reverse over reverse, reverse over forward."""
    a, b, y_bar, a_dot, b_dot = map(torch.tensor, (a, b, y_bar, a_dot, b_dot))
    forward = torch.func.jvp(lambda p, q: torch.func.vjp(torch.pow, p, q)[1](y_bar), (a, b), (a_dot, b_dot))[
        1
    ]
    x, y = a.clone().requires_grad_(), b.clone().requires_grad_()
    gradients = torch.autograd.grad(x**y, (x, y), y_bar, create_graph=True)
    reverse = torch.autograd.grad(gradients, (x, y), (a_dot, b_dot))
    dual = torch.autograd.forward_ad
    with dual.dual_level():
        tangent = dual.unpack_dual(dual.make_dual(x, a_dot) ** dual.make_dual(y, b_dot)).tangent
        mixed = torch.autograd.grad(tangent, (x, y), y_bar)
    return [forward, reverse, mixed]


@pytest.mark.parametrize("name", CASES)
def test_torch_holds_the_mask(name: str) -> None:
    arrays = [np.array(x) for x in CASES[name]]
    y_bar = np.broadcast_to(1.3, np.broadcast_shapes(*[x.shape for x in arrays])) + 0.0
    a, b, a_dot, b_dot = (exact(x, FMT) for x in arrays)
    found = FORMULA(Inputs(True, (a, b), {}, exact(y_bar, FMT), (a_dot, b_dot), FMT))
    given = of_torch(*arrays[:2], y_bar, *arrays[2:])
    for mode, gradients in enumerate(given):
        for k, got in enumerate(gradients):
            value, radius = parts(found[k][min(mode, 1)])
            assert np.all(np.abs(got.numpy() - value) <= radius + FMT.u * np.abs(value)), (mode, k)
    forward, reverse = (np.concatenate([parts(found[k][mode])[0].ravel() for k in (0, 1)]) for mode in (0, 1))
    assert np.max(np.abs(forward - reverse)) > 0.01, "the two lose another part"


def test_first_derivatives_are_not_told() -> None:
    x = exact(np.array([1.5]), FMT)
    assert FORMULA(Inputs(False, (x, x), {}, x, (x, x), FMT)) == {}
    assert FORMULA(Inputs(True, (x, x), {}, x, (x, None), FMT)) == {}
