"""check_vjp and check_jvp: right formulas pass however they are written, wrong ones are named."""

from __future__ import annotations

import re

import numpy as np
import pytest

from refgrad.errors import ArgumentError, DtypeError, GradientMismatch
from refgrad.testing import check_jvp, check_vjp

X = np.linspace(-3, 3, 7)


def softplus(x):
    return np.logaddexp(0.0, x)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "formula",
    [lambda y_bar, x: y_bar / (1 + np.exp(-x)), lambda y_bar, x: y_bar * (0.5 + 0.5 * np.tanh(x / 2))],
)
def test_two_right_formulas_of_one_derivative_pass(formula, dtype: str) -> None:
    report = check_vjp(softplus, formula, (X,), dtype=dtype)
    assert report
    assert report.status == "agree"
    assert report.worst is not None


@pytest.mark.parametrize(
    "formula",
    [
        lambda y_bar, x: -y_bar / (1 + np.exp(-x)),
        lambda y_bar, x: y_bar / (1 + np.exp(x)),
        lambda y_bar, x: y_bar * (1 + 1e-12) / (1 + np.exp(-x)),
    ],
)
def test_wrong_formulas_are_caught(formula) -> None:
    with pytest.raises(GradientMismatch, match=r"gradient of argument 0.*got .* expected") as caught:
        check_vjp(softplus, formula, (X,))
    assert caught.value.report.status == "disagree"


def test_each_argument_is_judged() -> None:
    def affine(p, x):
        return x @ p["w"] + p["b"]

    def affine_vjp(y_bar, p, x):
        return {"w": np.outer(x, y_bar), "b": y_bar}, p["w"] @ y_bar

    def transposed(y_bar, p, x):
        return {"w": np.outer(x, y_bar), "b": y_bar}, p["w"].T @ y_bar

    p, x = {"w": np.arange(9.0).reshape(3, 3), "b": np.ones(3)}, np.array([1.0, -2.0, 0.5])
    assert check_vjp(affine, affine_vjp, (p, x))
    with pytest.raises(GradientMismatch, match=r"argument 1"):
        check_vjp(affine, transposed, (p, x))


def test_a_missing_cotangent_and_a_wrong_shape_are_caught() -> None:
    with pytest.raises(GradientMismatch, match="none was returned"):
        check_vjp(softplus, lambda y_bar, x: None, (X,))
    with pytest.raises(GradientMismatch, match=r"has shape \(\), expected \(7,\)"):
        check_vjp(softplus, lambda y_bar, x: np.sum(y_bar), (X,))
    with pytest.raises(ArgumentError, match="2 cotangents for 1 argument;"):
        check_vjp(softplus, lambda y_bar, x: (y_bar, y_bar), (X,))


def test_nothing_differentiable_is_an_error() -> None:
    with pytest.raises(DtypeError, match="int64"):
        check_vjp(lambda x: x, lambda y_bar, x: y_bar, (np.arange(3),))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f, v: check_vjp(f, v, X), ArgumentError, r"args is an array of shape \(7,\); a tuple .*\(f, f_vjp, \(x,\)\)"),
        (lambda f, v: check_jvp((X,), f, v), ArgumentError, r"check_jvp: f is a tuple; .*check_jvp\(f, f_jvp, \(x,\)\)"),
        (lambda f, v: check_vjp(f, "v", (X,)), ArgumentError, "f_vjp is 'v'; a function is expected"),
        (lambda f, v: check_vjp(f, v, (X,), repeats=0), ArgumentError, "repeats is 0; a whole number from 1 on"),
        (lambda f, v: check_vjp(f, v, (X,), repeats=2.5), ArgumentError, "check_vjp: repeats is 2.5; a whole number"),
        (lambda f, v: check_vjp(f, v, (X,), seed="a"), ArgumentError, "check_vjp: seed is 'a'; a whole number from 0 on"),
        (lambda f, v: check_jvp(f, v, (X,), seed=-1), ArgumentError, "check_jvp: seed is -1; a whole number from 0 on"),
        (lambda f, v: check_vjp(f, v, ()), ArgumentError, r"args is \(\); an entry for each argument"),
        (lambda f, v: check_vjp(f, v, (3,)), DtypeError, r"int64.*float\(x\) of a number"),
        (lambda f, v: check_jvp(f, lambda x, x_dot: (x[0], x_dot[0]), (X,)), ArgumentError, "f_jvp returned a tuple; the tangent .* alone"),
        (lambda f, v: check_vjp(f, v, (X,), dtype=np.float32), DtypeError, "numpy.float32.* a name is expected, one of .*'float32'"),
        (lambda f, v: check_vjp(f, v, (1j * X,)), DtypeError, "check_vjp: argument 0 has dtype complex128; real numbers are expected"),
        (lambda f, v: check_vjp(f, lambda y_bar, x: "?", (X,)), DtypeError, "what f_vjp returned is '\\?'; arrays of numbers"),
        (lambda f, v: check_vjp(lambda x: np.exp(1j * x), v, (X,)), DtypeError, "what <lambda> returned has dtype complex"),
        (lambda f, v: check_vjp(f, lambda y_bar, x: 1j * y_bar, (X,)), DtypeError, "what f_vjp returned has dtype complex"),
        (lambda f, v: check_jvp(f, lambda x, x_dot: 2 * x * x_dot, (X,)), ArgumentError,
         r"f_jvp raised TypeError: .*\. f_jvp gets two tuples .*args\[0\]\) \* tangents\[0\]"),
        (lambda f, v: check_jvp(f, lambda x, y, x_dot, y_dot: x_dot, (X,)), ArgumentError, "f_jvp raised TypeError: .* two tuples"),
        (lambda f, v: check_jvp(f, lambda x, x_dot: 1j * x_dot[0], (X,)), DtypeError, "what f_jvp returned has dtype complex"),
        (lambda f, v: check_jvp(f, lambda x, x_dot: "?", (X,)), DtypeError, "what f_jvp returned is '\\?'"),
        (lambda f, v: check_vjp(lambda x: None, v, (X,)), DtypeError, "what <lambda> returned is None; .*without a return"),
        (lambda f, v: check_vjp(lambda x: (x, x), v, (X,)), ArgumentError, "returns a tuple; one array is expected"),
    ],
)  # fmt: skip
def test_wrong_use_is_named(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call(softplus, lambda y_bar, x: y_bar / (1 + np.exp(-x)))


def test_tensors_are_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(
        DtypeError, match=r"check_vjp: argument 0 is a torch tensor; .*refgrad\.torch\.gradcheck"
    ):
        check_vjp(softplus, lambda y_bar, x: y_bar, (torch.ones(3),))


def test_a_formula_that_fills_an_array_is_run_as_it_stands() -> None:
    def fills(y_bar, x):
        x_bar = np.zeros(x.shape)
        for k in range(len(x)):
            x_bar[k] = y_bar[k] / (1 + np.exp(-x[k]))
        return x_bar

    def fills_wrong(y_bar, x):
        x_bar = fills(y_bar, x)
        x_bar[-1] = 0.0
        return x_bar

    report = check_vjp(softplus, fills, (X,))
    assert report
    assert report.verdicts[0][1].elements == 11 * len(X)
    with pytest.raises(GradientMismatch, match=r"argument 0\[6\]: got 0\.0"):
        check_vjp(softplus, fills_wrong, (X,))


def test_a_right_jvp_agrees_and_one_without_a_term_is_caught() -> None:
    def product(x, w):
        return x * w

    assert check_jvp(product, lambda xs, dots: dots[0] * xs[1] + xs[0] * dots[1], (X, X + 1))
    with pytest.raises(GradientMismatch, match="tangent of the result"):
        check_jvp(product, lambda xs, dots: dots[0] * xs[1], (X, X + 1))


def test_a_report_without_raising() -> None:
    report = check_vjp(softplus, lambda y_bar, x: y_bar, (X,), raise_exception=False)
    assert not report
    assert "disagree" in report.summary()
    assert report.worst.ratio > 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("f", "formula", "x"),
    [
        (np.abs, lambda y_bar, x: y_bar * x / np.abs(x), [0.0, 1.0]),
        (np.prod, lambda y_bar, x: y_bar * np.prod(x) / x, [2.0, 0.0, 3.0]),
        (np.square, lambda y_bar, x: y_bar * x / np.where(x == 0, x, 0.5), [0.0, 3.0]),
        (
            np.square,
            lambda y_bar, x: y_bar * (2 * x + np.where(x == 0, 1.0, 0.0) / (x * (x > 9))),
            [0.0, 10.0],
        ),
    ],
)
def test_nan_and_infinity_are_no_derivative(f, formula, x, dtype: str) -> None:
    """A radius that is NaN or infinite must not excuse them: the other elements would carry the check to agreement."""
    assert check_vjp(f, formula, (np.array(x),), dtype=dtype, raise_exception=False).status == "disagree"


def test_nan_and_infinity_are_no_tangent() -> None:
    def quotient(args, tangents):
        return tangents[0] * args[0] / np.abs(args[0])

    assert check_jvp(np.abs, quotient, (np.array([0.0, 1.0]),), raise_exception=False).status == "disagree"
    assert check_jvp(np.abs, quotient, (np.array([-2.0, 1.0]),))


def test_an_unselected_nan_is_not_held_against_a_formula() -> None:
    def guarded(y_bar, x):
        return y_bar * np.where(x > 0, 1 / np.where(x > 0, x, 1.0), 0.0)

    def f(x):
        return np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0)

    assert check_vjp(f, guarded, (np.array([0.0, 2.0]),))
    assert check_vjp(f, lambda y_bar, x: y_bar * np.where(x > 0, 1 / x, 0.0), (np.array([0.0, 2.0]),))


def test_the_summary_says_how_small_an_error_would_have_been_caught() -> None:
    exact = check_vjp(np.abs, lambda y_bar, x: y_bar * np.sign(x), (X + 0.1,)).summary()
    assert "77 elements compared, would have caught a relative error of any size" in exact
    rounded = check_vjp(softplus, lambda y_bar, x: y_bar / (1 + np.exp(-x)), (X,)).summary()
    assert re.search(r"would have caught a relative error of \d\.\de-16", rounded)


def test_tied_elements_are_judged_together() -> None:
    x = np.array([[1.0, 1.0], [2.0, 3.0], [-1.0, -1.0]])

    def shared(y_bar, x):
        top = (x == np.max(x, -1, keepdims=True)) * 1.0
        return y_bar[:, None] * top / np.sum(top, -1, keepdims=True)

    def twice(y_bar, x):
        return y_bar[:, None] * (x == np.max(x, -1, keepdims=True))

    assert check_vjp(lambda x: np.max(x, -1), shared, (x,))
    with pytest.raises(GradientMismatch, match="gradient of argument 0 summed over tied elements"):
        check_vjp(lambda x: np.max(x, -1), twice, (x,))
    same = np.arange(3.0)
    with pytest.raises(GradientMismatch, match="gradient of argument 1 and argument 2 summed over tied"):
        check_vjp(lambda _, x, y: np.maximum(x, y), lambda g, *xs: (None, g, g), (2, same, same))


def test_a_shape_that_comes_from_the_tuple_of_tangents_says_so() -> None:
    report = check_jvp(np.sin, lambda xs, x_dot: np.cos(xs[0]) * x_dot, (X,), raise_exception=False)
    assert "has shape (1, 7), expected (7,). f_jvp gets two tuples" in report.summary()
    other = check_jvp(np.sin, lambda xs, x_dots: x_dots[0][:2], (X,), raise_exception=False).summary()
    assert "has shape (2,), expected (7,)" in other
    assert "two tuples" not in other


def into_the_cotangent(y_bar, x):
    y_bar *= 3 * x * x
    return y_bar


def into_the_argument(y_bar, x):
    x *= 2
    return 3 * y_bar * x * x / 4


def into_a_copy(y_bar, x):
    y_bar = y_bar.copy()
    y_bar *= 3 * x * x
    return y_bar


def cube(x):
    return x * x * x


@pytest.mark.parametrize(
    ("formula", "name"), [(into_the_cotangent, "y_bar"), (into_the_argument, "argument 0")]
)
def test_a_formula_that_writes_into_an_argument_is_named(formula, name: str) -> None:
    x = X.copy()
    report = check_vjp(cube, formula, (x,), raise_exception=False)
    assert report.status == "disagree"
    assert f"f_vjp wrote into {name}, which belongs to its caller" in report.summary()
    assert " got " not in report.summary()  # the next question has the numbers as given
    np.testing.assert_array_equal(x, X)
    assert check_vjp(cube, into_a_copy, (x,))


def test_so_is_one_that_writes_into_plain_arrays() -> None:
    def formula(y_bar, x):
        y_bar[...] = [float(b) * 3 * float(a) ** 2 for a, b in zip(x, y_bar, strict=True)]
        return y_bar

    report = check_vjp(cube, formula, (X,), raise_exception=False)
    assert report.status == "disagree"
    assert "f_vjp wrote into y_bar" in report.summary()


def test_a_jvp_that_writes_into_a_tangent_is_named() -> None:
    def formula(xs, x_dots):
        return np.multiply(3 * xs[0] ** 2, x_dots[0], out=x_dots[0])

    report = check_jvp(cube, formula, (X,), raise_exception=False)
    assert report.status == "disagree"
    assert "f_jvp wrote into the tangent of argument 0" in report.summary()


def test_none_as_a_cotangent_stands_for_zeros() -> None:
    x = X + 0.25
    report = check_vjp(lambda a, b: np.sign(a) * b, lambda y_bar, a, b: (None, y_bar * np.sign(a)), (x, x))
    assert report.status == "agree"
    jvp = check_jvp(np.sign, lambda xs, x_dots: None, (x,), raise_exception=False)
    assert jvp.status == "disagree"  # a rule of forward mode that gives nothing


@pytest.mark.parametrize("narrow", [np.float32, np.float16])
@pytest.mark.parametrize(
    "shortened",
    [
        lambda y_bar, x, narrow: y_bar / (1 + np.exp(-x.astype(narrow))),
        lambda y_bar, x, narrow: y_bar.astype(narrow) / (1 + np.exp(-x)),
        lambda y_bar, x, narrow: np.asarray(y_bar / (1 + np.exp(-x)), narrow),
    ],
)
def test_a_formula_that_casts_to_a_narrower_format_is_wrong(shortened, narrow) -> None:
    report = check_vjp(
        softplus, lambda y_bar, x: shortened(y_bar, x, narrow), (X / 3,), raise_exception=False
    )
    assert report.status == "disagree"
    tangent = check_jvp(
        softplus, lambda args, t: shortened(t[0], args[0], narrow), (X / 3,), raise_exception=False
    )
    assert tangent.status == "disagree"


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_formula_casts_as_the_function_does_or_to_a_wider_format(dtype: str) -> None:
    def narrow(x):
        return x.astype(np.float16) ** 3

    def narrow_vjp(y_bar, x):
        return y_bar.astype(np.float16) * (3 * x.astype(np.float16) ** 2)

    def wide_vjp(y_bar, x):
        return (y_bar.astype(np.float64) * 3 * x.astype(np.float64) ** 2).astype(x.dtype)

    assert check_vjp(narrow, narrow_vjp, (X / 3,), dtype=dtype, allow_undecided=True).status != "disagree"
    assert check_vjp(lambda x: x**3, wide_vjp, (X / 3,), dtype=dtype).status == "agree"


@pytest.mark.parametrize(("narrow", "status"), [(np.float32, "agree"), (np.float16, "disagree")])
def test_a_formula_may_cast_to_the_format_of_the_arguments(narrow, status: str) -> None:
    x = (X / 3).astype(np.float32)
    report = check_vjp(
        softplus,
        lambda y_bar, x: (y_bar.astype(narrow) / (1 + np.exp(-x))).astype(np.float32),
        (x,),
        raise_exception=False,
    )
    assert report.status == status
