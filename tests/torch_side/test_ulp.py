"""benchmarks/ulp: what it measures agrees with the table, and a figure that is too small is reported."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import mpmath
import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.ulp import errors, kernels, points
from benchmarks.ulp.command import main
from benchmarks.ulp.functions import FUNCTIONS, Array
from benchmarks.ulp.kernels import CONTIGUOUS, SHORT, STRIDED, TorchKernels, WorkerKernels
from benchmarks.ulp.measure import confirmed, measure
from refgrad.backends import WorkerBackend
from refgrad.backends.shipped import FOLDER
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.profiles import CPU_ULP
from tests.recorded import there

FEW = ["--every", "1000003", "--count", "512"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_keep_to_the_figures(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    # docs/findings/log1p-of-huge-numbers.md
    names = [name for name in TorchKernels().functions if name != "log1p" or not there("huge-log1p")]
    assert main([*FEW, "--dtype", dtype, *names]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if dtype in line]
    assert [line.split()[0] for line in lines] == names
    assert not any("EXCEEDED" in line for line in lines)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_figure_that_is_too_small_is_reported(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch = TorchKernels()
    figures = {**CPU_ULP, dtype: {**CPU_ULP[dtype], "exp": 0.4}}  # less than rounding alone comes to
    torch.profile = replace(torch.profile, ulp=figures)
    assert main([*FEW, "--dtype", dtype, "exp", "log"], torch) == 1
    exp, log = (line for line in capsys.readouterr().out.splitlines() if dtype in line)
    assert "EXCEEDED" in exp
    assert "EXCEEDED" not in log


def test_a_rule_of_a_composed_function_that_is_too_sharp_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "sigmoid", replace(FUNCTIONS["softplus"], composed="sigmoid"))
    assert main([*FEW, "--dtype", "float32", "sigmoid"]) == 1


def test_operands_of_a_recorded_disagreement_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """TensorFlow's hypot overflows where its squares do; the entry says so, and the figure holds elsewhere."""

    class Recorded(TorchKernels):
        profile = replace(TorchKernels.profile, name="tensorflow")
        excused = WorkerKernels.excused
        _entries = WorkerKernels.recorded("tensorflow")

    kernels, few = Recorded(), [*FEW, "--dtype", "float32", "hypot"]
    kernels.functions["hypot"] = lambda x, y: (x * x + y * y).isfinite() * x.hypot(y)  # 0 beyond
    assert main(few, kernels) == 0
    assert "left out: a recorded disagreement" in capsys.readouterr().out
    kernels._entries = []
    assert main(few, kernels) == 1


def test_what_a_worker_lacks_in_a_dtype_is_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    class Lacking(TorchKernels):
        def has(self, name: str, dtype: str) -> bool:
            return super().has(name, dtype) and (name, dtype) != ("exp", "float64")

    assert main([*FEW, "--dtype", "float32", "--dtype", "float64", "exp"], Lacking()) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("exp")] == [
        "float32"
    ]


@pytest.mark.parametrize("layout", [CONTIGUOUS, STRIDED, SHORT])
def test_a_kernel_that_errs_in_one_layout_alone_is_caught(layout: str) -> None:
    def kernel(x: Array) -> Array:
        kind = STRIDED if x.stride() == (2,) else SHORT if x.numel() <= 7 else CONTIGUOUS
        return x.exp() * (1.001 if kind == layout else 1)

    torch = TorchKernels()
    torch.functions["exp"] = kernel
    worst = measure(torch, "exp", "float32", 1000003, 0)
    assert worst.where == layout
    assert worst.error[layout] > 1000
    assert all(e <= 1 for name, e in worst.error.items() if name != layout)


def test_every_number_of_float32_is_met_once() -> None:
    every = 2**20 + 1
    met = np.concatenate(list(points.inputs32(every)))
    bits = np.arange(0, 2**32, every, dtype=np.int64).astype(np.uint32)
    assert np.array_equal(met.view(np.uint32), bits[np.isfinite(bits.view(np.float32))])


@pytest.mark.parametrize("y", [1.0, -1.0, 1.5, 2.0**-126, 2.0**-140, 3e-45, 0.0, 1e30])
def test_one_ulp(y: float) -> None:
    expected = np.spacing(np.abs(np.float32(y)))
    assert errors.spacing(np.array([y]), FORMATS["float32"])[0] == expected
    assert errors.spacing(np.array([y], np.longdouble), FORMATS["float32"])[0] == expected
    assert errors.spacing(np.array([y], np.longdouble), FORMATS["float64"])[0] == np.spacing(np.abs(y))


def test_what_is_not_finite() -> None:
    fmt, one = FORMATS["float32"], np.ones(6)
    reference = np.array([1.0, 1.0, np.nan, 1e39, np.inf, 3.4e38])
    y = np.array([np.nan, np.inf, np.nan, np.inf, np.inf, np.inf])
    assert list(errors.errors(y, reference, one, fmt)) == [np.inf, np.inf, 0.0, 0.0, 0.0, np.inf]


def test_the_worst_is_confirmed_by_mpmath() -> None:
    """Two distances of one number, from long double's value and from the exact one, differ by no more than these two do."""
    torch = TorchKernels()
    worst = measure(torch, "expm1", "float64", 0, 256)
    (x,) = worst.at[worst.where]
    reference = np.expm1(np.longdouble(x))
    high = float(reference)
    with mpmath.workdps(60):
        exact = mpmath.expm1(x)
        apart = float(abs(mpmath.mpf(high) + mpmath.mpf(float(reference - high)) - exact)) / np.spacing(
            abs(high)
        )
    rounding = np.finfo(float).eps * worst.largest  # that of either distance to float64
    assert abs(confirmed(torch, "expm1", "float64", worst) - worst.largest) <= apart + rounding
    assert apart < worst.largest / 2  # else the two need not be of one number


def test_a_function_that_it_does_not_know_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gamma"])
    assert "unknown function 'gamma'" in capsys.readouterr().err


# --- workers ----------------------------------------------------------------------------------------------------------

TEMPLATE = FOLDER / "template_worker.py"


def test_a_worker_is_measured_as_its_kernels_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The template calls NumPy: its errors are those of NumPy here."""
    assert main(["--every", "1000003", "--dtype", "float32", "--backend", str(TEMPLATE)]) == 0
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in printed.splitlines() if " float32 " in line}
    assert {"exp", "sin", "tanh"} <= rows.keys()
    worst = errors.Worst()
    for (x,) in points.inputs(FUNCTIONS["exp"], FORMATS["float32"], 1000003, 0, 0):
        with np.errstate(all="ignore"):
            reference, y = np.exp(x.astype(float)), np.exp(x)
        worst.meet(
            "",
            (x,),
            errors.errors(y, reference, errors.spacing(reference, FORMATS["float32"]), FORMATS["float32"]),
        )
        worst.met += x.size
    assert rows["exp"][2:4] == [str(worst.met), f"{worst.largest:.4f}"]
    assert "not among its ops: exp2, " in printed
    assert "subnormal operands    float32   kept" in printed


def test_a_worker_s_figure_that_is_too_small_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boastful = tmp_path / "boastful_worker.py"
    boastful.write_text(
        TEMPLATE.read_text(encoding="utf-8").replace('"exp": 4, "sin": 4', '"exp": 0.5, "sin": 4')
    )
    assert main(["--every", "1000003", "--dtype", "float32", "--backend", str(boastful), "exp", "sin"]) == 1
    exceeded = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "EXCEEDED" in line]
    assert exceeded == ["exp"]


@pytest.mark.parametrize(
    ("name", "broken", "denied"),
    [
        (
            "multiply",
            "lambda a, b: np.multiply(a, b) * (np.abs(a * b) >= np.finfo(a.dtype).tiny)",
            "subnormal results",
        ),
        (
            "multiply",
            "lambda a, b: np.where(np.abs(a) < np.finfo(a.dtype).tiny, 0, a) * b",
            "subnormal operands",
        ),
        ("add", "lambda a, b: (a.astype(float) * (1 + 2e-8) + b).astype(a.dtype)", "x * y - z"),
    ],
)
def test_arithmetic_that_a_profile_denies_is_reported(
    name: str, broken: str, denied: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = tmp_path / "broken_worker.py"
    worker.write_text(TEMPLATE.read_text(encoding="utf-8").replace(f"(np.{name},", f"({broken},"))
    assert main(["--every", "10000019", "--dtype", "float32", "--backend", str(worker)]) == 1
    assert denied in [
        line[:22].rstrip() for line in capsys.readouterr().out.splitlines() if "EXCEEDED" in line
    ]


def test_quotients_by_reciprocals_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, slope = TEMPLATE.read_text(encoding="utf-8"), "lambda a, b, y: (1 / b, -y / b)"
    for function, exit_code in (("np.divide", 0), ("lambda a, b: a * (1 / b)", 1)):
        worker = tmp_path / f"dividing_worker_{exit_code}.py"
        worker.write_text(text.replace("OPS = {", f'OPS = {{"divide": ({function}, {slope}),'))
        assert main(["--every", "10000019", "--dtype", "float32", "--backend", str(worker)]) == exit_code
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("quotient")]
        assert len(lines) == 4
        assert sum("EXCEEDED" in line for line in lines) == 4 * exit_code


def test_what_a_worker_refuses_is_no_error_of_its_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    backend = WorkerBackend([sys.executable, str(TEMPLATE)])
    with pytest.raises(kernels.NoValueError, match=r"template has no value: \{'op': 'arctan'\}"):
        WorkerKernels(backend).call("arctan", "float32", (np.ones(3, "f"),), CONTIGUOUS)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_half_format_is_measured_at_each_of_its_numbers(dtype: str) -> None:
    fmt = FORMATS[dtype]
    ((x,),) = points.inputs(FUNCTIONS["sin"], fmt, 1, 0, 0)
    numbers = 2**15 - 2 ** (fmt.bits - 1)  # of one sign, with zero, without infinity and NaN
    assert x.size == 2 * numbers
    assert np.array_equal(points.held(x.astype(float), fmt), x)
    assert np.abs(x[x != 0]).min() == fmt.least
    assert points.held(x, fmt).max() == fmt.max


def test_a_function_of_another_kind_of_backend_is_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--backend", "refgrad.torch.backend:TorchBackend"])
    assert "is no worker; torch or a worker is expected" in capsys.readouterr().err
