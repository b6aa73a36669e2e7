"""Each order of nesting asks torch for the derivative that it names; what torch leaves unsaid is said."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from refgrad.torch.checking.orders import ORDERS, NotOfferedError, Seeds, functions_of  # noqa: E402
from tests.torch_functions import BackwardOnly, Cube, NoGraph, Once  # noqa: E402


def t(*numbers: float):
    return torch.tensor(numbers, dtype=torch.float64)


X, Y_BAR, X_DOT, Y_BAR_DOT, X_DOT_AGAIN = t(1.5, -2.0), t(0.25, 3.0), t(2.0, 0.5), t(1.0, -4.0), t(0.75, 8.0)
SEEDS = Seeds((Y_BAR,), (X_DOT,), (Y_BAR_DOT,), (X_DOT_AGAIN,))
DUE = {  # of y = x^3
    "reverse over reverse": [6 * X * X_DOT * Y_BAR, 3 * X**2 * X_DOT],
    "forward over reverse": [6 * X * X_DOT * Y_BAR + 3 * X**2 * Y_BAR_DOT],
    "reverse over forward": [6 * X * X_DOT * Y_BAR, 3 * X**2 * Y_BAR],
    "forward over forward": [6 * X * X_DOT * X_DOT_AGAIN],
}


def evaluate(order: str, f, seeds: Seeds = SEEDS, xs=(X,)):
    return [a and a.got for a in ORDERS[order].evaluate(f, xs, [seeds])]


@pytest.mark.parametrize("order", list(DUE))
def test_the_derivatives_of_a_cube(order: str) -> None:
    found = evaluate(order, lambda x: (x**3,))
    assert [g.tolist() for g in found] == [g.tolist() for g in DUE[order]]


@pytest.mark.parametrize("order", ["reverse over reverse", "forward over reverse", "reverse over forward"])
@pytest.mark.parametrize("through", ["apply", "vmap"])
def test_the_derivatives_of_a_function(order: str, through: str) -> None:
    f = Cube.apply if through == "apply" else torch.func.vmap(Cube.apply)
    found = evaluate(order, lambda x: (f(x),))
    assert [g.tolist() for g in found] == [g.tolist() for g in DUE[order]]


def test_nested_tangents_that_torch_loses_are_no_answer() -> None:
    # pytorch 197867: zeros for the second derivative of any Function. Where torch mends it, the answer is judged.
    try:
        (found,) = evaluate("forward over forward", lambda x: (Cube.apply(x),))
    except NotOfferedError as error:
        assert "loses the outer tangent" in str(error)  # noqa: PT017
    else:
        assert found.tolist() == DUE["forward over forward"][0].tolist()


def test_once_differentiable_is_heard_even_beside_another_path() -> None:
    # torch.autograd.grad gives None for Once(x), and a part of the derivative for Once(sin x).
    for f in (Once.apply, lambda x: Once.apply(torch.sin(x))):
        with pytest.raises(RuntimeError, match="once_differentiable"):
            evaluate("reverse over reverse", lambda x, f=f: (f(x),))


def test_a_gradient_without_a_graph_is_named() -> None:
    answers = ORDERS["reverse over reverse"].evaluate(lambda x: (NoGraph.apply(x),), (X,), [SEEDS])
    assert [a.got for a in answers] == [None, None]
    assert all("carry no graph" in a.why for a in answers)


def test_a_linear_function_has_no_path_to_the_input() -> None:
    second, first = evaluate("reverse over reverse", lambda x: (3 * x,))
    assert second is None
    assert first.tolist() == (3 * X_DOT).tolist()


def test_seeds_that_are_not_given_are_zero_and_not_asked_for() -> None:
    def f(a, b):
        return a * b, a * a

    seeds = Seeds((Y_BAR, None), (X_DOT, None), (None, None), (X_DOT, X_DOT))
    a_second, b_second, y_bar, absent = evaluate("reverse over reverse", f, seeds, (X, Y_BAR))
    assert a_second is None or not a_second.any()  # d/da of <y_bar, b a_dot>
    assert b_second.tolist() == (X_DOT * Y_BAR).tolist()
    assert y_bar.tolist() == (Y_BAR * X_DOT).tolist()
    assert absent is None
    tangents = evaluate("forward over reverse", f, seeds, (X, Y_BAR))
    assert tangents[1].tolist() == (Y_BAR * X_DOT).tolist()


def test_a_softmax_in_reverse_over_forward() -> None:
    # torch.autograd.forward_ad writes over what the backward of its tangent needs: torch.func is asked in its place.
    found, _ = evaluate("reverse over forward", lambda x: (torch.softmax(x, -1),))
    s = torch.softmax(X, -1)
    due = torch.func.grad(lambda x: (Y_BAR * _softmax_tangent(x)).sum())(X)
    assert torch.allclose(found, due, rtol=1e-12)
    assert s.shape == found.shape


def _softmax_tangent(x):
    s = torch.exp(x) / torch.exp(x).sum(-1)
    return s * (X_DOT - (s * X_DOT).sum(-1))


def test_what_has_a_function_in_it() -> None:
    x = X.clone().requires_grad_()
    assert functions_of([torch.sin(BackwardOnly.apply(x) + x)]) == [BackwardOnly]
    assert functions_of([torch.func.vmap(Cube.apply)(x)])
    assert not functions_of([torch.sin(x), torch.softmax(x, -1)])
