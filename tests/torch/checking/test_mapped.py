"""vmap over inputs: a rule for vmap is called, and each sample is compared with the reference."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.checking import mapped  # noqa: E402
from refgrad.torch.checking.subject import Subject  # noqa: E402
from tests.torch_functions import BackwardOnly, Cube  # noqa: E402

X = torch.tensor(np.random.default_rng(0).standard_normal((4, 3)))
W = torch.tensor(np.random.default_rng(1).standard_normal((4, 3)))


def verdict(func, xs=(X,), reference=lambda x: x**3, dtype: str = "float64", *, demanded: bool = False):
    subject = Subject(func, reference, xs, tuple(range(len(xs))), dtype)
    found = mapped.verdict(subject, seed=0, demanded=demanded, gradients=True)
    return found, subject.notes


class Zeros(Cube):
    """Its rule gives zeros."""

    @staticmethod
    def vmap(info, in_dims, x):
        return torch.zeros_like(x), in_dims[0]


class FirstAxis(Cube):
    """Its rule takes the samples to lie along the first axis."""

    @classmethod
    def vmap(cls, info, in_dims, x):
        return cls.apply(x), 0


class Product(torch.autograd.Function):
    """x w; its rule is right for samples of both, and forgets that one may be shared."""

    @staticmethod
    def forward(x, w):
        return x * w

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, y_bar):
        x, w = ctx.saved_tensors
        return y_bar * w, y_bar * x

    @staticmethod
    def vmap(info, in_dims, x, w):
        if None in in_dims:
            return (x + w if in_dims[0] is None else x * w), 0
        return x.movedim(in_dims[0], 0) * w.movedim(in_dims[1], 0), 0


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_right_rule_agrees_with_every_sample(dtype: str) -> None:
    found, notes = verdict(Cube.apply, dtype=dtype)
    assert found is not None
    assert (found.status, notes) == ("agree", [])
    assert [p.what for p in found.parts] == ["output 0", "gradient of input 0"]
    assert [p.elements for p in found.parts] == 2 * [2 * 3 * X.numel()]


@pytest.mark.parametrize("wrong", [Zeros, FirstAxis])
def test_a_wrong_rule_is_caught(wrong) -> None:
    found, _ = verdict(wrong.apply)
    assert found.status == "disagree"


def test_a_shared_input_is_asked() -> None:
    found, _ = verdict(Product.apply, (X, W), lambda x, w: x * w)
    assert found.status == "disagree"
    assert {q.layout for p in found.parts for q in p.wrong_in} == {
        "vmap over input 1 along axis 0, input 0 shared"
    }


def test_a_generated_rule_is_asked() -> None:
    class Generated(Cube):
        generate_vmap_rule = True
        vmap = torch.autograd.Function.vmap

    found, _ = verdict(Generated.apply)
    assert found.status == "agree"


def test_without_a_rule_it_is_asked_on_demand_alone() -> None:
    assert verdict(torch.sin, reference=np.sin)[0] is None
    assert verdict(torch.sin, reference=np.sin, demanded=True)[0].status == "agree"
    refused, _ = verdict(BackwardOnly.apply, demanded=True)
    assert refused.status == "unsupported"


def test_a_rule_that_raises_is_an_error() -> None:
    class Raises(Cube):
        @staticmethod
        def vmap(info, in_dims, x):
            raise KeyError("no sample")

    found, _ = verdict(Raises.apply)
    assert (found.status, "no sample" in found.reason) == ("error", True)


def test_gradcheck_asks_by_default() -> None:
    report = gradcheck(Zeros.apply, (X,), reference=lambda x: x**3, raise_exception=False)
    assert {v.status for _, v in report.verdicts if v.mode == mapped.MAPPED} == {"disagree"}
    assert gradcheck(Zeros.apply, (X,), reference=lambda x: x**3, fast_mode=True)


class Rows(torch.autograd.Function):
    """Takes rows of a table; its rule is right for samples of the indices, too."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x, index):
        return x[index]

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, index = inputs
        ctx.save_for_backward(index)
        ctx.rows = x.shape[0]

    @staticmethod
    def backward(ctx, y_bar):
        (index,) = ctx.saved_tensors
        return torch.zeros_like(y_bar[:1]).expand(ctx.rows, -1).index_add(0, index, y_bar), None

    @classmethod
    def vmap(cls, info, in_dims, x, index):
        xs = [x] * info.batch_size if in_dims[0] is None else x.unbind(in_dims[0])
        indices = [index] * info.batch_size if in_dims[1] is None else index.unbind(in_dims[1])
        return torch.stack([cls.apply(*own) for own in zip(xs, indices, strict=True)]), 0


class RowsOfTheFirstSample(Rows):
    """Its rule gives the indices of the first sample to all of them."""

    @classmethod
    def vmap(cls, info, in_dims, x, index):
        first = index if in_dims[1] is None else index.select(in_dims[1], 0)
        return super().vmap(info, (in_dims[0], None), x, first)


@pytest.mark.parametrize(("func", "status"), [(Rows, "agree"), (RowsOfTheFirstSample, "disagree")])
def test_samples_have_indices_of_their_own(func, status) -> None:
    subject = Subject(func.apply, lambda x, i: x[i], (X, torch.tensor([0, 2, 2, 1, 3])), (0,), "float64")
    found = mapped.verdict(subject, seed=0, demanded=False, gradients=True)
    assert found.status == status
    if status == "disagree":
        places = {q.layout for p in found.parts for q in p.wrong_in}
        assert places == {
            "vmap over input 0 along axis 0, input 1 along axis 0",
            "vmap over input 1 along axis 0, input 0 shared",
        }
