"""np.fft: values, dtypes and errors of NumPy, derivatives against the third judge, in both modes and at second order."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import RefgradError
from tests.complex_judge import directions, judge, judge_second, paired

F = np.fft
RNG = np.random.default_rng(3)
X = RNG.standard_normal((4, 6))
Z = X + 1j * RNG.standard_normal((4, 6))
NORMS = (None, "backward", "ortho", "forward")
OF_ONE_AXIS = (F.fft, F.ifft, F.irfft, F.hfft, F.rfft, F.ihfft)
OF_SEVERAL = (F.fftn, F.ifftn, F.irfftn, F.rfftn, F.fft2, F.ifft2, F.irfft2, F.rfft2)
OF_REAL = {F.rfft, F.ihfft, F.rfftn, F.rfft2}


def operands(function: Callable[..., Any]) -> tuple[Any, ...]:
    return (X,) if function in OF_REAL else (X, Z)


def linear(f: Callable[[Any], Any], x: Any) -> None:
    """A linear function is its own derivative, and reverse mode is its transpose."""
    (x_dot,) = directions([x])
    y, y_dot = rg.jvp(f, (x,), (x_dot,))
    np.testing.assert_array_equal(y, f(x))
    assert y.dtype == f(x).dtype
    np.testing.assert_allclose(y_dot, f(x_dot), rtol=1e-13, atol=1e-13)
    (y_bar,) = directions([np.asarray(y)], 1)
    (x_bar,) = rg.vjp(f, x)[1](y_bar)
    assert x_bar.dtype == x.dtype
    np.testing.assert_allclose(paired(x_bar, x_dot), paired(y_bar, y_dot), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("function", OF_ONE_AXIS, ids=lambda f: f.__name__)
def test_one_axis(function: Callable[..., Any], norm: str | None) -> None:
    for x, n, axis in itertools.product(operands(function), (None, 1, 3, 4, 6, 7, 9), (0, 1, -1)):
        linear(lambda a, n=n, axis=axis: function(a, n, axis, norm), x)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("function", OF_SEVERAL, ids=lambda f: f.__name__)
def test_several_axes(function: Callable[..., Any], norm: str | None) -> None:
    for x, (s, axes) in itertools.product(
        operands(function),
        [
            ((3, 7), (0, 1)),
            ((5, 4), (1, 0)),
            ((5,), (0,)),
            (None, (1,)),
            (None, (1, 0)),
            ((-1, 5), (0, 1)),
            (None, (1, 1)),
        ],
    ):
        linear(lambda a, s=s, axes=axes: function(a, s, axes, norm), x)
    linear(lambda a: function(a, norm=norm), operands(function)[-1])
    stack = np.stack([operands(function)[-1]] * 3)
    linear(lambda a: function(a, axes=(-1, 0)), stack)


@pytest.mark.parametrize("axes", [None, 0, (1,), (0, 1), -1])
def test_shifts(axes: Any) -> None:
    for x, function in itertools.product((X, Z, X[:3, :5]), (F.fftshift, F.ifftshift)):
        linear(lambda a, function=function: function(a, axes), x)


@pytest.mark.parametrize("function", [*OF_ONE_AXIS, *OF_SEVERAL], ids=lambda f: f.__name__)
def test_against_the_third_judge(function: Callable[..., Any]) -> None:
    for x in operands(function):
        judge(lambda a: np.exp(function(a * a) / 9), (x,))
        judge_second(lambda a: function(a * a) ** 2, (x[:3, :4],))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9])
def test_the_matrix_of_each_transform(n: int) -> None:
    """Reverse mode is the transpose of the real matrix that stands for the transform of parts."""
    units = np.eye(n)
    half = n // 2 + 1
    for f, of_complex in (
        (F.rfft, False),
        (F.fft, False),
        (F.fft, True),
        (F.ifft, True),
        (lambda a: F.irfft(a, n), True),
    ):
        size = half if of_complex and f not in (F.fft, F.ifft) else n
        inputs = [*units[:size, :size], *(1j * units[:size, :size] if of_complex else ())]
        values = np.stack([f(u) for u in inputs])
        columns = np.concatenate([values.real, values.imag], 1)
        x = np.zeros(size, complex if of_complex else float)
        y, pullback = rg.vjp(f, x)
        outputs = [*np.eye(y.size), *(1j * np.eye(y.size) if np.iscomplexobj(y) else ())]
        bars = np.stack([pullback(u.astype(y.dtype))[0] for u in outputs])
        rows = np.concatenate([bars.real, bars.imag], 1) if of_complex else bars
        np.testing.assert_allclose(rows, columns[:, : len(rows)].T, atol=1e-14)


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "longdouble", "complex64", "complex128", "clongdouble"]
)
@pytest.mark.parametrize("function", [*OF_ONE_AXIS, *OF_SEVERAL], ids=lambda f: f.__name__)
def test_a_transform_has_numpys_dtype_and_its_cotangent_that_of_the_argument(
    function: Callable[..., Any], dtype: str
) -> None:
    if function in OF_REAL and "c" in dtype:
        with pytest.raises(TypeError, match=r"rfft|must not be complex|not supported|ufunc"):
            rg.vjp(function, Z.astype(dtype))
        return
    x = (Z if dtype.startswith("c") else X).astype(dtype)
    y, pullback = rg.vjp(function, x)
    assert y.dtype == function(x).dtype
    assert pullback(np.ones_like(y))[0].dtype == x.dtype
    assert rg.jvp(function, (x,), (x,))[1].dtype == y.dtype


WRONG: dict[str, Callable[[Any], Any]] = {
    "a length of zero": lambda a: F.fft(a, 0), "a negative length": lambda a: F.rfft(a.real, -1),
    "no such axis": lambda a: F.fft(a, axis=2),
    "no such norm": lambda a: F.ifft(a, norm="half"), "a broken length": lambda a: F.fft(a, 2.5), "no axes": lambda a: F.fft(a[0, 0]),
    "no length left": lambda a: F.irfft(a[:, :1]), "different numbers": lambda a: F.fftn(a, (3,), (0, 1)),
    "no such axes": lambda a: F.fftn(a, axes=(0, 4)),
    "empty": lambda a: F.fft(a[:, :0]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_numpys_errors(name: str) -> None:
    with pytest.raises(Exception) as due:  # noqa: PT011 - whatever NumPy raises
        WRONG[name](Z)
    for run in (lambda: rg.vjp(WRONG[name], Z), lambda: rg.jvp(WRONG[name], (Z,), (Z,))):
        with pytest.raises(type(due.value)) as found:
            run()
        assert str(found.value) == str(due.value) or isinstance(found.value, RefgradError)


def test_an_array_to_write_into_is_refused() -> None:
    with pytest.raises(rg.errors.TracingError, match="leave out= away"):
        rg.grad(lambda x: np.sum(np.abs(F.fft(x, out=np.empty(6, complex)))))(X[0])


def test_lengths_without_axes_warn_as_in_numpy() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeprecationWarning, match="axes"):
            rg.vjp(lambda a: F.fftn(a, (2, 3)), Z)


def test_arrays_that_nobody_traces_are_numpys() -> None:
    for function in (*OF_ONE_AXIS, *OF_SEVERAL):
        assert type(function(X)) is np.ndarray
