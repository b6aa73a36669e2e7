"""benchmarks/ulp.py: what it measures agrees with the table, and a figure that is too small is reported."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks import ulp
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.profiles import CPU_ULP
from tests.recorded import there

FEW = ["--every", "1000003", "--count", "512"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_keep_to_the_figures(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    # docs/findings/log1p-of-huge-numbers.md
    names = [name for name in ulp.FUNCTIONS if name != "log1p" or not there("huge-log1p")]
    assert ulp.main([*FEW, "--dtype", dtype, *names]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if dtype in line]
    assert [line.split()[0] for line in lines] == names
    assert not any("EXCEEDED" in line for line in lines)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_figure_that_is_too_small_is_reported(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = {dtype: {**CPU_ULP[dtype], "exp": 0.4}}  # less than rounding alone comes to
    assert ulp.main([*FEW, "--dtype", dtype, "exp", "log"], table) == 1
    exp, log = (line for line in capsys.readouterr().out.splitlines() if dtype in line)
    assert "EXCEEDED" in exp
    assert "EXCEEDED" not in log


def test_a_rule_of_a_composed_function_that_is_too_sharp_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        ulp.FUNCTIONS, "sigmoid", ulp.Function(ulp._softplus, ulp.torch.sigmoid, composed="sigmoid")
    )
    assert ulp.main([*FEW, "--dtype", "float32", "sigmoid"]) == 1


@pytest.mark.parametrize("layout", ulp.LAYOUTS)
def test_a_kernel_that_errs_in_one_layout_alone_is_caught(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kernel(x: ulp.Array) -> ulp.Array:
        kind = "strided" if x.stride() == (2,) else "short" if x.numel() <= 7 else "contiguous"
        return x.exp() * (1.001 if kind == layout else 1)

    monkeypatch.setitem(ulp.FUNCTIONS, "exp", ulp.Function(np.exp, kernel, mpmath.exp))
    worst = ulp.measure("exp", "float32", 1000003, 0)
    assert worst.where == layout
    assert worst.error[layout] > 1000
    assert all(e <= 1 for name, e in worst.error.items() if name != layout)


def test_every_number_of_float32_is_met_once() -> None:
    every = 2**20 + 1
    met = np.concatenate(list(ulp.inputs32(every)))
    bits = np.arange(0, 2**32, every, dtype=np.int64).astype(np.uint32)
    assert np.array_equal(met.view(np.uint32), bits[np.isfinite(bits.view(np.float32))])


@pytest.mark.parametrize("y", [1.0, -1.0, 1.5, 2.0**-126, 2.0**-140, 3e-45, 0.0, 1e30])
def test_one_ulp(y: float) -> None:
    expected = np.spacing(np.abs(np.float32(y)))
    assert ulp.spacing(np.array([y]), FORMATS["float32"])[0] == expected
    assert ulp.spacing(np.array([y], np.longdouble), FORMATS["float32"])[0] == expected
    assert ulp.spacing(np.array([y], np.longdouble), FORMATS["float64"])[0] == np.spacing(np.abs(y))


def test_what_is_not_finite() -> None:
    fmt, one = FORMATS["float32"], np.ones(6)
    reference = np.array([1.0, 1.0, np.nan, 1e39, np.inf, 3.4e38])
    y = np.array([np.nan, np.inf, np.nan, np.inf, np.inf, np.inf])
    assert list(ulp.errors(y, reference, one, fmt)) == [np.inf, np.inf, 0.0, 0.0, 0.0, np.inf]


def test_the_worst_is_confirmed_by_mpmath() -> None:
    """Two distances of one number, from long double's value and from the exact one, differ by no more than these two do."""
    worst = ulp.measure("expm1", "float64", 0, 256)
    (x,) = worst.at[worst.where]
    reference = np.expm1(np.longdouble(x))
    high = float(reference)
    with mpmath.workdps(60):
        exact = mpmath.expm1(x)
        apart = float(abs(mpmath.mpf(high) + mpmath.mpf(float(reference - high)) - exact)) / np.spacing(
            abs(high)
        )
    rounding = np.finfo(float).eps * worst.largest  # that of either distance to float64
    assert abs(ulp.confirmed("expm1", "float64", worst) - worst.largest) <= apart + rounding
    assert apart < worst.largest / 2  # else the two need not be of one number


def test_a_function_that_it_does_not_know_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ulp.main(["gamma"])
    assert "unknown function 'gamma'" in capsys.readouterr().err
