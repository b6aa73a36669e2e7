"""A callable and its reference as functions of what is differentiated: layouts kept, outputs without a gradient left out."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.errors import ArgumentError  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.checking.evaluation import Raised  # noqa: E402
from refgrad.torch.checking.subject import Subject  # noqa: E402


def ready(func, reference, arguments, active=(0,), dtype: str = "float32") -> Subject:
    subject = Subject(func, reference, arguments, active, dtype)
    subject.run()
    subject.compare_shapes()
    return subject


def test_inputs_are_cast_and_keep_their_layout() -> None:
    x = torch.ones(4, 6, dtype=torch.float64)[:, ::2].T
    subject = ready(lambda x, k, s: x * s, lambda x, k, s: x * s, (x, torch.arange(3), 2.0))
    assert subject.xs[0].dtype == torch.float32
    assert subject.xs[0].stride() == x.stride()
    assert subject.arguments[2] == 2.0


def test_outputs_without_a_gradient_are_left_out() -> None:
    def func(x):
        return torch.argsort(x), x**2, (2 * x).detach()

    subject = ready(func, lambda x: (np.argsort(x), x**2, 2 * x), (torch.tensor([2.0, 1.0]),))
    assert subject.used == (1,)
    assert subject.count == 3
    assert [y.tolist() for y in subject.in_torch(subject.xs[0])] == [[4.0, 1.0]]
    assert [y.tolist() for y in subject.over_balls(np.array([2.0, 1.0]))] == [[4.0, 1.0]]
    assert not subject.has_functions


def test_where_nothing_has_a_gradient_all_floating_outputs_are_asked() -> None:
    assert ready(lambda x: (x.detach(), x.detach()), lambda x: (x, x), (torch.ones(2),)).used == (0, 1)


def test_cotangents_of_the_outputs_that_have_a_gradient() -> None:
    subject = ready(lambda x: (torch.argsort(x), x**2), lambda x: (np.argsort(x), x**2), (torch.ones(2),))
    (found,) = subject.cotangents((None, torch.full((2,), 0.1, dtype=torch.float64)))
    assert found.dtype == torch.float32
    for given, words in [((torch.ones(2),), "one for each output"), ((None, torch.ones(3)), "has shape")]:
        with pytest.raises(ArgumentError, match=words):
            subject.cotangents(given)


def test_what_func_raises_is_told_apart() -> None:
    def func(x):
        raise KeyError("gone")

    with pytest.raises(Raised) as raised:
        Subject(func, np.sin, (torch.ones(2),), (0,), "float32").run()
    assert isinstance(raised.value.error, KeyError)
    with pytest.raises(ArgumentError, match="func returned an int"):
        Subject(lambda x: 3, np.sin, (torch.ones(2),), (0,), "float32").run()


def test_weights_that_are_no_inputs_are_noted() -> None:
    """The gradient of a weight inside of a module is not judged, and the report says so."""
    module = torch.nn.Linear(3, 2).double()
    w, b = (p.detach().numpy() for p in module.parameters())
    x = torch.randn(4, 3)
    report = gradcheck(module, (x,), reference=lambda x: x @ w.T + b, dtypes=("float64",))
    (note,) = report.notes
    assert note.startswith("func has 2 further tensor(s) that require a gradient, of shape (2, 3), (2,):")

    def func(x, w, b):
        return torch.func.functional_call(module, {"weight": w, "bias": b}, (x,))

    inputs = (x, *[p.detach() for p in module.parameters()])
    assert gradcheck(func, inputs, reference=lambda x, w, b: x @ w.T + b, dtypes=("float64",)).notes == []
