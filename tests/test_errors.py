"""Errors: the built-in classes that they are, what they carry, and how a tensor is told."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import errors
from refgrad.errors import (
    RUNS,
    DtypeError,
    GradientMismatch,
    OperandError,
    TracingError,
    is_tensor,
    refuse_tensor,
)

BUILT_IN = {
    "RegistrationError": TypeError, "NoRuleError": NotImplementedError, "TracingError": TypeError, "ArgumentError": ValueError,
    "DtypeError": TypeError, "OperandError": TypeError, "GraphError": ValueError, "CaseFileError": ValueError,
    "ResultsWriteError": OSError, "DeviationsFileError": ValueError, "DeviceMissingError": RuntimeError,
    "WorkerError": RuntimeError, "WorkerLateError": RuntimeError, "NoCaseError": LookupError, "CaseInterruptedError": RuntimeError,
    "SideEffectError": RuntimeError, "GradientMismatch": AssertionError, "GradientUndecided": AssertionError,
}  # fmt: skip


def test_every_error_is_also_a_built_in_one_that_callers_may_expect() -> None:
    listed = {
        k: v for k, v in vars(errors).items() if isinstance(v, type) and issubclass(v, errors.RefgradError)
    }
    assert {k for k in listed if k != "RefgradError"} == set(BUILT_IN)
    for name, built_in in BUILT_IN.items():
        assert issubclass(listed[name], built_in), name


def test_a_tracing_error_is_noted_by_every_function_that_runs() -> None:
    class Run:
        def __init__(self) -> None:
            self.noted: list[TracingError] = []

        def note(self, error: TracingError) -> None:
            self.noted.append(error)

    inner, outer = Run(), Run()
    RUNS.extend([outer, inner])
    try:
        error = OperandError("a set", (2,))
    finally:
        del RUNS[-2:]
    assert outer.noted == inner.noted == [error]
    assert error.levels == (2,)
    assert TracingError("later").levels == ()
    assert len(outer.noted) == 1


def test_a_mismatch_holds_its_report() -> None:
    report = object()
    assert GradientMismatch("wrong", report).report is report
    assert str(GradientMismatch("wrong", report)) == "wrong"


def test_a_tensor_is_told_by_its_class_without_torch() -> None:
    Tensor = type("Tensor", (), {"__module__": "torch"})
    Parameter = type("Parameter", (Tensor,), {"__module__": "mine.layers"})
    for tensor in (Tensor(), Parameter()):
        assert is_tensor(tensor)
        with pytest.raises(DtypeError, match=r"argument 2 is a torch tensor; .* Pass x.detach\(\).numpy\(\)"):
            refuse_tensor(tensor, "argument 2")
    for other in (np.ones(2), 1.0, type("Tensor", (), {"__module__": "mytorch"})()):
        assert not is_tensor(other)
        refuse_tensor(other, "it")
