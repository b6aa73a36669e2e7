"""Answers at constructed inputs: a branch that they happen to meet is no disagreement, and what the reference refuses is not judged."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402


def step(x):
    return torch.where(x >= 1, 2 * x, x + 1)


def step_reference(x):
    return np.where(x > 1, 2 * x, x + 1)


def test_a_branch_that_other_inputs_meet_is_not_judged() -> None:
    x = torch.tensor([[1.6, 0.3, 3.0]], dtype=torch.float64)  # 1.6 times 0.625 is 1
    assert gradcheck(step, (x,), reference=step_reference, dtypes=("float64",)).status == "agree"


def test_a_branch_of_the_given_inputs_is_judged() -> None:
    x = torch.tensor([[1.0, 0.3, 3.0]])
    report = gradcheck(step, (x,), reference=step_reference, raise_exception=False)
    assert report.status == "disagree"


def test_what_the_reference_refuses_is_not_judged() -> None:
    x = torch.tensor([[1.5, 2.0, 3.0]])

    def reference(x):
        assert (x > 1).all()
        return x * x

    assert gradcheck(torch.square, (x,), reference=reference).status == "agree"


def test_other_inputs_outside_of_the_domain_are_not_judged() -> None:
    x = torch.tensor([[1.5, 2.0, 3.0]])
    assert gradcheck(torch.acosh, (x,), reference=np.arccosh, dtypes=("float64",)).status == "agree"
