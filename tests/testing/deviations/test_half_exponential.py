"""The recorded formula of exponentials of matrices in half formats: what torch computes, and not the exponential."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.half_exponential import by_coefficients_of_another_format
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs, within
from refgrad.tracing.ball import exact, parts

torch.set_num_threads(1)
A, DOT = np.array([[0.25, -0.5], [0.375, 0.125]]), np.array([[0.0625, 0.25], [-0.125, 0.03125]])


def given(dtype: str, a: np.ndarray, y_bar: np.ndarray | None = None) -> dict:
    fmt = FORMATS[dtype]
    y_bar = DOT if y_bar is None else y_bar
    x_dot = None if a.shape != DOT.shape else exact(DOT, fmt)
    inputs = Inputs(False, (exact(a, fmt),), {}, None if x_dot is None else exact(y_bar, fmt), (x_dot,), fmt)
    return by_coefficients_of_another_format(inputs)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("size", [2.0**-14, 0.03125, 0.25, 1.0, 2.0])
def test_torch_computes_the_formula_and_not_the_exponential(dtype: str, size: float) -> None:
    a = torch.tensor(A * size).to(getattr(torch, dtype)).requires_grad_()
    y = torch.linalg.matrix_exp(a)
    (a_bar,) = torch.autograd.grad(y, a, torch.tensor(DOT).to(a.dtype))
    found = given(dtype, A * size)
    for key, got in ((VALUE, y), (0, a_bar)):
        numbers = got.detach().double().numpy()
        for at in np.ndindex(2, 2):
            assert any(within(numbers[at], ball, at, 1.0) for ball in found[key]), (key, at)
    assert not np.allclose(y.detach().double().numpy(), rg.linalg.matrix_exp(A * size), rtol=0.25)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("size", [0.0, 0.03125, 0.25])
def test_the_gradient_of_the_gradient_with_respect_to_the_cotangent_has_a_formula_of_its_own(
    dtype: str, size: float
) -> None:
    y_bar = np.array([[0.5, -0.25], [0.125, 0.75]]) / 64
    as_dtype = getattr(torch, dtype)
    a, sent, x_dot = [torch.tensor(x).to(as_dtype).requires_grad_() for x in (A * size, y_bar, DOT)]
    (a_bar,) = torch.autograd.grad(torch.linalg.matrix_exp(a), a, sent, create_graph=True)
    (got,) = torch.autograd.grad(a_bar, sent, x_dot)
    transposed = given(dtype, A * size, y_bar)[TANGENT][2:]
    numbers = got.detach().double().numpy()
    for at in np.ndindex(2, 2):
        assert any(within(numbers[at], ball, at, 1.0) for ball in transposed), at


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_matrices_without_coefficients_are_right(dtype: str) -> None:
    for a in (A * 2.0**-27, A[:1, :1]):
        (value, _), *_ = [parts(ball) for ball in given(dtype, a)[VALUE]]
        np.testing.assert_allclose(np.asarray(value, float), rg.linalg.matrix_exp(a))


def test_modes_of_the_formula_disagree_where_their_directions_ask_for_different_degrees() -> None:
    found = given("bfloat16", A * 2.0**-14, y_bar=DOT * 2.0**-14)
    assert np.all(parts(found[0][0])[0] == 0)
    assert np.any(np.abs(parts(found[TANGENT][0])[0]) > 1)
