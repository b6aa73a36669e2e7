"""NumPy's functions of complex numbers beyond the ops themselves: right by the third judge, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError, OperandError, RefgradError
from tests.complex_judge import judge, judge_second

Array = Any
Z = np.array([[0.6 + 0.9j, -1.3 + 0.4j, 0.2 - 0.7j], [1.1 - 0.3j, -0.5 - 1.2j, 0.8 + 0.1j]])
W = np.array([[1.4 - 0.2j, 0.3 + 0.8j, -0.9 + 0.5j], [0.7 + 1.1j, 1.2 + 0.6j, -0.4 - 0.9j]])
X = np.array([0.7, -1.2, 0.4])
MASK = np.array([[True, False, True], [True, True, False]])


def received(z: Array, ufunc: np.ufunc) -> Array:
    a = z * 1.0
    ufunc.at(a, (0, [0, 0, 2]), z[1])
    return a


RIGHT: dict[str, Callable[[Array], Any]] = {
    **{f"{u.__name__}.reduce": lambda z, u=u: u.reduce(z, axis=1) for u in (np.add, np.subtract, np.multiply, np.divide)},
    **{f"{u.__name__}.accumulate": lambda z, u=u: u.accumulate(z, axis=1) for u in (np.add, np.subtract, np.multiply, np.divide)},
    **{f"{u.__name__}.reduceat": lambda z, u=u: u.reduceat(z, [0, 1], 1) for u in (np.add, np.subtract, np.multiply, np.divide)},
    **{f"{u.__name__}.at": lambda z, u=u: received(z, u) for u in (np.add, np.subtract, np.multiply, np.divide)},
    "negative numbers to complex powers": lambda z: X ** z[0] * (-2.0) ** z[1] + np.power(z[0].real, z[1]),
    "outer": lambda z: np.subtract.outer(z[0], z[1]), "power.accumulate": lambda z: np.power.accumulate(z, axis=0),
    "reduce with initial": lambda z: np.subtract.reduce(z, initial=z[0, 0], where=MASK),
    "sum with initial": lambda z: np.sum(z, 1, initial=z[0, 0], where=MASK), "prod with initial": lambda z: np.prod(z, initial=z[0, 0]),
    "nansum": np.nansum, "nanprod": lambda z: np.nanprod(z, 1), "nanmean": lambda z: np.nanmean(z, 0),
    "var about a mean": lambda z: np.var(z, mean=z[0, 0]), "std about a mean": lambda z: np.std(z, 1, mean=z[:, :1], where=MASK),
    "nanvar about a mean": lambda z: np.nanvar(z, mean=z[0, 0]), "nanstd": lambda z: np.nanstd(z, 1),
    "var of a traced number of degrees": lambda z: np.var(z, ddof=z[0, 0].real), "average": lambda z: np.average(z, weights=z),
    "diff": lambda z: np.diff(z, prepend=1j), "ediff1d": lambda z: np.ediff1d(z, 1j), "trapezoid": np.trapezoid,
    **{f"pad {m}": lambda z, m=m: np.pad(z * z, 2, mode=m) for m in ("mean", "linear_ramp", "edge", "reflect", "wrap")},
    "pad by a traced number": lambda z: np.pad(z, 1, constant_values=z[0, 0]), "ix_": lambda z: np.ix_(z[0], z[1])[0] * z[1],
    "unique": np.unique, "unique_all": lambda z: np.unique_all(z).values if hasattr(np, "unique_all") else np.unique(z),
    "linspace": lambda z: np.linspace(z[0], z[1], 4), "logspace": lambda z: np.logspace(z[0], z[1], 3),
    "choose": lambda z: np.choose([0, 1, 0], [z[0], 1j]), "piecewise": lambda z: np.piecewise(z, [z.real > 0], [lambda t: t * t, 1j]),
    "nan_to_num": lambda z: np.nan_to_num(z * z), "histogram": lambda z: np.histogram(X, 2, weights=z[0])[0],
}  # fmt: skip
LISTS: dict[str, Callable[[Array], Any]] = {
    "array": lambda z: np.array([z[0, 0], z[1, 1] * 2, 1.0]), "rows": lambda z: np.array([[z[0, 0], 1j], [2.0, z[1, 2]]]),
    "of real ones": lambda z: np.array([z[0, 0].real, z[1, 1].imag], complex), "with i": lambda z: np.array([z[0, 0].real, 1j]),
    "asarray": lambda z: np.asarray(z.real, complex) * z, "sum": lambda z: np.sum([z[0, 0], 1j]),
    "dot": lambda z: np.dot([z[0, 0], 1j], [z[1, 1], 2]),
    "fft": lambda z: np.fft.fft([z[0, 0], z[0, 1] * z[0, 2], 1.0]), "rfft": lambda z: np.fft.rfft([z[0, 0].real, z[0, 1].imag, 1.0]),
    "ifft2": lambda z: np.fft.ifft2([[z[0, 0], z[0, 1]], [z[1, 0], 1j]]), "fftshift": lambda z: np.fft.fftshift([z[0, 0], z[0, 1], 1j]),
    "complex128": lambda z: np.complex128(z[0, 0].real) * z[0, 0],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_function_of_complex_numbers(name: str) -> None:
    judge(RIGHT[name], (Z,))
    judge_second(RIGHT[name], (Z,))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_with_complex_numbers(name: str) -> None:
    judge(LISTS[name], (Z,))


def test_a_real_array_in_a_complex_dtype() -> None:
    for f in (
        lambda x: np.subtract.reduce(x, dtype=complex),
        lambda x: np.add.accumulate(x, dtype=complex),
        lambda x: np.sum(x, dtype=complex),
    ):
        judge(f, (X,))


def test_real_numbers_about_a_complex_mean() -> None:
    """NumPy squares the deviations of real numbers, also where the mean is complex."""
    judge(lambda x: np.var(x, mean=0.5 + 0.25j), (X,))


ORDERED: dict[str, Callable[[Array], Any]] = {
    **{
        f"{u.__name__}.{m}": lambda z, u=u, m=m: getattr(u, m)(z)
        for u in (np.maximum, np.minimum, np.fmax, np.fmin)
        for m in ("reduce", "accumulate")
    },
    "maximum.reduceat": lambda z: np.maximum.reduceat(z, [0, 1], 1),
    "maximum with initial": lambda z: np.maximum.reduce(W, initial=z[0, 0], axis=None),
    **{f.__name__: f for f in (np.max, np.min, np.nanmax, np.nanmin, np.ptp)},
    "pad by a maximum": lambda z: np.pad(z, 1, mode="maximum"),
    "unique_values": lambda z: np.unique_values(z) if hasattr(np, "unique_values") else np.sort(z),
    "clip": lambda z: np.clip(z, 0, 1),
}


@pytest.mark.parametrize("name", ORDERED)
def test_what_needs_an_order_of_complex_numbers_is_refused(name: str) -> None:
    with pytest.raises(RefgradError):
        rg.jvp(ORDERED[name], (Z,), (W,))


SORTED: dict[str, Callable[[Array], Any]] = {
    "sort": np.sort,
    "median": lambda z: np.median(z, 1),
    "nanmedian": lambda z: np.nanmedian(z, 1),
    "partition": lambda z: np.partition(z, 2, 1),
    "pad by a median": lambda z: np.pad(z, 1, mode="median"),
}


@pytest.mark.parametrize("name", SORTED)
def test_what_sorts_complex_numbers_has_numpys_values_and_moves_its_elements(name: str) -> None:
    """NumPy orders them by their real parts, and equal ones by their imaginary parts. Each function moves elements between ties.

    All numbers are multiples of 2^-20 below 2^20, so that the difference of two values is their derivative without rounding.
    """
    f, rng = SORTED[name], np.random.default_rng(7)
    for _ in range(20):
        z = rng.integers(-2, 3, (3, 5)) + 1j * rng.integers(-2, 3, (3, 5))  # with ties
        z_dot = rng.integers(-9, 10, z.shape) + 1j * rng.integers(-9, 10, z.shape)
        np.testing.assert_array_equal(rg.jvp(f, (z,), (z_dot,))[0], f(z))
        apart = z + (1 + 2j) * rng.permutation(z.size).reshape(z.shape) / 64
        _, y_dot = rg.jvp(f, (apart,), (z_dot,))
        h = 2.0**-20  # no element passes another one
        np.testing.assert_array_equal(y_dot, (f(apart + h * z_dot) - f(apart)) / h)


def test_refusals_say_what_was_given() -> None:
    with pytest.raises(NoRuleError, match="'maximum' met complex operands"):
        rg.jvp(np.maximum.accumulate, (Z,), (W,))
    with pytest.raises(OperandError, match="would drop the imaginary part"):
        rg.jvp(lambda z: np.array([z[0, 0], 1.0], float), (Z,), (W,))
    with pytest.raises(OperandError, match=r"Write x \+ 1j \* y"):
        rg.jvp(lambda z: np.complex128(z[0, 0].real, z[0, 0].imag), (Z,), (W,))


@pytest.mark.parametrize(
    "f",
    [
        lambda z: np.bincount([0, 1, 0], z[0]),
        lambda z: np.histogramdd((X, X), 2, weights=z[0]),
        lambda z: np.quantile(z, 0.3),
        np.isposinf,
        np.isneginf,
    ],
)
def test_numpys_errors(f: Callable[[Array], Any]) -> None:
    with pytest.raises(TypeError) as theirs:
        f(Z)
    with pytest.raises(TypeError, match=str(theirs.value)[:20]):
        rg.jvp(f, (Z,), (W,))


def test_nan_in_one_part() -> None:
    z = np.array([complex(np.nan, 2.0), complex(3.0, -np.inf), 1 + 1j])
    y, y_dot = rg.jvp(np.nan_to_num, (z,), (np.full(3, 1 + 2j),))
    np.testing.assert_array_equal(y, np.nan_to_num(z))
    np.testing.assert_array_equal(y_dot, [2j, 1, 1 + 2j])


CUTS = {
    "arcsin": (2, -2), "arccos": (2, -2), "arctanh": (2, -2), "arccosh": (0.5, -2), "sqrt": (-2,), "log": (-2,), "log1p": (-2,),
    "arcsinh": (2j, -2j), "arctan": (2j, -2j),
}  # fmt: skip


@pytest.mark.parametrize("side", [0.0, -0.0])
@pytest.mark.parametrize(("name", "at"), [(name, at) for name, places in CUTS.items() for at in places])
def test_on_a_cut_the_sign_of_zero_says_the_side(name: str, at: complex, side: float) -> None:
    f, h, across = getattr(np, name), 1e-6, isinstance(at, complex)
    z, near, far = [
        np.array(complex(side, at.imag + s) if across else complex(at + s, side)) for s in (0.0, h, -h)
    ]
    _, slope = rg.jvp(f, (z,), (np.array(1j if across else 1 + 0j),))
    np.testing.assert_allclose(slope, (f(near) - f(far)) / (2 * h), rtol=1e-8)
