"""Products, norms, determinants, inverses and systems: rules against the third judge, and the points where they are awkward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import format_of
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.graph import Graph, Node
from refgrad.modes import FORWARD, VALUE
from refgrad.ops import contraction, dense_linalg, linalg, solving
from refgrad.testing import judge
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import AGREE, DISAGREE, IMPRECISE, UNDECIDED
from refgrad.tracing.ball import exact, parts
from tests.within import assert_within, balls_of, slopes

OPS = [
    linalg.matmul,
    linalg.tensordot,
    linalg.norm,
    contraction.einsum,
    solving.det,
    solving.cofactor,
    solving.logabsdet,
    solving.inv,
    solving.solve,
]
SEEDS = range(40)


def drawn(op, seed):
    """Operands from the op's own domain, with a function of them, tangents and a cotangent."""
    rng = np.random.default_rng([seed, *op.name.encode()])
    operands, params = op.domain.sample(rng, len(op.signature.operands))
    tangents = tuple(rng.standard_normal(np.shape(x)) for x in operands)
    y = op.forward(*operands, **params)
    return operands, params, tangents, rng.standard_normal(np.shape(y))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_derivatives_against_differences(op, seed):
    operands, params, tangents, y_bar = drawn(op, seed)

    def f(*xs):
        return op(*xs, **params)

    balls, x_dots, (y_bar_ball,) = (balls_of(arrays, "float64") for arrays in (operands, tangents, [y_bar]))
    y, y_dot = rg.jvp(f, balls, x_dots)
    assert parts(y_dot)[0].shape == parts(y)[0].shape
    expected, error = slopes(lambda *xs: op.forward(*xs, **params), operands, tangents)
    judged = assert_within(expected, y_dot, "tangent", error)
    x_bars = rg.vjp(f, *balls)[1](y_bar_ball)
    assert [parts(b)[0].shape for b in x_bars] == [x.shape for x in operands]
    for k in range(len(operands)):  # each operand alone
        alone = tuple(t if j == k else np.zeros_like(t) for j, t in enumerate(tangents))
        expected, error = slopes(lambda *xs: op.forward(*xs, **params), operands, alone)
        along = np.sum(x_bars[k] * x_dots[k])
        judged += assert_within(
            np.sum(expected * y_bar), along, f"cotangent {k}", np.sum(np.abs(y_bar) * error)
        )
    assert judged >= len(operands)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", range(20))
def test_second_derivatives(op, seed):
    operands, params, tangents, y_bar = drawn(op, seed)

    def pulled(y_bar, *xs):
        return rg.vjp(lambda *zs: op(*zs, **params), *xs)[1](y_bar)

    balls, x_dots, (y_bar_ball,) = (balls_of(arrays, "float64") for arrays in (operands, tangents, [y_bar]))
    _, second = rg.jvp(lambda *xs: pulled(y_bar_ball, *xs), balls, x_dots)
    # The Hessian of <y_bar, op> is symmetric.
    again = rg.vjp(lambda *xs: pulled(y_bar_ball, *xs), *balls)[1](x_dots)
    for k in range(len(operands)):
        expected, error = slopes(
            lambda *xs, k=k: pulled(y_bar.astype(np.longdouble), *xs)[k], operands, tangents
        )
        assert_within(expected, second[k], "forward over reverse", error)
        assert_within(expected, again[k], "reverse over reverse", error)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_dtype_is_kept(op, dtype):
    name, judged, elements = np.dtype(dtype).name, 0, 0
    for seed in range(12):
        operands, params, _, y_bar = drawn(op, seed)
        xs, y_bar = [x.astype(dtype) for x in operands], y_bar.astype(dtype)
        y, pullback = rg.vjp(lambda *zs: op(*zs, **params), *xs)  # noqa: B023
        y_ball, pullback_ball = rg.vjp(lambda *zs: op(*zs, **params), *balls_of(xs, name))  # noqa: B023
        x_bars, expected = pullback(y_bar), pullback_ball(*balls_of([y_bar], name))
        for got, ball in zip((y, *x_bars), (y_ball, *expected), strict=True):
            assert got.dtype == dtype
            judged += assert_within(got, ball, op.name)
            elements += got.size
    assert judged >= 0.9 * elements > 0  # a bound may be infinite near a singular matrix


# --- special points --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [*OPS], ids=lambda op: op.name)
def test_special_points(op):
    for special in op.special:
        operands, params = [np.asarray(x, float) for x in special.at], dict(special.params)
        value = op.forward(*operands, **params)
        np.testing.assert_allclose(value, special.value, rtol=1e-15)
        gradients = rg.vjp(lambda *xs: op(*xs, **params), *operands)[1](np.ones(np.shape(value)))  # noqa: B023
        tangents = [np.eye(x.size).reshape(x.size, *x.shape) for x in operands]
        for k, (allowed, gradient) in enumerate(zip(special.allowed, gradients, strict=True)):
            if allowed is not None:
                low, high = (np.asarray(a, float) for a in allowed)
                forward = [
                    np.sum(rg.jvp(lambda x: op(x, **params), (operands[k],), (t,))[1])  # noqa: B023
                    for t in tangents[k]
                ]
                forward = np.reshape(forward, gradient.shape)
                for g in (gradient, forward):
                    assert np.all((low - 1e-12 <= g) & (g <= high + 1e-12)), (op.name, special.why, g)


def test_det_of_singular_matrices_to_second_order():
    a = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])  # rank 2
    bounded = rg.grad(np.linalg.det)(*balls_of([a], "float64"))
    assert assert_within([[4, 4, -4], [-2, -2, 2], [0, 0, 0]], bounded, "cofactors") == 9
    assert assert_within(rg.grad(np.linalg.det)(a), bounded, "gradient") == 9
    a = np.diag([3.0, 0.0, 0.0])  # rank 1: no gradient, but det has second derivatives d2/da11 da22 = 3
    second = rg.hessian(np.linalg.det)(a)
    assert second[1, 1, 2, 2] == second[2, 2, 1, 1] == 3
    assert second[1, 2, 2, 1] == -3
    assert np.count_nonzero(second) == 4
    assert rg.grad(np.linalg.det)(np.zeros((0, 0))).shape == (0, 0)


@pytest.mark.parametrize("n", [2, 5, 9, 20])
def test_cofactor_is_the_adjugate_transposed(n):
    rng = np.random.default_rng(n)
    a = rng.standard_normal((3, n, n))
    a[1, -1] = a[1, 0]  # rank n - 1
    a[2, -2:] = 0  # rank n - 2
    (ball,) = balls_of([a], "float64")
    cofactors = solving.cofactor(ball)
    identity = ball @ np.swapaxes(cofactors, -1, -2) - solving.det(ball)[:, None, None] * np.eye(n)
    assert assert_within(np.zeros((3, n, n)), identity, "a adj(a) - det(a) I") == identity.value.size
    c, (value, radius) = dense_linalg.cofactor(a), parts(cofactors)
    assert_within(c, cofactors, "cofactor")
    assert np.any(np.abs(value[1]) > radius[1])  # of rank n - 1: some minor is certainly not 0
    assert np.all(c[2] == 0)


def test_cofactors_of_two_rows_are_the_elements_however_far_apart() -> None:
    assert dense_linalg.cofactor(np.array([[1e-19, -0.3], [-0.5, 1.0]])).tolist() == [
        [1.0, 0.5],
        [0.3, 1e-19],
    ]


def test_cofactor_above_the_size_of_minors():
    rng = np.random.default_rng(5)
    a, v, w = np.eye(10) + 0.2 * rng.standard_normal((3, 10, 10))
    balls = balls_of([a, v, w], "float64")
    _, got = rg.jvp(solving.cofactor, balls[:1], balls[1:2])
    expected, error = slopes(solving.cofactor.forward, (a,), (v,))
    assert assert_within(expected, got, "tangent", error) == a.size
    along = np.sum(rg.vjp(solving.cofactor, balls[0])[1](balls[2])[0] * balls[1])
    assert assert_within(np.sum(expected * w), along, "cotangent", np.sum(np.abs(w) * error)) == 1


def test_huge_and_tiny_vectors_have_unit_gradients():
    for scale in (1e-320, 1e-200, 1.0, 1e200, 1e308):
        x = np.array([0.6, 0.8]) * scale
        np.testing.assert_allclose(
            rg.grad(np.linalg.norm)(x), [0.6, 0.8], rtol=1e-3 if scale == 1e-320 else 1e-14
        )


def test_singular_matrices_are_refused_in_every_dtype():
    for dtype in (np.float32, np.float64, np.longdouble):
        with pytest.raises(np.linalg.LinAlgError):
            dense_linalg.inv(np.ones((2, 2), dtype))
        with pytest.raises(np.linalg.LinAlgError):
            dense_linalg.solve(np.ones((2, 2), dtype), np.ones(2, dtype))
    assert np.isnan(rg.grad(solving.logabsdet)(np.diag([1.0, 0.0]))).all()


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: linalg.matmul(np.ones((2, 3)), np.ones((2, 3))), ["matmul", "(2, 3)"]),
        (lambda: linalg.tensordot(np.ones((2, 3)), np.ones(2), axes=1), ["tensordot", "(2, 3)", "(2,)"]),
        (lambda: contraction.einsum(np.ones((2, 3)), np.ones(4), subscripts="ij,j"), ["'ij,j'", "(2, 3)", "(4,)"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="ijk->i"), ["'ijk'", "operand 0"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="ij,j->i"), ["2 operands", "got 1"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="ij->ik"), ["'k'", "no operand"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="ij->ii"), ["twice"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="i?->i"), ["'?'"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="i...->i"), ["'...'"]),
        (lambda: solving.det(np.ones((2, 3))), ["det", "(2, 3)"]),
        (lambda: solving.solve(np.ones((2, 2)), np.ones(3)), ["solve", "(3,)"]),
    ],
)  # fmt: skip
def test_errors_name_what_was_given(call, parts):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert all(part in str(caught.value) for part in parts), caught.value


def test_unsupported_norm_and_subscripts():
    with pytest.raises(NoRuleError, match="ord=0"):
        linalg.norm(np.ones(3), ord=0)
    with pytest.raises(NoRuleError, match="string"):
        contraction.einsum(np.ones(3), subscripts=[0])


# --- cost ------------------------------------------------------------------------------------------------------------


def test_matmul_rules_copy_nothing():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 5)), rng.standard_normal((5, 3))
    x1_bar, x2_bar = rg.vjp(np.matmul, a, b)[1](np.ones((4, 3)))
    np.testing.assert_array_equal(x1_bar, np.ones((4, 3)) @ b.T)
    np.testing.assert_array_equal(x2_bar, a.T @ np.ones((4, 3)))


CUSPS: dict[str, Callable[[Any], Any]] = {
    "norm": lambda x: np.linalg.norm(x - 1.0) ** 2,
    "norm over an axis": lambda x: np.sum(np.linalg.norm(np.reshape(x - 1.0, (1, 2)), axis=1) ** 2),
    "exp of a norm": lambda x: np.exp(-(np.linalg.norm(x - 1.0) ** 2)),
    "hypot": lambda x: np.hypot(x[0] - 1.0, x[1] - 1.0) ** 2,
    "std": lambda x: np.std(x) ** 2,
}


@pytest.mark.parametrize("name", CUSPS)
def test_second_derivatives_at_a_cusp_are_undefined_and_not_zero(name: str) -> None:
    f, x = CUSPS[name], np.ones(2)
    assert np.array_equal(rg.grad(f)(x), np.zeros(2))
    for second in (
        rg.jacfwd(rg.jacfwd(f)),
        rg.jacfwd(rg.grad(f)),
        rg.jacrev(rg.grad(f)),
        rg.jacrev(rg.jacfwd(f)),
    ):
        assert np.isnan(second(x)).any()
    beside = np.array([1.0, 1.5])
    assert np.isfinite(rg.hessian(f)(beside)).all()


# --- a tangent whose second product continues the sum of the first ----------------------------------------------------


def continued(a: Any, b: Any, a_dot: Any, b_dot: Any) -> Any:
    """dA B + A dB in float32, one product after the other, each of them rounded, and each sum."""
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for x, y in ((a_dot, b), (a, b_dot)):
        for j in range(x.shape[1]):
            total = total + x[:, j : j + 1] * y[j : j + 1]
    return total


def judged_tangent(factor: float) -> Any:
    """The verdict on the tangent of a product whose roundings all go down: (1 + 2^-12)^2 ends on a tie, and 5 products are lost."""
    small = np.float32(0.99 * 2.0**-24)
    one = np.float32(1 + 2.0**-12)
    a, b = np.full((1, 3), np.float32(1)), np.array([[one], [1], [1]], np.float32)
    a_dot, b_dot = np.array([[one, small, small]], np.float32), np.full((3, 1), small)
    graph = Graph()
    graph.nodes += [Node(name="a"), Node(name="b"), Node(op=linalg.matmul, of=(0, 1), params={})]
    graph.outputs = (2,)
    case = Case(
        "ops", graph, {"a": a, "b": b}, {"a": a_dot, "b": b_dot}, np.ones((1, 1), np.float32), "float32"
    )
    wide = [np.asarray(x, float) for x in (a, b, a @ b, a_dot, b_dot)]
    due = wide[3] @ wide[1] + wide[0] @ wide[4]
    got = due + factor * (continued(a, b, a_dot, b_dot) - due)
    seen = Observation(wide[:3], [None] * 3, [*wide[3:], got], {}, {})
    error = float(np.max(np.abs(got - due))) * 2.0**24
    return error, {v.mode: v for v in judge(case, seen, end_to_end=False)}[FORWARD]


def test_a_tangent_whose_second_product_continues_the_sum_of_the_first_is_imprecise() -> None:
    error, found = judged_tangent(1.0)
    assert 5.9 < error < 6.0  # roundings of 1; with each product summed alone there are at most 3 + 1
    assert found.status == IMPRECISE
    assert judged_tangent(0.5)[1].status == AGREE
    assert judged_tangent(1.25)[1].status == DISAGREE


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_of_three_factors_with_infinities_no_order_is_expected(dtype: str) -> None:
    """Row by row the sums are infinite, and so is their product with c; term by term infinities of both signs meet."""
    a = np.array([[1.2265625, 0.125, 0.0625], [0.25, 2.0, -1.25]])
    b, c = np.array([0.125, np.inf, -0.875]), np.array([np.inf, np.inf])
    fmt = format_of(dtype, "cpu")
    with np.errstate(all="ignore"):
        found = np.einsum("ij,j,i->", *[exact(x, fmt) for x in (a, b, c)])
    value, radius = parts(found)
    assert np.isnan(value)
    assert np.isinf(radius)


def judged_det(a, got):
    """The verdict on a determinant in float32."""
    graph = Graph()
    graph.nodes += [Node(name="a"), Node(op=solving.det, of=(0,), params={})]
    graph.outputs = (1,)
    one = np.ones((), np.float32)
    case = Case("ops", graph, {"a": a}, {"a": np.ones_like(a)}, one, "float32")
    seen = Observation([a.astype(float), np.array(float(got))], [None] * 2, [None] * 2, {}, {})
    return {v.mode: v for v in judge(case, seen, end_to_end=False)}[VALUE].status


def test_a_determinant_by_products_cancels_where_elimination_does_not() -> None:
    """Met in JAX: of three equal rows elimination returns 0, the six products of textbooks leave what their roundings are."""
    p, q, r = row = np.array([0.1257302165031433, -0.13210485875606537, 0.6404226422309875], np.float32)
    a = np.tile(row, (3, 1))
    products = (p * q) * r + (q * r) * p + (r * p) * q - (r * q) * p - (p * r) * q - (q * p) * r
    assert products != 0
    assert np.linalg.det(a) == 0
    assert judged_det(a, 0.0) == UNDECIDED  # no digit of 0 can be right
    assert judged_det(a, products) == IMPRECISE
    reach = parts(solving.det.usual[0].of(solving.det)(exact(a.astype(float), format_of("float32"))))[1]
    assert reach < 1e-7
    assert judged_det(a, 1.01 * reach) == DISAGREE
    assert judged_det(a, p * q * r) == DISAGREE  # one product is forgotten


def test_larger_matrices_are_eliminated() -> None:
    a = exact(np.random.default_rng(0).standard_normal((4, 4)), format_of("float32"))
    own, other = solving.det(a), solving.det.usual[0].of(solving.det)(a)
    assert [x.tolist() for x in parts(own)] == [x.tolist() for x in parts(other)]


@pytest.mark.parametrize("n", [3, 20, 130])
@pytest.mark.parametrize("complete", [False, True])
def test_factors_are_those_of_the_matrix_also_where_they_are_kept(n: int, complete: bool) -> None:
    """Of small matrices many factors are kept, of larger ones a few, of the largest none; a matrix that is written to has others."""
    a = np.random.default_rng(n).standard_normal((n, n))
    for _ in range(3):
        factors, rows, columns, _ = dense_linalg.lu(a, complete)
        low, upper = np.tril(factors, -1) + np.eye(n), np.triu(factors)
        gap = np.abs(low @ upper - a[rows][:, columns])
        assert np.all(gap <= 2 * n * np.finfo(float).eps * (np.abs(low) @ np.abs(upper)))
        a[0, 0] += 1
