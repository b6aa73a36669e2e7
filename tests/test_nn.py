"""Functions of neural networks: values by their definitions, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, DtypeError
from refgrad.numeric import differences
from refgrad.tracing.ball import exact, parts

FLOAT64 = FORMATS["float64"]
LABELS = np.array([2, 0, 1, 2])
SIGNS = np.array([[1, -1, 1], [-1, -1, 1], [1, 1, -1], [1, -1, -1]])
WEIGHT = np.random.default_rng(5).standard_normal((2, 3))
TARGET = np.random.default_rng(6).standard_normal((4, 3))

FUNCTIONS = {
    "sigmoid": nn.sigmoid,
    "log_sigmoid": nn.log_sigmoid,
    "softplus": nn.softplus,
    "softplus with a threshold": lambda x: nn.softplus(x, threshold=20.0),
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),
    "elu": lambda x: nn.elu(x, 1.5),
    "selu": nn.selu,
    "silu": nn.silu,
    "gelu_tanh": nn.gelu_tanh,
    "relu6": lambda x: nn.relu6(5 * x),
    "hardtanh": lambda x: nn.hardtanh(3 * x),
    "hardsigmoid": lambda x: nn.hardsigmoid(4 * x),
    "hardswish": lambda x: nn.hardswish(4 * x),
    "hardshrink": nn.hardshrink,
    "softshrink": nn.softshrink,
    "mish": nn.mish,
    "softsign": nn.softsign,
    "tanhshrink": nn.tanhshrink,
    "logit": lambda x: nn.logit(nn.sigmoid(x)),
    "entr": lambda x: nn.entr(np.exp(x)),
    "xlogy": lambda x: nn.xlogy(x, np.exp(x)),
    "xlog1py": lambda x: nn.xlog1py(x, np.square(x)),
    "maxout": lambda x: nn.maxout(x, 3),
    "maxout along the first axis": lambda x: nn.maxout(x, 2, axis=0),
    "softmax": nn.softmax,
    "softmax along the first axis": lambda x: nn.softmax(x, axis=0),
    "log_softmax": nn.log_softmax,
    "logsumexp": lambda x: nn.logsumexp(x, axis=-1, keepdims=True),
    "logsumexp of all": nn.logsumexp,
    "linear": lambda x: nn.linear(x, np.asarray(WEIGHT, x.dtype), np.ones(2, x.dtype)),
    "linear in its weight": lambda x: nn.linear(np.ones((5, 3), x.dtype), x),
    "mean_squared_error": lambda x: nn.mean_squared_error(x, np.asarray(TARGET, x.dtype)),
    "cross_entropy": lambda x: nn.cross_entropy(x, LABELS),
    "cross_entropy, sum": lambda x: nn.cross_entropy(x, LABELS, reduction="sum"),
    "cross_entropy, each": lambda x: nn.cross_entropy(x, LABELS, reduction="none"),
    "kl_divergence": lambda x: nn.kl_divergence(x, np.exp(2 * x)),
    "hinge": lambda x: nn.hinge(x, SIGNS),
    "multiclass_hinge": lambda x: nn.multiclass_hinge(x, LABELS, margin=0.7),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_against_differences(name):
    f = FUNCTIONS[name]
    rng = np.random.default_rng(len(name))
    for _ in range(6):
        # No ties, and not near 0.
        x = 0.2 * rng.permutation(np.arange(-6, 6)).reshape(4, 3) + rng.uniform(0.05, 0.1, (4, 3))
        x_dot = rng.standard_normal(x.shape)
        expected, error = differences(f, (x,), (x_dot,), step=2.0**-9)
        ball, ball_dot = rg.jvp(f, (exact(x, FLOAT64),), (exact(x_dot, FLOAT64),))
        value, radius = parts(ball_dot)
        noise = np.finfo(np.longdouble).eps * 2.0**16 * np.max(np.abs(parts(ball)[0]), initial=1.0)
        room = radius + 4 * error + noise + FLOAT64.u * np.abs(expected)
        assert np.all(np.abs(value - expected) <= room)
        y_bar = rng.standard_normal(expected.shape)
        (x_bar,) = rg.vjp(f, x)[1](y_bar)
        assert x_bar.shape == x.shape
        bound = np.sum(np.abs(y_bar) * room) + 64 * FLOAT64.u * np.sum(np.abs(x_bar * x_dot))
        assert abs(np.sum(x_bar * x_dot) - np.sum(y_bar * expected)) <= bound


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtype_is_kept(name, dtype):
    x = np.linspace(-1, 1, 12).reshape(4, 3).astype(dtype)
    assert FUNCTIONS[name](x).dtype == dtype
    y_bar = np.ones(np.shape(FUNCTIONS[name](x)), dtype)
    assert rg.vjp(FUNCTIONS[name], x)[1](y_bar)[0].dtype == dtype


def same(a, b):
    return np.all(np.abs(np.subtract(a, b)) <= 16 * FLOAT64.u * np.maximum(np.abs(b), 1.0))


def test_values_by_definition():
    x = np.random.default_rng(0).uniform(-3, 3, (4, 3))
    probability = np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)
    own = x[np.arange(4), LABELS]
    assert same(nn.sigmoid(x), 1 / (1 + np.exp(-x)))
    assert same(nn.log_sigmoid(x), -np.log(1 + np.exp(-x)))
    assert same(nn.softplus(x), np.log(1 + np.exp(x)))
    assert same(nn.relu(x), np.where(x > 0, x, 0))
    assert same(nn.leaky_relu(x), np.where(x > 0, x, 0.01 * x))
    assert same(nn.elu(x), np.where(x > 0, x, np.exp(x) - 1))
    assert same(nn.silu(x), x / (1 + np.exp(-x)))
    assert same(nn.relu6(4 * x), np.clip(4 * x, 0, 6))
    assert same(nn.hardtanh(x), np.clip(x, -1, 1))
    assert same(nn.hardsigmoid(2 * x), np.clip(2 * x + 3, 0, 6) / 6)
    assert same(nn.hardswish(2 * x), 2 * x * np.clip(2 * x + 3, 0, 6) / 6)
    assert same(nn.hardshrink(x, 1.0), np.where(np.abs(x) > 1, x, 0))
    assert same(nn.softshrink(x, 1.0), np.sign(x) * np.maximum(np.abs(x) - 1, 0))
    assert same(nn.mish(x), x * np.tanh(np.log1p(np.exp(x))))
    assert same(nn.softsign(x), x / (1 + np.abs(x)))
    assert same(nn.tanhshrink(x), x - np.tanh(x))
    assert same(nn.gelu_tanh(x), x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
    assert same(nn.logit(nn.sigmoid(x)), x)
    assert same(nn.entr(probability), -probability * np.log(probability))
    assert same(nn.xlogy(x, probability), x * np.log(probability))
    assert same(nn.xlog1py(x, probability), x * np.log1p(probability))
    assert same(nn.softmax(x), probability)
    assert same(nn.log_softmax(x), np.log(probability))
    assert same(nn.logsumexp(x), np.log(np.sum(np.exp(x))))
    assert same(nn.maxout(x, 3), np.max(x, axis=-1, keepdims=True))
    assert same(nn.linear(x, WEIGHT, np.ones(2)), x @ WEIGHT.T + 1)
    assert same(nn.mean_squared_error(x, TARGET), np.mean((x - TARGET) ** 2))
    assert same(nn.cross_entropy(x, LABELS), -np.mean(np.log(probability[np.arange(4), LABELS])))
    assert same(
        nn.kl_divergence(np.log(probability), np.full((4, 3), 1 / 3)), -np.sum(np.log(3 * probability)) / 3
    )
    assert same(nn.hinge(x, SIGNS, reduction="none"), np.maximum(0, 1 - SIGNS * x))
    assert same(
        nn.multiclass_hinge(x, LABELS), np.mean(np.sum(np.maximum(0, x - own[:, None] + 1), axis=1) - 1)
    )


def test_selu_keeps_mean_and_variance():
    # The fixed point that defines the constants: mean 0, variance 1 for a standard normal x. Gauss-Hermite quadrature.
    x, weight = np.polynomial.hermite_e.hermegauss(180)
    y, weight = nn.selu(x), weight / np.sum(weight)
    assert abs(np.sum(weight * y)) < 0.01  # the quadrature's error at the kink
    assert abs(np.sum(weight * y * y) - 1) < 0.01


def test_labels_of_any_shape_and_no_samples():
    x = np.random.default_rng(1).standard_normal((2, 3, 5))
    labels = np.array([[0, 1, 4], [2, 2, 3]])
    each = nn.cross_entropy(x, labels, reduction="none")
    assert each.shape == (2, 3)
    assert same(each[1, 2], nn.cross_entropy(x[1, 2], 3))
    assert nn.cross_entropy(np.zeros((0, 5)), np.zeros(0, int), reduction="sum") == 0
    assert nn.multiclass_hinge(np.zeros((0, 5)), np.zeros(0, int), reduction="none").shape == (0,)


def test_softplus_beyond_its_threshold_is_the_identity():
    x = np.array([19.9, 20.0, 20.1, 700.0])
    assert np.array_equal(nn.softplus(x, threshold=20.0) == x, [False, False, True, True])
    slope = rg.vjp(lambda z: nn.softplus(z, threshold=20.0), x)[1](np.ones(4))[0]
    assert np.array_equal(slope == 1, [False, False, True, True])
    assert nn.softplus(20.1) > 20.1


def test_a_factor_zero_wins_over_an_infinite_logarithm():
    assert nn.xlogy(0.0, 0.0) == nn.xlog1py(0.0, -1.0) == nn.entr(0.0) == 0
    assert rg.grad(nn.xlogy, 1)(0.0, 0.0) == rg.grad(nn.xlog1py, 1)(0.0, -1.0) == 0
    assert np.isnan(nn.xlogy(0.0, np.nan))
    assert nn.kl_divergence(-1.0, 0.0) == 0
    with np.errstate(divide="ignore"):
        assert rg.grad(nn.kl_divergence, 1)(-1.0, 0.0) == -np.inf


def test_divergences_of_unequal_shapes_are_refused():
    with pytest.raises(ArgumentError, match=r"log_probability has shape \(2,\), target has \(1,\)"):
        nn.kl_divergence(np.zeros(2), np.ones(1))


def test_smooth_activations_far_from_0_and_near_it():
    assert np.array_equal(nn.softsign(np.array([-np.inf, np.inf])), [-1, 1])
    assert rg.grad(nn.softsign)(1e100) == 1e-200
    assert rg.grad(nn.gelu_tanh)(1e300) == rg.grad(nn.mish)(1e300) == 1
    assert rg.grad(nn.gelu_tanh)(-1e300) == rg.grad(nn.mish)(-1e300) == nn.gelu_tanh(-1e300) == 0
    assert abs(nn.tanhshrink(1e-5) / (1e-15 / 3) - 1) < 1e-10  # x^2 times 2/5
    assert rg.grad(nn.tanhshrink)(1e-100) == np.tanh(1e-100) ** 2


def test_pieces_beyond_their_kinks_are_exact():
    assert nn.hardswish(-np.inf) == 0
    assert nn.hardswish(1e308) == 1e308
    assert rg.grad(lambda x: nn.hardshrink(x, 0.0))(0.0) == rg.grad(lambda x: nn.softshrink(x, 0.0))(0.0) == 1


def test_conventions_at_kinks():
    assert rg.grad(nn.relu6)(6.0) == rg.grad(nn.hardtanh)(-1.0) == rg.grad(nn.softshrink)(0.5) == 0.5
    assert abs(rg.grad(nn.hardsigmoid)(3.0) - 1 / 12) < FLOAT64.u
    assert rg.grad(nn.relu)(0.0) == 0
    assert rg.grad(lambda x: nn.leaky_relu(x, 0.25))(0.0) == 0.25
    assert rg.grad(lambda x: nn.elu(x, 3.0))(0.0) == 3
    assert rg.grad(lambda x: nn.hinge(x, np.array(1)))(1.0) == 0
    assert np.array_equal(
        rg.grad(lambda x: np.sum(nn.maxout(x, 2)))(np.array([2.0, 2.0, 3.0, 1.0])), [0.5, 0.5, 1.0, 0.0]
    )


def test_numbers_and_integers_are_taken():
    assert nn.sigmoid(0) == 0.5
    assert nn.relu([-1, 2]).tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: nn.maxout(np.zeros((2, 5)), 2), ArgumentError, "pieces=2"),
        (lambda: nn.maxout(np.zeros((2, 5)), 0), ArgumentError, "pieces=0"),
        (lambda: nn.maxout(np.zeros((2, 4)), 2, axis=2), ArgumentError, "axis 2"),
        (lambda: nn.linear(np.zeros((2, 5)), np.zeros((5, 3))), ArgumentError, r"\(2, 5\) and \(5, 3\)"),
        (
            lambda: nn.linear(np.zeros((2, 5)), np.zeros((3, 5)), np.zeros(5)),
            ArgumentError,
            r"bias must have shape \(3,\)",
        ),
        (lambda: nn.mean_squared_error(np.zeros(3), np.zeros((3, 1))), ArgumentError, "must be equal"),
        (lambda: nn.mean_squared_error(np.zeros(3), np.zeros(3), reduction="max"), ArgumentError, "'max'"),
        (
            lambda: nn.cross_entropy(np.zeros((2, 3)), np.zeros(2, int), np.ones(3)),
            ArgumentError,
            "got array",
        ),
        (lambda: nn.cross_entropy(np.zeros((3, 2)), np.zeros(2, int)), ArgumentError, r"\(3, 2\) and \(2,\)"),
        (lambda: nn.cross_entropy(np.zeros((3, 2)), np.array([0, 1, 2])), ArgumentError, "0 ... 1"),
        (lambda: nn.cross_entropy(np.zeros((3, 2)), np.array([0, 1, -1])), ArgumentError, "got -1"),
        (lambda: nn.cross_entropy(np.zeros((3, 2)), np.zeros(3)), DtypeError, "float64"),
        (lambda: nn.hinge(np.zeros(3), np.zeros(2)), ArgumentError, "must be equal"),
        (lambda: nn.hinge(np.zeros(3), np.array([0, 1, 1])), ArgumentError, "multiclass_hinge"),
        (lambda: nn.sigmoid(np.zeros(3, complex)), DtypeError, "complex128"),
    ],
)
def test_errors_name_what_was_given(call, error, says):
    with pytest.raises(error, match=says):
        call()
