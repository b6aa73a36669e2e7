"""Copies of NumPy's Python code: values are NumPy's, derivatives right in both modes and second order, and NumPy itself stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.polynomial import Polynomial, chebyshev
from numpy.polynomial.polynomial import polyval

import refgrad as rg
from refgrad.errors import TracingError
from refgrad.numeric import differences
from refgrad.op import Traced
from refgrad.tracing import numpy_copies

Array = Any
X = np.array([0.7, -1.3, 2.1])
V = np.array([1.0, -0.5, 0.75])
BASES = {
    "polynomial": "poly", "chebyshev": "cheb", "legendre": "leg", "hermite": "herm", "hermite_e": "herme", "laguerre": "lag"
}  # fmt: skip
# Of a module M and a prefix p: programs of one array of three numbers.
FUNCTIONS = (
    "M.pval(x[0], x)", "M.pval([0.3, 0.4], x[:, None] * x)", "M.pval(x, [1, 2, 3])", "M.pval2d(x[:2], x[1:], x[:, None] * x)",
    "M.pval3d(x, x, x, np.ones((2, 2, 2)) * x[0])", "M.pgrid2d(x, x[:2], x[:, None] * x)", "M.pgrid3d(x, x, x, np.ones((2, 2, 2)) * x[0])",
    "M.pvander(x, 3)", "M.pvander2d(x, x, [1, 2])", "M.pvander3d(x, x, x, [1, 1, 1])", "M.pcompanion(x)", "M.pcompanion(x[:2])",
    "M.pder(x)", "M.pder([1, 2, 3], scl=x[0])", "M.pint(x, 2, [x[0], 1])", "M.pint([1, 2, 3], lbnd=x[0], scl=x[1])",
    "M.padd(x, [1, 2])", "M.padd([1.0, 2, 3, 4], x)", "M.psub(x[:2], x)", "M.pmul(x, x)", "M.pmulx(x)", "M.pdiv(x * x, x[:2])[0]",
    "M.pdiv([1.0, 2, 3, 4], x)[1]", "M.ppow(x, 3)", "M.pline(x[0], x[1])", "M.pfromroots(x)", "M.ptrim(x)",
    "np.real(M.proots(M.pfromroots(x)))", "M.pfit([0.1, 0.5, 0.9, 1.6], np.r_[x, x[0] * x[1]], 2)", "M.pfit(x, x * x[0], 1, w=[1, 2, 3])",
    "M.pfit([0.1, 0.5, 0.9], x[:, None] * x, [0, 2], full=True)[1][0]", "M.pval(x, np.polynomial.NAME(x).deriv().coef)",
)  # fmt: skip
CLASSES = {
    "polynomial": "Polynomial", "chebyshev": "Chebyshev", "legendre": "Legendre", "hermite": "Hermite", "hermite_e": "HermiteE",
    "laguerre": "Laguerre",
}  # fmt: skip


def program(text: str) -> Callable[[Array], Any]:
    made: Callable[[Array], Any] = eval(f"lambda x: {text}", {"np": np, "PLAIN": PLAIN})  # noqa: S307 - the texts above
    return made


PLAIN = Polynomial([1.0, 2.0, 3.0, 0.5])


def checked(f: Callable[[Array], Any], x: Array = X) -> None:
    """Value, dtype and shape are those of the plain program; derivatives agree with differences, and the modes with each other."""
    due: Any = np.asarray(f(x.copy()))
    value, slope = rg.jvp(f, (x,), (V,))
    y, pullback = rg.vjp(f, x)
    for got in (value, y):
        assert np.asarray(got).dtype == due.dtype
        assert np.shape(got) == due.shape
        assert np.allclose(got, due, rtol=1e-12, atol=1e-14)
    expected, error = differences(lambda z: np.asarray(f(z.astype(float))), (x,), (V,), step=2.0**-8)
    assert np.all(np.abs(slope - expected) <= 4 * error + 1e-7 * (1 + np.abs(expected)))
    y_bar = np.cos(1.0 + np.arange(due.size)).reshape(due.shape)
    assert np.allclose(np.sum(pullback(y_bar)[0] * V), np.sum(y_bar * slope), rtol=1e-10, atol=1e-10)
    total = rg.grad(lambda z: np.sum(np.sin(f(z))))
    second, error = differences(lambda z: total(z.astype(float)), (x,), (V,), step=2.0**-8)
    for transform in (rg.jvp, lambda g, xs, vs: (None, rg.vjp(g, *xs)[1](vs[0])[0])):
        assert np.all(
            np.abs(transform(total, (x,), (V,))[1] - second) <= 4 * error + 1e-6 * (1 + np.abs(second))
        )


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("part", range(4))
def test_functions_of_a_basis(basis: str, part: int) -> None:
    for text in FUNCTIONS[part::4]:
        named = text.replace("NAME", CLASSES[basis]).replace("M.p", f"np.polynomial.{basis}.{BASES[basis]}")
        checked(program(named))


@pytest.mark.parametrize("text", [
    "np.polynomial.chebyshev.cheb2poly(x)", "np.polynomial.chebyshev.poly2cheb(x)", "np.polynomial.polynomial.polyvalfromroots(x, x * x)",
    "np.polynomial.chebyshev.chebinterpolate(lambda t: np.exp(t * x[0]), 3)", "np.polynomial.hermite.hermweight(x)",
    "np.polynomial.polyutils.mapdomain(x, [x[0], 3.0], [1, x[1]])", "np.polynomial.polyutils.as_series([x, x[:2]])[1]",
    "np.polynomial.Chebyshev.interpolate(lambda t: t * x[0] + t**2, 3).coef",
])  # fmt: skip
def test_functions_of_one_module(text: str) -> None:
    checked(program(text))


@pytest.mark.parametrize("text", [
    *[f"(PLAIN {sign} np.polynomial.Polynomial(x)).coef" for sign in ("+", "-", "*", "//", "%")],
    "(np.polynomial.Polynomial(x) - PLAIN).coef",
    "divmod(PLAIN, np.polynomial.Polynomial(x))[1].coef", "(np.polynomial.Polynomial(x) // PLAIN.deriv(2)).coef", "PLAIN(x)",
    "(x[0] * np.polynomial.Polynomial(x) + x[1] - [x[2], 1]).coef", "(np.polynomial.Polynomial(x) / x[0])(x[1])", "PLAIN.deriv()(x)",
    "np.polynomial.Polynomial(x)(PLAIN).coef", "PLAIN(np.polynomial.Polynomial(x)).coef", "np.polynomial.Legendre.cast(PLAIN)(x)",
    "x * (np.polynomial.Polynomial(x) == PLAIN) + x * isinstance(np.polynomial.Polynomial(x), np.polynomial.Polynomial)",
    "np.polynomial.Chebyshev.fit(x, x**2, 1, domain=[]).linspace(4)[1]", "(2 - np.polynomial.Polynomial([x[0], 1, x[1]]).trim())(x)",
])  # fmt: skip
def test_polynomials_meet_plain_ones(text: str) -> None:
    checked(program(text))


def test_errors_are_those_of_numpy() -> None:
    texts = {
        "np.polynomial.polynomial.polydiv(x, [0.0])": ZeroDivisionError, "np.polynomial.polynomial.polyval2d(x, x[:2], x)": ValueError,
        "np.polynomial.Polynomial(x) + np.polynomial.Legendre(x)": TypeError,
        "np.polynomial.Legendre([1.0]) + np.polynomial.Polynomial(x)": TypeError,
        "np.polynomial.legendre.legfit(x, x, -1)": ValueError, "np.polynomial.hermite.hermder(x, 0.5)": TypeError,
        "np.polynomial.Chebyshev(x, domain=x)": ValueError, "np.polynomial.Polynomial(x) / [x[0]]": TypeError,
        "np.vectorize(lambda t: t)(x[:0])": ValueError, "np.vectorize(lambda t, s: t)(x, x[:2])": ValueError,
        "np.asarray_chkfinite(x / 0)": ValueError,
    }  # fmt: skip
    for text, kind in texts.items():
        f = program(text)
        with np.errstate(divide="ignore"):
            with pytest.raises(kind) as theirs:
                f(X)
            with pytest.raises(kind) as ours:
                rg.jvp(f, (X,), (V,))
        assert str(ours.value) == str(theirs.value), text


def test_complex_roots_have_derivatives() -> None:
    for text in (
        "np.polynomial.polynomial.polyroots(x * x)", "np.roots(x * x)", "np.polynomial.Polynomial(x * x).roots()",
        "np.polynomial.legendre.legroots(x * x + [3, 0, 0])",
    ):  # fmt: skip
        roots = program(text)
        assert np.iscomplexobj(roots(X))
        checked(lambda x, roots=roots: np.stack([np.real(roots(x)), np.imag(roots(x))]))


@pytest.mark.parametrize("dtype", ["float32", "longdouble", "complex128"])
def test_dtypes(dtype: str) -> None:
    x = X.astype(dtype)
    for text in (
        "polymul(x, x)",
        "polyval(x[0], x)",
        "polyint(x)",
        "polyvander(x, 2)",
        "polydiv(x, x[:2])[0]",
        "polymulx(x)",
    ):
        f = program(f"np.polynomial.polynomial.{text}")
        due, (value, slope) = np.asarray(f(x)), rg.jvp(f, (x,), (V.astype(dtype),))
        assert value.dtype == slope.dtype == due.dtype
        assert np.array_equal(value, due)


# --- functions of a program's functions, and objects to index -----------------------------------------------------------------


@np.vectorize
def decorated(s: Any, t: float = 2.0) -> Any:
    return s * s if s > 0 else t * s


VECTORIZED: dict[str, Callable[[Array], Any]] = {
    "a branch": lambda x: np.vectorize(lambda s, t: s * t if s > 0 else t)(x, 2.0 * x),
    "beside plain numbers": lambda x: np.vectorize(lambda s, t: s**t)(np.abs(x)[:, None], [1, 2]),
    "two results": lambda x: np.vectorize(lambda s: (s * s, 2.0))(x)[0],
    "otypes": lambda x: np.vectorize(lambda s: s if s > 0 else 1, otypes=[float])(x) * 2,
    "otypes in words, empty": lambda x: np.vectorize(lambda s: s, otypes="d")(x[:0]),
    "excluded": lambda x: np.vectorize(lambda c, t: np.polyval(c, t) * t, excluded=[0])(x, [0.3, 0.4]),
    "by name": lambda x: np.vectorize(lambda s, t: s - t)(t=x, s=1.0),
    "cache": lambda x: np.vectorize(lambda s: s * s, cache=True)(x) * 2,
    "signature": lambda x: np.vectorize(lambda r, s: r * r[0] + s, signature="(n),()->(n)")(x[:, None] * x, x),
    "a number": lambda x: np.vectorize(lambda s: s * s)(x[0]),
    "decorated": lambda x: decorated(x) + decorated(0.5, x),
    "r_": lambda x: np.r_[x, 0.5, x[0], 1:3, [x[1]]],
    "r_ of columns": lambda x: np.r_["0,2,0", x, x * x],
    "c_": lambda x: np.c_[x, x * x, [1, 2, 3]],
    "mgrid": lambda x: np.mgrid[0 : x[0] : 3j],
    "mgrid of two": lambda x: np.mgrid[0 : x[0] : 3j, x[1] : 2 : 2j],
    "ogrid": lambda x: np.ogrid[0 : 2 : x[0]],
    "ndenumerate": lambda x: np.stack([v * k[0] for k, v in np.ndenumerate(x)]),
    "asarray_chkfinite": lambda x: np.asarray_chkfinite([x[0], 1.0]),
    "require": lambda x: np.require(x, requirements=["C", "O"]) * 2,
    "roots": lambda x: np.roots([1.0, x[0], x[1]]),
    "polyfit": lambda x: np.polyfit([0.1, 0.5, 0.9, 1.6], [x[0], x[1], x[2], 1.0], 1, cov=True)[1],
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORIZED)
def test_programs(name: str) -> None:
    checked(VECTORIZED[name])


def test_narrow_numbers_are_floats_in_a_vectorized_function() -> None:
    def f(x: Array) -> Any:
        return np.vectorize(lambda s: (s + 1e-9) - 1.0)(x)

    x = np.array([1.5, 2.0], np.float32)
    assert rg.jvp(f, (x,), (x,))[0].tolist() == f(x).tolist()


# --- NumPy stays as it is -----------------------------------------------------------------------------------------------------


def test_numpy_itself_does_not_change() -> None:
    before = {n: (f, f.__code__, f.__globals__) for n, f in vars(chebyshev).items() if hasattr(f, "__code__")}
    rg.grad(lambda x: np.sum(chebyshev.chebmul(x, x)) + Polynomial(x)(0.5))(X)
    assert all(
        vars(chebyshev)[n] is f and f.__code__ is c and f.__globals__ is g for n, (f, c, g) in before.items()
    )
    assert vars(chebyshev)["np"] is np
    assert type(Polynomial(X)) is Polynomial
    assert type(Polynomial(X) * 2.0) is Polynomial


def test_outside_of_transformations_programs_get_numpys_own_results() -> None:
    def f(x: Array) -> Any:
        return Polynomial(x), np.r_[x, 1.0], polyval(0.5, x)

    rg.jvp(lambda x: f(x)[2], (X,), (V,))
    p, joined, y = f(X)
    assert type(p) is Polynomial
    assert type(joined) is np.ndarray
    assert not isinstance(y, Traced)


def test_a_vectorized_function_keeps_its_own_cache() -> None:
    f = np.vectorize(lambda s: 2.0 * s, otypes=[float])
    space: dict[str, Any] = {"f": f}
    exec("def g(x):\n    return f(x)", space)  # noqa: S102
    f(X)
    kept = dict(vars(f)["_ufunc"])
    assert rg.jvp(space["g"], (X,), (V,))[1].tolist() == (2.0 * V).tolist()
    assert vars(f)["_ufunc"] == kept


def test_plain_calls_of_a_vectorized_function_give_plain_arrays() -> None:
    found: list[Any] = []

    def f(x: Array) -> Any:
        def g(s: Any) -> Any:
            found.append(np.polynomial.polynomial.polymul([1, 2], [3, 4]))
            return s * found[-1][0]

        return np.vectorize(g)(x)

    rg.jvp(f, (X,), (V,))
    assert {type(y) for y in found} == {np.ndarray}


def test_a_plain_call_in_a_transformation_gives_plain_arrays() -> None:
    found: list[Any] = []

    def f(x: Array) -> Array:
        found.append(np.polynomial.polynomial.polymul([1, 2], [3, 4]))
        return x * found[-1][0]

    rg.jvp(f, (X,), (V,))
    assert type(found[0]) is np.ndarray


def test_a_function_that_is_called_under_another_name_is_refused() -> None:
    for call in (polyval,):
        with pytest.raises(TracingError, match="conversion to a plain NumPy array"):
            rg.grad(lambda x, call=call: call(0.5, x))(X)


def test_a_copy_is_made_once() -> None:
    assert numpy_copies.copied(polyval) is numpy_copies.copied(polyval)
    assert numpy_copies.copied(Polynomial) is numpy_copies.copied(Polynomial)
    assert isinstance(PLAIN, numpy_copies.copied(Polynomial))
