"""Complex operands: every op that takes them against the third judge, in both modes, at second order; all others refuse them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import DtypeError, NoRuleError, OperandError
from refgrad.op import REGISTRY, register
from refgrad.op.traits import HOLOMORPHIC
from refgrad.ops import dense_linalg
from tests.complex_judge import directions, judge, judge_second

Z = np.array([[0.6 + 0.9j, -1.3 + 0.4j, 0.2 - 0.7j], [1.1 - 0.3j, -0.5 - 1.2j, 0.8 + 0.1j]])
W = np.array([[1.4 - 0.2j, 0.3 + 0.8j, -0.9 + 0.5j], [0.7 + 1.1j, 1.2 + 0.6j, -0.4 - 0.9j]])
X = np.array([[0.7, -1.2, 0.4], [1.3, 0.9, -0.6]])
S = np.array([[2.0 + 0.3j, 0.4 - 0.6j, 0.1j], [-0.3 + 0.2j, 1.5 - 0.8j, 0.5], [0.2 - 0.4j, 0.6j, 1.8 + 0.5j]])

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in (
        "negative", "positive", "square", "sqrt", "reciprocal", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos",
        "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "conjugate", "absolute", "sign",
        "real", "imag", "angle",
    )},
    **{f"z ** {n}": lambda z, n=n: z**n for n in (1, 2, 3, -1, 0.5, 1.5 - 0.4j)}, "2 ** z": lambda z: 2.0**z, "1j ** z": lambda z: 1j**z,
    "z.real": lambda z: z.real * z.imag, "astype": lambda z: z.astype(np.complex128) * z,
}  # fmt: skip
TOGETHER: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("add", "subtract", "multiply", "divide", "power")},
    "where": lambda z, w: np.where(z.real > 0, z, w), "matmul": lambda z, w: z @ w.T,
    "einsum": lambda z, w: np.einsum("ij,kj,ij->ki", z, w, z),
    "tensordot": lambda z, w: np.tensordot(z, w, axes=((1,), (1,))), "vdot": np.vdot, "vecdot": np.linalg.vecdot,
    "dot": lambda z, w: z.dot(w.T),
    "inner": np.inner, "outer": np.outer, "kron": np.kron, "concatenate": lambda z, w: np.concatenate([z, w * z], 1),
    "correlate": lambda z, w: np.correlate(z[0], w[1], "full"), "convolve": lambda z, w: np.convolve(z[0], w[1]),
    "cross": np.cross, "broadcast": lambda z, w: z[:, :1] * w + z[0],
}  # fmt: skip
WHOLE: dict[str, Callable[..., Any]] = {
    "sum": np.sum, "mean": lambda z: np.mean(z, 1), "prod": np.prod, "cumsum": np.cumsum, "cumprod": lambda z: np.cumprod(z, 1),
    "var": lambda z: np.var(z, 0), "std": np.std, "norm": np.linalg.norm, "norm of rows": lambda z: np.linalg.norm(z, 3, axis=1),
    "getitem": lambda z: z[[0, 1, 0], [2, 2, 2]] * z[1], "reshape": lambda z: z.reshape(3, 2).T * 1j, "roll": lambda z: np.roll(z, 1) * z,
    "flip": lambda z: np.flip(z) * z, "pad": lambda z: np.pad(z, 1), "transpose": lambda z: z.conj().T @ z,
    "broadcast_to": lambda z: np.broadcast_to(z[0], (4, 3)) * z[1], "cov": np.cov, "corrcoef": np.corrcoef,
    "gradient": lambda z: np.gradient(z, axis=1), "trace": lambda z: np.trace(z @ z.T), "diff": np.diff, "tile": lambda z: np.tile(z, 2),
}  # fmt: skip
LINALG: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "det": (np.linalg.det, dense_linalg.det), "inv": (np.linalg.inv, dense_linalg.inv),
    "solve": (lambda s: np.linalg.solve(s, s[0] * 1j), lambda s: dense_linalg.solve(s, s[0] * 1j)),
    "matrix_power": (lambda s: np.linalg.matrix_power(s, 3), lambda s: s @ s @ s),
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_op(name: str) -> None:
    judge(ELEMENTWISE[name], (Z,))
    judge_second(ELEMENTWISE[name], (Z,))


@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.parametrize("kinds", ["complex", "real first", "real last"])
def test_an_op_of_two_operands(name: str, kinds: str) -> None:
    first, second = (X if kinds == "real first" else Z), (X + 0.2 if kinds == "real last" else W)
    if name == "power" and kinds == "real first":
        first = np.abs(X)  # a negative base is a real NaN to NumPy for a broken exponent alone
    judge(TOGETHER[name], (first, second))
    judge_second(TOGETHER[name], (first, second))


@pytest.mark.parametrize("name", WHOLE)
def test_an_op_of_an_array(name: str) -> None:
    judge(WHOLE[name], (Z,))
    judge_second(WHOLE[name], (Z,))


@pytest.mark.parametrize("name", LINALG)
def test_linear_algebra(name: str) -> None:
    f, plain = LINALG[name]
    judge(f, (S,), plain=plain)
    judge_second(f, (S,))


def test_a_cholesky_factor() -> None:
    def f(s: Any) -> Any:
        return np.linalg.cholesky(s @ np.conjugate(s.T) + np.eye(3))

    y, y_dot = rg.jvp(f, (S,), tuple(directions([S])))
    np.testing.assert_allclose(y, f(S), rtol=1e-12)
    h = 1e-6
    np.testing.assert_allclose(
        y_dot, (f(S + h * directions([S])[0]) - f(S - h * directions([S])[0])) / (2 * h), rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize(
    ("real", "complex_"), [("float32", "complex64"), ("float64", "complex128"), ("longdouble", "clongdouble")]
)
def test_precision_is_kept(real: str, complex_: str) -> None:
    x, z = X.astype(real), Z.astype(complex_)
    assert rg.grad(lambda x: np.sum(np.abs(np.exp(1j * x) + x)))(x).dtype == real
    assert rg.grad(lambda z: np.sum(np.abs(np.tanh(z) * np.arcsinh(z) / z**3)))(z).dtype == complex_
    y, pullback = rg.vjp(lambda x, z: np.fft.fft(x) * z, x, z)
    assert [y.dtype, *[b.dtype for b in pullback(np.ones_like(y))]] == [complex_, real, complex_]
    assert rg.jvp(lambda z: np.abs(z) + z.imag, (z,), (z,))[1].dtype == real


def test_the_convention_is_that_of_torch() -> None:
    """dL/da + i dL/db: the direction of steepest ascent."""
    np.testing.assert_allclose(rg.grad(lambda z: np.sum(np.abs(z) ** 2))(Z), 2 * Z)
    np.testing.assert_allclose(rg.grad(lambda z: np.sum(z.imag))(Z), np.full(Z.shape, 1j))
    np.testing.assert_allclose(rg.vjp(np.exp, Z)[1](W)[0], W * np.conjugate(np.exp(Z)))


def test_cotangents_that_leave_the_range_return() -> None:
    z = np.array([-400.0 + 1j, -300.0 - 2j])
    g = rg.grad(lambda z: np.sum(np.log(np.exp(z) ** 2 * 1e300).real))(z)
    np.testing.assert_allclose(g[1], 2.0 + 0j, rtol=1e-12)


# --- at 0, far out --------------------------------------------------------------------------------------------------------


def test_zero() -> None:
    zero = np.zeros(2, complex)
    for f in (np.abs, np.linalg.norm, np.square, lambda z: z**2, lambda z: z**3):
        _, pullback = rg.vjp(f, zero)
        np.testing.assert_array_equal(pullback(np.ones_like(f(zero)))[0], 0)
    assert rg.grad(lambda z: np.sum((z**1).real))(zero).tolist() == [1, 1]
    assert rg.grad(lambda z: np.sum((z**0).real))(zero).tolist() == [0, 0]
    assert rg.grad(lambda p: np.power(0j, p).real)(2.5) == 0


def test_rounded_parts_are_constants() -> None:
    np.testing.assert_allclose(rg.jvp(lambda z: z * np.rint(3 * z), (Z,), (W,))[1], W * np.rint(3 * Z))


def test_far_from_the_real_axis() -> None:
    z = np.array([400.0 + 1j, -800.0 + 2j, 1.0 + 400j, 0.3 - 900j])
    for f, slope in (
        (np.tanh, lambda z: 4 * np.exp(-2 * np.sign(z.real) * z)),
        (np.tan, lambda z: 4 * np.exp(2j * np.sign(z.imag) * z)),
    ):
        _, y_dot = rg.jvp(f, (z,), (np.ones_like(z),))
        far = np.abs(z.real if f is np.tanh else z.imag) > 300
        np.testing.assert_allclose(y_dot[far], slope(z)[far], rtol=1e-12)
    assert np.all(np.isfinite(rg.jvp(np.arcsinh, (z * 1e200,), (z,))[1]))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0)])
def test_scalars_and_empty_arrays(shape: tuple[int, ...]) -> None:
    z = np.full(shape, 0.5 - 1.5j)
    g = rg.grad(lambda z: np.sum(np.abs(np.exp(z) * z.real)))(z if shape else z[()])
    assert g.shape == shape
    assert g.dtype == complex


# --- what is refused ------------------------------------------------------------------------------------------------------


def takes_complex(op: Any) -> bool:
    """Whether NumPy computes the op of complex operands."""
    operands = (Z,) * (2 if op.signature.variadic else len(op.signature.operands))
    try:
        with np.errstate(all="ignore"):
            return bool(np.asarray(op.forward(*operands)).dtype.kind in "fc")
    except Exception:  # noqa: BLE001 - whatever NumPy raises
        return False


@pytest.mark.parametrize(
    "name", [name for name, op in REGISTRY.items() if op.complex_rules is None and takes_complex(op)]
)
@pytest.mark.filterwarnings("ignore")
def test_every_other_op_refuses_complex_operands(name: str) -> None:
    op = REGISTRY[name]
    operands = (Z,) * (2 if op.signature.variadic else len(op.signature.operands))
    for position in range(len(operands)):

        def f(z: Any, position: int = position) -> Any:
            return op(*operands[:position], z, *operands[position + 1 :])

        for run in (lambda f=f: rg.vjp(f, Z), lambda f=f: rg.jvp(f, (Z,), (Z,))):
            with pytest.raises(
                (NoRuleError, OperandError, DtypeError, TypeError), match=r"complex|met|ufunc"
            ):
                run()


def test_the_refused_ops_are_those_without_a_complex_derivative() -> None:
    refused = {name for name, op in REGISTRY.items() if op.complex_rules is None and takes_complex(op)}
    assert refused >= {"maximum", "minimum", "max", "min", "sort", "fmax"}
    assert not refused & {"add", "exp", "matmul", "abs", "sum"}


@pytest.mark.parametrize(
    "mode", [lambda f: rg.grad(f)(X), lambda f: rg.jvp(f, (X,), (X,))], ids=["reverse", "forward"]
)
def test_a_real_array_beside_a_complex_constant_is_refused_too(mode: Any) -> None:
    with pytest.raises(NoRuleError, match="op 'maximum' met complex operands"):
        mode(lambda x: np.sum(np.maximum(x, 1j).real))


def test_an_op_of_a_user_that_says_nothing_is_refused() -> None:
    ops: dict[str, dict[str, Any]] = {"complex_silent": {}, "complex_wrong": {"complex_rules": HOLOMORPHIC}}
    for name, fields in ops.items():
        op = register(
            name, lambda x1, x2: np.abs(x1 - x2), jvp={"x1": lambda x1_dot: x1_dot, "x2": lambda x2_dot: x2_dot},
            vjp={"x1": lambda y_bar: y_bar, "x2": lambda y_bar: -y_bar}, rounding=lambda run: None, broadcasts=True, **fields,
        )  # fmt: skip
        try:
            with pytest.raises(NoRuleError, match=f"op '{name}' met complex operands"):
                rg.grad(lambda z, op=op: np.sum(op(np.ones(2), z)))(Z[0, :2])
            with pytest.raises(NoRuleError, match=f"op '{name}' met complex operands"):
                rg.vjp(lambda x, z, op=op: op(x, z), X, Z)
        finally:
            del REGISTRY[name]


def test_rules_that_lose_half_are_found() -> None:
    """An op whose rule gives a complex tangent for a real value."""
    op = register(
        "complex_half", lambda x: x, jvp=lambda x_dot: x_dot * 1j, vjp=lambda y_bar: y_bar * 1j, rounding=lambda run: None
    )  # fmt: skip
    try:
        for run in (lambda: rg.grad(lambda x: np.sum(op(x)))(X), lambda: rg.jvp(op, (X,), (X,))):
            with pytest.raises(
                DtypeError, match="'complex_half': a rule gave a tangent or cotangent of dtype complex128"
            ):
                run()
    finally:
        del REGISTRY["complex_half"]


# --- in place and through views ---------------------------------------------------------------------------------------------


def written(z: Any) -> Any:
    y = z * 1
    before = y.real
    y[0] = y[1] * 1j
    y.real = y.imag**2
    y.imag = y.imag + 1.0
    return np.sum(np.abs(y) ** 2 * before)


def test_writes_to_parts() -> None:
    judge(written, (Z,))
    with pytest.raises(NoRuleError, match=r"Assign the whole part \(z.real = y\)"):
        rg.grad(lambda z: np.sum(np.multiply(z, 1).real.__setitem__(0, 1.0)))(Z)
    with pytest.raises(TypeError, match="imaginary part to set"):
        rg.grad(lambda x: setattr(x, "imag", 1.0))(X)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda z: np.sum(z.astype(float)), "would drop the imaginary part"),
        (np.real_if_close, "np.real_if_close of complex numbers has no rule"),
        (lambda z: np.interp(z[0], [0.0, 1.0], [0.0, 1.0]), "points x, xp and period are real numbers"),
        (lambda z: np.histogram(z)[0], "np.histogram of complex numbers"),
        (lambda z: np.cov(X, aweights=np.abs(z[0]) + 0j), "aweights is complex"),
        (lambda z: complex(z[0, 0]).real, r"complex\(x\) would lose the derivative"),
    ],
)
def test_what_would_lose_a_part_says_so(f: Callable[..., Any], message: str) -> None:
    with pytest.raises((NoRuleError, OperandError, rg.errors.TracingError), match=message):
        rg.grad(f)(Z)


# --- rules of a user, graphs ------------------------------------------------------------------------------------------------


def test_rules_of_a_user() -> None:
    backward = rg.custom_vjp(lambda z: z * z * z.conj())
    backward.defvjp(
        lambda z: (z * z * z.conj(), z), lambda z, g: (g * 2 * np.abs(z) ** 2 + g.conj() * z * z,)
    )
    forward = rg.custom_jvp(lambda z: z * z * z.conj())
    forward.defjvp(
        lambda p, t: (p[0] * p[0] * p[0].conj(), 2 * np.abs(p[0]) ** 2 * t[0] + p[0] ** 2 * t[0].conj())
    )
    plain = rg.vjp(lambda z: z * z * z.conj(), Z)[1](W)[0]
    moved = rg.jvp(lambda z: z * z * z.conj(), (Z,), (W,))[1]
    for f in (backward, forward):
        np.testing.assert_allclose(rg.vjp(f, Z)[1](W)[0], plain, rtol=1e-12)
        np.testing.assert_allclose(rg.jvp(f, (Z,), (W,))[1], moved, rtol=1e-12)
        got = rg.grad(lambda x, f=f: np.sum(np.abs(f(x * 1j + x)) ** 2))(X)
        np.testing.assert_allclose(got, rg.grad(lambda x: np.sum(np.abs(x * 1j + x) ** 6))(X), rtol=1e-12)


def test_graphs_refuse_complex_values() -> None:
    for run in (
        lambda: rg.Graph.record(lambda x: np.abs(np.exp(1j * x)), X),
        lambda: rg.draw(lambda x: np.sum(np.abs(1j * x)), X),
        lambda: rg.Graph().constant(1j),
    ):
        with pytest.raises(rg.errors.GraphError, match="a graph holds real numbers"):
            run()
    with pytest.raises((DtypeError, rg.errors.GraphError), match=r"complex|real numbers"):
        rg.Graph.record(lambda z: np.sum(np.abs(z)), Z)
    g = rg.Graph()
    g.output(np.exp(g.input("a")))
    with pytest.raises(rg.errors.GraphError, match="a graph holds real numbers"):
        g.forward(a=1j)


def test_new_arrays_take_complex_numbers() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x, dtype=complex)
        y[0] = np.exp(1j * x[0])
        return np.sum(y.real)

    judge(f, (X,))


def test_the_mixed_second_derivative_of_a_power_at_the_exponent_0() -> None:
    """d/dp (p z^(p - 1)) is 1/z there."""
    z = np.array(-0.25 + 0.5j)

    def slope(p):
        return rg.jvp(lambda z: np.power(z, p), (z,), (np.array(1.0 + 0j),))[1]

    y, y_dot = rg.jvp(slope, (np.array(0j),), (np.array(1.0 + 0j),))
    assert y == 0
    assert np.allclose(y_dot, 1 / z, rtol=1e-14)
