"""Wrong functions in torch become findings: as many as there are wrong ones, each by its name."""

import numpy as np
import pytest
import torch

from conformance.families import FAMILIES
from refgrad.records import Header
from refgrad.report.analysis.findings import findings
from refgrad.report.storage.load import load
from refgrad.testing.cases.source import Seeded
from refgrad.testing.runs.item import examine, write
from refgrad.testing.runs.results import ResultsFile
from refgrad.torch.observe import observe
from tests.recorded import STANDING

DTYPES = ("float64", "float32")
PROGRAMS = {"graphs": 80, "mlp": 20}


def wrong(function, slope):
    """A torch function with its value and another derivative, which is a function of x and y."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return function(x)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs, output)
            ctx.save_for_forward(*inputs, output)

        @staticmethod
        def backward(ctx, y_bar):
            return y_bar * slope(*ctx.saved_tensors)

        @staticmethod
        def jvp(ctx, x_dot):
            return x_dot * slope(*ctx.saved_tensors)

    return Wrong.apply


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "results.jsonl"
    results = ResultsFile(path, fresh=True)
    results.write(Header("0", "", ()))
    # torch compiles functions of its own when forward mode is first used.
    examine(FAMILIES["mlp"](Seeded([0]), "float64"), observe)
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(torch, "tanh", wrong(torch.tanh, lambda x, y: 1 - y))
        patch.setattr(torch, "exp", wrong(torch.exp, lambda x, y: 1.5 * y))
        for family, number in PROGRAMS.items():
            for dtype in DTYPES:
                for k in range(number):
                    case = FAMILIES[family](Seeded([4, k]), dtype)
                    write(results, case, examine(case, observe, STANDING))
    results.close()
    return findings(load(path))


def test_each_wrong_function_is_one_finding_and_nothing_else_is(found):
    assert sorted(f.op for f in found) == ["exp", "tanh"]
    assert {f.status for f in found} == {"disagree"}


def test_they_are_wrong_in_all_dtypes_and_directions_and_from_end_to_end(found):
    for f in found:
        assert f.dtypes == DTYPES
        assert {"reverse", "forward", "reverse end to end", "forward end to end"} == set(f.modes)
        assert f.smallest.mode == "reverse"
