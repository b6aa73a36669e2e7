"""torch behind the contract: what it says of itself is what torch says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from refgrad import backends
from refgrad.bounds.formats import computed_on
from refgrad.bounds.profiles import CPU
from refgrad.errors import DeviceMissingError
from refgrad.graph import Graph
from refgrad.modes import NAMES
from refgrad.op import REGISTRY
from refgrad.testing import Case

TORCH = backends.load("torch")


def test_its_build_is_the_installed_one() -> None:
    assert TORCH.name == TORCH.address == "torch"
    assert str(TORCH.build) == f"torch {torch.__version__}"
    assert TORCH.build.kernels == torch.backends.cpu.get_cpu_capability()


def test_a_device_that_is_missing_has_a_reason() -> None:
    assert TORCH.missing("cpu") == ""
    assert "torch counts no CPUs" in TORCH.missing("cpu:1")
    with pytest.raises(DeviceMissingError, match="'nowhere' was asked for"):
        TORCH.require("nowhere")
    assert TORCH.describe("nowhere") == "not present: nowhere was not judged"
    assert TORCH.devices() == ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def test_it_computes_in_the_formats_of_cpus() -> None:
    assert all(TORCH.computes(dtype, "cpu") for dtype in computed_on())
    assert not TORCH.computes("tf32", "cpu")


def test_every_mode_has_a_name_of_torch_s() -> None:
    assert tuple(sorted(TORCH.modes)) == tuple(sorted(NAMES))
    assert TORCH.calls()["functional reverse"] == "func.vjp"
    assert all(called != mode for mode, called in TORCH.calls().items())


def test_its_ops_are_those_whose_record_names_a_counterpart() -> None:
    assert "tanh" in TORCH.ops
    assert {name for name in REGISTRY if name not in TORCH.ops} == {
        n for n, op in REGISTRY.items() if op.torch is None
    }


@pytest.mark.parametrize("order", [1, 2])
def test_an_observation_has_the_promise_and_every_mode_that_is_named(order: int) -> None:
    x = np.array([0.5, -1.0])
    case = Case("made", Graph.record(np.tanh, x), {"x": x}, {"x": x}, x, "float64", order=order)
    seen = TORCH.judged(case)
    assert seen.profile is CPU
    assert seen.support is None
    assert (seen.modes is not None) == (order == 2)
    if seen.modes is not None:
        assert set(seen.modes.answers) <= {*TORCH.modes, "plain reverse"}
        assert not seen.modes.unavailable
