"""Which inputs are differentiated, and what is no argument of a check."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.errors import ArgumentError, DtypeError  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.checking.arguments import active_of, outputs_of, tensors_of, title, usage  # noqa: E402
from tests.torch_functions import Cube  # noqa: E402


def prototype(make, *args, **options):
    """A tensor of a kind of which torch warns that it may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args, **options)


def test_inputs_that_require_a_gradient_or_all_of_floating_point() -> None:
    x, y, k = torch.ones(2), torch.ones(2, requires_grad=True), torch.arange(2)
    assert active_of((x, y, k, 3.0), "check") == [1]
    assert active_of((x, k, x), "check") == [0, 2]


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        ((torch.arange(2), "a"), DtypeError, "got \\['torch.int64', 'str'\\]"),
        ((np.ones(2),), DtypeError, "Pass torch.tensor"),
        (([torch.ones(2)],), ArgumentError, "input 0 is a list of tensors.*func\\(\\[a, b\\]\\)"),
        (({"a": torch.ones(2)},), ArgumentError, r"input 0 is a dict of tensors.*func\(dict\(a=a, b=b\)\)"),
        ((torch.eye(2).to_sparse(),), ArgumentError, "input 0 has the layout torch.sparse_coo; a dense"),
        ((prototype(torch.eye(2).to_sparse_csr),), ArgumentError, r"to_sparse\(layout=torch.sparse_csr\)"),
        (
            (prototype(torch.nested.nested_tensor, [torch.ones(2)]),),
            ArgumentError,
            "input 0 is a nested tensor; dense",
        ),
        (
            (prototype(torch.nested.nested_tensor, [torch.ones(2)], layout=torch.jagged),),
            ArgumentError,
            "as_nested_tensor.*layout=torch.jagged.*x.unbind",
        ),
        ((torch.ones(2, device="meta"),), ArgumentError, "input 0 is on the device meta"),
        ((SimpleNamespace(w=torch.ones(2)),), ArgumentError, "input 0 is a SimpleNamespace of tensors"),
    ],
)
def test_other_inputs(inputs, error, words) -> None:
    with pytest.raises(error, match=words):
        active_of(inputs, "check")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"func": Cube}, "func is the class Cube"),
        ({"func": torch.nn.Tanh}, "func is the class Tanh; a module is expected"),
        ({"func": 3}, "func is an int"),
        ({"reference": None}, "reference is None"),
        ({"reference": 3}, "reference is an int"),
        ({"dtypes": torch.float32}, "dtypes is torch.float32; a tuple is expected"),
        ({"dtypes": ()}, "a tuple is expected"),
        ({"repeats": 0}, "repeats is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_other_arguments(changed: dict, words: str) -> None:
    given = {"func": torch.sin, "reference": np.sin, "dtypes": ("float32",), "repeats": 1, "seed": 0}
    usage("check", *given.values())
    with pytest.raises(ArgumentError, match=words):
        usage("check", *{**given, **changed}.values())


def test_outputs_are_one_or_several_without_those_that_are_none() -> None:
    assert outputs_of(3.0, "func") == (3.0,)
    assert outputs_of([3.0, None, 2.0], "func") == (3.0, 2.0)
    assert outputs_of(None, "func") == (None,)  # refused by its kind, as any other object
    for nothing in ((), (None, None)):
        with pytest.raises(ArgumentError, match=r"func returned .*which holds no array"):
            outputs_of(nothing, "func")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda x: "a", "func returned 'a'; a tensor, or a tuple"),
        (lambda x: x.to("meta"), "output 1 of func is on the device meta"),
        (lambda x: torch.nested.nested_tensor([x[0], x[1]]), "output 1 of func is a nested tensor; .*unbind"),
        (lambda x: x.to_sparse(), "output 1 of func has the layout torch.sparse_coo; .*to_dense"),
        (lambda x: x.to_sparse_csr(), "output 1 of func has the layout torch.sparse_csr; .*to_dense"),
        (
            lambda x: torch.quantize_per_tensor(x, 0.5, 0, torch.qint8),
            "output 1 of func has the quantized dtype torch.qint8; .*dequantize",
        ),
        (lambda x: x.to_mkldnn(), "output 1 of func has the layout torch._mkldnn; .*to_dense"),
    ],
)
def test_outputs_that_are_no_dense_tensors_are_named(made, words) -> None:
    x = torch.eye(2)
    with pytest.raises(ArgumentError, match=words):
        tensors_of((x, prototype(made, x)))
    with pytest.raises(ArgumentError, match=words):
        gradcheck(lambda x: (x, prototype(made, x)), (x,), reference=lambda x: (x, x), dtypes=("float32",))


def test_titles() -> None:
    assert title(Cube.apply) == "Cube"
    assert title(title) == "title"
    assert title(torch.tanh) == "tanh"
