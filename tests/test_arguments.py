"""The mistakes of the first hour: each error names what was given, what was expected, and what to do."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.arguments import argnums_of, called, chosen, fitting, kind, names_of, outline
from refgrad.errors import ArgumentError, DtypeError, TracingError, is_tensor

X = np.array([1.0, 2.0, 3.0])


def square(x: Any) -> Any:
    return np.sum(x**2)


def returns_nothing(x: Any) -> None:
    np.sum(x)


def fills(x: Any) -> Any:
    y = np.zeros(3)
    y[0] = x[0]
    return np.sum(y)


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "function and argument change places": (
        lambda: rg.grad(X, square), ArgumentError, r"grad: f is an array of shape \(3,\); a function .* is expected as the first argument",
    ),
    "the arguments come at once": (
        lambda: rg.grad(square, X),
        ArgumentError, r"grad: argnums is an array of shape \(3,\); an int or a tuple of ints is expected.*grad\(f\)\(x\)",
    ),
    "argnums is a name": (lambda: rg.jacfwd(square, "x"), ArgumentError, "jacfwd: argnums is 'x'; an int or a tuple of ints"),
    "argnums twice": (lambda: rg.grad(square, (0, -1))(X), ArgumentError, r"argnums=\(0, -1\) names an argument twice"),
    "by name": (
        lambda: rg.grad(square)(x=X), ArgumentError, r"called with 0 positional arguments \(x by name: pass by position",
    ),
    "integers in the second argument": (
        lambda: rg.grad(lambda a, b: a * b, 1)(2.0, 3), DtypeError, r"grad: argument 1 is an int; .*float\(x\)",
    ),
    "integers in a hessian": (lambda: rg.hessian(square)(np.arange(3)), DtypeError, "hessian: argument 0 has dtype int64"),
    "text": (lambda: rg.grad(square)("3"), DtypeError, "grad: argument 0 is '3'; float16, float32"),
    "nothing": (lambda: rg.jacrev(square)(None), DtypeError, "jacrev: the argument is None; an array of float16, float32"),
    "no return": (lambda: rg.grad(returns_nothing)(X), DtypeError, "grad: what f returned is None; .*without a return"),
    "no return, forward": (lambda: rg.jvp(returns_nothing, (X,), (X,)), DtypeError, "jvp: what f returned is None"),
    "no return, Jacobian": (lambda: rg.jacrev(returns_nothing)(X), DtypeError, "jacrev: what f returned is None"),
    "a tuple": (
        lambda: rg.grad(lambda x: (x[0], x[1]))(X), ArgumentError, r"single number, got \(shape \(\), shape \(\)\)\. Use jacrev",
    ),
    "an index": (lambda: rg.grad(np.argmax)(X), DtypeError, r"got dtype int64\. Integers and booleans \(np\.argmax"),
    "a complex result": (lambda: rg.grad(lambda x: x * 1j)(1.0), DtypeError, "must return a real number, got dtype complex128"),
    "a complex Jacobian": (lambda: rg.jacrev(lambda x: x * 1j)(X), DtypeError, "what f returned has dtype complex128; real numbers"),
    "a Jacobian of complex numbers": (lambda: rg.jacfwd(np.exp)(X + 1j), DtypeError, "argument 0 has dtype complex128; real numbers"),
    "a complex Hessian": (lambda: rg.hessian(lambda z: np.sum(np.abs(z)))(X + 1j), DtypeError, "hessian: argument 0 has dtype complex"),
    "no tuples": (lambda: rg.hvp(square, X, X), ArgumentError, r"hvp: primals and tangents are tuples.*hvp\(f, \(x,\), \(x_dot,\)\)"),
    "nothing to draw": (lambda: rg.draw(X, X), ArgumentError, r"draw: f is an array of shape \(3,\); a function"),
    "an element written": (lambda: rg.grad(fills)(X), TracingError, r"to a plain array.*np.zeros\(n, like=x\)"),
    "math": (lambda: rg.grad(math.sin)(1.0), TracingError, r"np\.sin, not math\.sin"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name: str) -> None:
    call, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("kind_of_tensor", ["tensor", "parameter"])
def test_tensors_are_refused_by_name(kind_of_tensor: str) -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(3) if kind_of_tensor == "tensor" else torch.nn.Parameter(torch.ones(3))
    assert is_tensor(x)
    assert not is_tensor(X)
    for call in (
        lambda: rg.grad(square)(x),
        lambda: rg.vjp(np.sin, x),
        lambda: rg.jvp(np.sin, (X,), (x,)),
        lambda: rg.vjp(lambda _: x, X),
        lambda: rg.nn.softmax(x),
        lambda: rg.draw(np.sin, x),
    ):
        with pytest.raises(
            DtypeError, match=r"is a torch tensor; a NumPy array is expected\. Pass x\.detach"
        ):
            call()


def test_torch_functions_refuse_traced_arrays() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(TracingError, match=r"torch's sin was called .*\(np\.sin, not torch\.sin"):
        rg.grad(lambda x: torch.sin(x).sum())(X)
    with pytest.raises(TracingError, match="torch's add was called"):
        rg.jvp(lambda x: torch.add(torch.ones(3), x), (X,), (X,))


def test_without_torch_the_error_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['torch'] = None; import refgrad.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "refgrad.torch judges PyTorch, which is not installed: python3 -m pip install torch" in done.stderr


def test_an_error_of_the_function_comes_through_as_it_is() -> None:
    def fails(x: Any) -> Any:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        called(fails, (X,))


def test_a_traced_number_can_be_printed() -> None:
    shown = []
    rg.grad(lambda x: shown.append(f"{x:.2f} and {x}") or x)(1.5)
    assert shown == ["1.50 and Var(np.float64(1.5))"]


def test_arguments_by_name_are_passed_on() -> None:
    for transform, expected in ((rg.grad, 6.0), (rg.jacrev, 6.0), (rg.jacfwd, 6.0), (rg.hessian, 2.0)):
        assert transform(lambda x, power: x**power)(3.0, power=2) == expected


def test_names_and_outlines() -> None:
    assert names_of((1, {"w": [2, 3]})) == ["argument 0", "argument 1['w'][0]", "argument 1['w'][1]"]
    assert names_of((1,), (4,)) == ["argument 4"]
    assert outline((X, {"a": 1.0}, None)) == "(shape (3,), {'a': shape ()}, None)"
    assert (kind(X), kind(None), kind("a"), kind(3), kind([])) == (
        "an array of shape (3,)",
        "None",
        "'a'",
        "an int",
        "a list",
    )
    assert argnums_of(np.int64(1), "grad") == 1
    assert argnums_of(range(2), "grad") == (0, 1)
    assert chosen((5, 6, 7), (-1, 0), "grad") == ((7, 5), (2, 0))
    assert fitting(1, np.float32(2), "it").dtype == np.float32
