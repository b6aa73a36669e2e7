"""Functions with twins: their registration, and calls in the form of a node."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.errors import RegistrationError
from refgrad.formula import Formula
from refgrad.op import FUNCTIONS, REGISTRY, Draws, Function, known, twin
from refgrad.op.draws import Seeded
from refgrad.op.function import split


@pytest.fixture(autouse=True)
def functions_kept() -> Iterator[None]:
    before = dict(FUNCTIONS)
    yield
    FUNCTIONS.clear()
    FUNCTIONS.update(before)


def affine(x: Any, weight: Any = None, bias: Any = None, scale: float = 2.0) -> Any:
    y = scale * x if weight is None else scale * x * weight
    return y if bias is None else y + bias


def draw(d: Draws) -> dict[str, Any]:
    bias = d.numbers((3,)) if d.choice((True, False)) else None
    return {"bias": bias, "x": d.numbers((2, 3))}


def declared(**more: Any) -> Function:
    fields = {
        "torch": lambda torch, x, weight, bias, scale: torch.affine(x, weight, bias, scale),
        "draw": draw,
        **more,
    }
    assert twin(**fields)(affine) is affine
    return FUNCTIONS[f"{__name__}.affine"]


def test_every_function_of_refgrad_is_named_as_users_call_it() -> None:
    assert {"nn.linear", "nn.cross_entropy", "nn.layer_norm"} <= FUNCTIONS.keys()
    for name, function in FUNCTIONS.items():
        package, attribute = name.split(".")
        named = getattr(getattr(rg, package), attribute)
        if function.home.endswith("_twins"):  # another form of the function that users call
            assert callable(named)
        else:
            assert named is function.composition
        assert function.home.startswith(f"refgrad.{package}")
        assert known(name) is function
    assert not FUNCTIONS.keys() & REGISTRY.keys()
    assert known("exp") is REGISTRY["exp"]
    assert known("nn.no_such_function") is None


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_draw_is_a_call_of_the_function(name: str) -> None:
    function = FUNCTIONS[name]
    for seed in range(40):
        arguments = function.drawn(Draws(Seeded(np.random.default_rng(seed))))
        assert list(arguments) == list(function.names)
        operands, params = split(arguments)
        assert list(operands) == list(function.operands(params))
        assert any(x.dtype.kind == "f" for x in operands.values())
        y = np.asarray(function.forward(*operands.values(), **params))
        assert y.dtype.kind == "f"
        whole = function.composition(**arguments)
        assert np.array_equal(y, whole[0] if isinstance(whole, tuple) else whole, equal_nan=True)
    operands, params = function.domain.sample(np.random.default_rng(0), len(function.names))
    assert len(operands) + len(params) == len(function.names)


def test_operands_take_the_names_that_parameters_leave_open() -> None:
    function, x, b = declared(), np.arange(6.0).reshape(2, 3), np.ones(3)
    params = {"weight": None, "scale": 3.0}
    assert function.operands(params) == ("x", "bias")
    assert np.array_equal(function.forward(x, b, **params), 3 * x + 1)
    called: list[Any] = []
    module = SimpleNamespace(affine=lambda *args: called.append(args))
    function.torch(module, x, b, **params)
    assert called == [(x, None, b, 3.0)] or all(
        p is q or p == q for p, q in zip(called[0], (x, None, b, 3.0), strict=True)
    )


def test_a_call_without_an_argument_of_a_later_release_has_its_default() -> None:
    function = declared()
    assert function.completed({"weight": None}, 2) == {"weight": None, "scale": 2.0}
    assert function.completed({"weight": None, "bias": None, "scale": 1.0}, 1) == {
        "weight": None,
        "bias": None,
        "scale": 1.0,
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"torch": lambda torch, x: x}, r"torch= takes the torch module and the arguments \['x', 'weight', 'bias', 'scale'\]"),
        ({"torch": lambda torch, *xs: xs}, "every argument has to have a name"),
        ({"plain": ("wieght",)}, r"plain names \['wieght'\]"),
        ({"usual": (Formula("rules", jvp=lambda x_dot: x_dot, vjp=lambda y_bar: y_bar),)}, "formula 'rules' has rules"),
    ],
)  # fmt: skip
def test_a_declaration_that_contradicts_itself_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(RegistrationError, match=said):
        declared(**more)
    assert f"{__name__}.affine" not in FUNCTIONS


def test_a_function_is_declared_once() -> None:
    declared()
    with pytest.raises(RegistrationError, match="declared twice"):
        declared()


def test_a_drawer_that_names_other_arguments_is_refused() -> None:
    function = declared(draw=lambda d: {"y": d.numbers((2,))})
    with pytest.raises(
        RegistrationError, match=r"draw returned the arguments \['bias', 'scale', 'weight', 'y'\]"
    ):
        function.drawn(Draws(Seeded(np.random.default_rng(0))))


def test_a_declared_function_stays_an_ordinary_one() -> None:
    x, w = np.random.default_rng(0).standard_normal((2, 2, 3))
    recorded = rg.Graph.record(nn.linear, x, w)
    assert not any(isinstance(node.op, Function) for node in recorded.nodes)


def test_the_judged_output_of_a_function_that_returns_a_tuple_for_some_arguments() -> None:
    function = FUNCTIONS["nn.max_pool1d"]
    x = np.arange(6.0).reshape(1, 1, 6)
    found = [
        function.forward(x, **function.completed({"kernel_size": 2, "return_indices": indices}, 1))
        for indices in (False, True)
    ]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], [[[1.0, 3.0, 5.0]]])
