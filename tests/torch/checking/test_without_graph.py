"""The value where nothing requires a gradient: another path for inference is judged, too."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402


def cube(x):
    return x * x * x


def quick(x):
    return x * x * x if torch.is_grad_enabled() else x * x


def differentiating(x):
    """Differentiates inside, which torch.no_grad() does not let it."""
    y = (x**4).sum() / 4
    return torch.autograd.grad(y, x, create_graph=True)[0]


def judged(func, **options):
    x = torch.tensor([0.5, -1.25, 2.0], requires_grad=True)
    return gradcheck(
        func, (x,), reference=cube, dtypes=("float64",), check_forward=False, raise_exception=False, **options
    )


def test_another_value_without_gradients_is_caught() -> None:
    report = judged(quick)
    assert report.status == "disagree"
    assert "output 0[2]: under torch.no_grad() got 4.0, expected 8.0" in report.summary()
    assert judged(quick, fast_mode=True).status == "agree"


@pytest.mark.parametrize("func", [cube, differentiating])
def test_the_same_value_agrees_and_a_func_that_needs_a_graph_is_not_asked(func) -> None:
    report = judged(func)
    assert (report.status, report.notes) == ("agree", [])
