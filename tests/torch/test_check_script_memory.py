"""Scripts of wrong answers lay inputs and cotangents in memory as they lay when the answer was wrong."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.testing.checks.array_verdict import Evidence, Question  # noqa: E402  torch decides whether this module runs at all
from refgrad.testing.checks.script_text import run  # noqa: E402
from tests.torch.wrong_answers import X, script_of  # noqa: E402


def strides_seen(x):
    """Wrong where memory is not contiguous."""
    return x * x if x.is_contiguous() else 3 * x * x


@pytest.mark.parametrize(
    ("strides", "offset"), [((1, 2), 0), ((8, 2), 3), ((0, 1), 0), ((3, 1), 5)], ids=["permuted", "gaps", "expanded", "offset"]
)  # fmt: skip
def test_inputs_lie_in_memory_as_they_lay(strides: tuple[int, ...], offset: int) -> None:
    x = np.broadcast_to(X[:1], X.shape).copy() if strides[0] == 0 else X
    expected = np.asarray(2 * x, np.longdouble)
    seen = Question("reverse", active=(0,))
    held = Evidence(seen, (x,), (np.ones_like(x),), 0, 6 * x, expected, 0 * x, (strides,), (offset,))
    assert run(script_of(strides_seen, held))[0] == (0 if strides == (3, 1) else 1)
    held.strides = ()
    assert run(script_of(strides_seen, held))[0] == 0


def seed_strides_seen(x):
    return Reader.apply(x)


class Reader(torch.autograd.Function):
    """Returns three times the cotangent where that is not contiguous."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g if g.is_contiguous() else 3 * g


def test_cotangents_lie_as_they_lay() -> None:
    held = Evidence(
        Question("reverse", active=(0,)),
        (X,),
        (X,),
        0,
        3 * X,
        np.asarray(X, np.longdouble),
        0 * X,
        (),
        (),
        ((1, 2),),
        (0,),
    )
    assert run(script_of(seed_strides_seen, held))[0] == 1
    held.seed_strides = ()
    assert run(script_of(seed_strides_seen, held))[0] == 0


def test_integers_lie_in_memory_too_and_integer_outputs_have_their_own_dtype() -> None:
    fn = lambda x, i: (x[i], i if i.is_contiguous() else i + 1)  # noqa: E731
    i = np.array([[0, 1], [1, 1]])
    held = Evidence(
        Question("forward", active=(0,)), (X, i), (), 1, i + 1, i, np.zeros(i.shape), ((3, 1), (1, 2)), (0, 0)
    )  # fmt: skip
    assert run(script_of(fn, held, mode="value"))[0] == 1
    held.strides = ()
    assert run(script_of(fn, held, mode="value"))[0] == 0


def test_layouts_with_a_name_need_no_strides() -> None:
    held = Evidence(
        Question("reverse", "", (0,), (0,), "permuted"), (X,), (np.ones_like(X),), 0, 6 * X, np.asarray(2 * X, np.longdouble), 0 * X,
    )  # fmt: skip
    assert run(script_of(strides_seen, held))[0] == 1
    held.question = Question("reverse", "", (0,), (0,), "as given")
    assert run(script_of(strides_seen, held))[0] == 0
