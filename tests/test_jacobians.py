"""jacfwd, jacrev, hessian, hvp: shapes of single results and arguments. Structures, argnums and errors: test_transforms.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad import hessian, hvp, jacfwd, jacrev

X = np.array([0.5, -1.0, 2.0])
W = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize("jac", [jacfwd, jacrev])
def test_jacobians_have_output_then_argument_axes(jac: Callable[..., Any]) -> None:
    x = np.arange(1.0, 7.0).reshape(2, 3)
    jacobian = jac(lambda x: np.stack([x[0] * x[1], x[0] ** 2, x[1], x[0] * 0]))(x)
    assert jacobian.shape == (4, 3, 2, 3)
    expected = np.zeros((4, 3, 2, 3))
    for k in range(3):
        expected[0, k, 0, k], expected[0, k, 1, k] = x[1, k], x[0, k]
        expected[1, k, 0, k], expected[2, k, 1, k] = 2 * x[0, k], 1
    assert np.array_equal(jacobian, expected)


def test_hessian_and_hvp() -> None:
    f = lambda x: np.sum(x[:-1] * x[1:] ** 2)  # noqa: E731
    expected = np.array([[0, 2 * X[1], 0], [2 * X[1], 2 * X[0], 2 * X[2]], [0, 2 * X[2], 2 * X[1]]])
    assert np.array_equal(hessian(f)(X), expected)
    v = np.array([1.0, 2.0, -3.0])
    assert np.array_equal(hvp(f, (X,), (v,))[0], expected @ v)


def test_hessian_of_a_vector_function_has_three_axes() -> None:
    h = hessian(lambda x: x**3)(X)
    expected = np.zeros((3, 3, 3))
    for k in range(3):
        expected[k, k, k] = 6 * X[k]
    assert np.array_equal(h, expected)


def test_hessian_over_several_arguments_has_blocks() -> None:
    (aa, ab), (ba, bb) = hessian(lambda a, b: a**2 * b, argnums=(0, 1))(3.0, 5.0)
    assert (aa, ab, ba, bb) == (10.0, 6.0, 6.0, 0.0)
