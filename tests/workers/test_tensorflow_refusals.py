"""What TensorFlow's worker counts as a refusal: read from the type and the words of an exception, without TensorFlow."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

from refgrad.backends.shipped import FOLDER


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module as a worker imports it, beside ``serving``."""
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ("serving", "tensorflow_refusals")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("tensorflow_refusals")
    for name in names:
        del sys.modules[name]


# As TensorFlow 2.21 words them.
REFUSED = [
    LookupError("gradient registry has no entry for: Betainc"),
    LookupError(
        "No gradient defined for operation'NextAfter' (op type: NextAfter). In general every operation must have ..."
    ),
    NotImplementedError("QrGrad not implemented when nrows > ncols and full_matrices is true."),
    NotImplementedError("svd gradient is not implemented for abs(m - n) > 1 when full_matrices is True."),
    NotImplementedError("SVD gradient has not been implemented for input with unknown inner matrix shape."),
    NotImplementedError("Gradient for SparseDenseCwiseAdd is not implemented."),
]
FAULTS = [
    KeyError("gradient registry has no entry for: Betainc"),
    IndexError("No gradient defined for operation 'NextAfter'"),
    LookupError("no such tensor"),
    NotImplementedError("numpy() is only available when eager execution is enabled."),
    NotImplementedError(),
    ValueError("No gradient defined for operation 'NextAfter'"),
    NotImplementedError("Gradient for an op: the kernel is not implemented"),
    RuntimeError("svd gradient is not implemented"),
]


@pytest.mark.parametrize("error", REFUSED, ids=repr)
def test_a_missing_derivative_is_a_refusal(refusals: ModuleType, error: Exception) -> None:
    found = refusals.why(error)
    assert found["refused"]
    assert found["words"].startswith(f"{type(error).__name__}: {str(error)[:40]}")


@pytest.mark.parametrize("error", FAULTS, ids=repr)
def test_any_other_exception_is_a_fault(refusals: ModuleType, error: Exception) -> None:
    """Another type with the same words, a subclass of the type, and the type in other words."""
    found = refusals.why(error)
    assert not found["refused"]
    assert type(error).__name__ in found["details"]


@pytest.mark.parametrize("error", [*REFUSED, *FAULTS], ids=repr)
def test_the_exception_of_a_node_is_read_by_its_cause(refusals: ModuleType, error: Exception) -> None:
    failed = refusals.serving.Failed(3)
    failed.__cause__ = error
    found = refusals.why(failed)
    assert (found["refused"], found["node"]) == (error in REFUSED, 3)


def test_an_error_of_a_compiled_graph_is_told_by_the_line_of_its_kernel(refusals: ModuleType) -> None:
    text = (
        "Graph execution error:\n\nDetected at node pow defined at:\n  File main.py\n"
        "Expected an exponent of 0 or more\n\t [[{{node pow}}]] [Op:__inference_f_1]"
    )
    found = refusals.why(RuntimeError(text))
    assert found["words"] == "RuntimeError: Expected an exponent of 0 or more"
    assert not found["refused"]


def test_a_cast_to_eight_bits_has_no_derivative(refusals: ModuleType) -> None:
    def node(op: str | None, **params: object) -> SimpleNamespace:
        return SimpleNamespace(op=op, params=params)

    nodes = [node(None), node("cast_through", through="float16"), node("sin")]
    assert refusals.of_casts(nodes) == {}
    found = refusals.of_casts([*nodes, node("cast_through", through="float8_e5m2")])
    assert found.keys() == {"reverse", "forward"}
    assert all(why["refused"] and why["node"] == 3 and "8 bits" in why["words"] for why in found.values())
    given = [*nodes, node("cast_through", through="float8_e4m3")]
    assert refusals.of_casts(given, [{}, {}, {}, None])
    assert refusals.of_casts(given, [None, None, None, {}]) == {}, "a release that has the tangent is judged"
