"""gradcheck and right callables, whose reference is spelt by another formula or whose habits look strange: never called wrong."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402  after the import that may skip
from tests.torch_side.zoo.controls import CONTROLS  # noqa: E402
from tests.torch_side.zoo.pairs import PAIRS, SWISH, Pair  # noqa: E402
from tests.torch_side.zoo.record import FOUR  # noqa: E402


def statuses(pair: Pair, dtype: str, seeds: int) -> set[str]:
    return {
        gradcheck(pair.kernel, pair.drawn(seed), reference=pair.reference, dtypes=(dtype,), seed=seed, raise_exception=False).status
        for seed in range(seeds)
    }  # fmt: skip


def test_there_are_enough() -> None:
    assert len({p.name for p in PAIRS}) == len(PAIRS) >= 18


@pytest.mark.parametrize("dtype", FOUR)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p.name)
def test_another_formula_is_at_worst_imprecise(pair: Pair, dtype: str) -> None:
    assert statuses(pair, dtype, seeds=3) <= {"agree", "imprecise"}


@pytest.mark.parametrize("dtype", FOUR)
@pytest.mark.parametrize("pair", CONTROLS, ids=lambda p: p.name)
def test_habits_of_right_code_are_no_mistakes(pair: Pair, dtype: str) -> None:
    assert statuses(pair, dtype, seeds=1) <= {"agree", "imprecise"}


@pytest.mark.parametrize("dtype", FOUR)
@pytest.mark.parametrize("pair", SWISH, ids=lambda p: p.name)
def test_the_example_of_the_readme(pair: Pair, dtype: str) -> None:
    small = pair is SWISH[0]
    assert statuses(pair, dtype, seeds=10 if small else 1) <= {"agree", "imprecise"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_wrong_slope_is_no_other_formula(dtype: str) -> None:
    # The scale that excuses lost digits does not excuse a slope that is off by one part in ten thousand.
    class Off(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sigmoid(x)

        @staticmethod
        def backward(ctx, g):
            s = torch.sigmoid(ctx.saved_tensors[0])
            return 1.0001 * g * s * (1 - s)

    sigmoid = next(p for p in PAIRS if p.kernel is torch.sigmoid)
    wrong = Pair("off", Off.apply, sigmoid.reference, sigmoid.inputs)
    assert statuses(wrong, dtype, seeds=3) == {"disagree"}
