"""torch at ties: its own conventions pass in every format, and a pooling that counts ties twice, or not at all, is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import refgrad as rg  # noqa: E402  torch decides whether this module runs at all
from refgrad import nn  # noqa: E402
from refgrad.bounds.formats import computed_on, format_of  # noqa: E402
from refgrad.testing.judging.ties import Tied, judge_ties  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402
from refgrad.tracing.ball import exact, nearest  # noqa: E402

Array = Any
DTYPES = tuple(computed_on("cpu"))


def judged(f: Callable[..., Any], kernel: Callable[..., Any], dtype: str, seed: int) -> list[Tied]:
    """What torch gives tied elements together: x holds small integers, w ordinary numbers or eighths."""
    fmt, torch_dtype = format_of(dtype), getattr(torch, dtype)
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (6, 8)).astype(float)
    w = rng.integers(-4, 5, (6, 3)) / 8 if seed % 3 == 0 else nearest(rng.standard_normal((6, 3)), fmt)
    leaves = [torch.tensor(a, dtype=torch_dtype, requires_grad=True) for a in (x, w)]
    y = kernel(*leaves)
    y_bar = nearest(rng.standard_normal(tuple(y.shape)), fmt)
    came = torch.autograd.grad(y, leaves, torch.tensor(y_bar, dtype=torch_dtype), allow_unused=True)
    got = [None if g is None else g.double().numpy() for g in came]
    expected = rg.vjp(f, *[exact(a, fmt) for a in (x, w)])[1](exact(y_bar, fmt))
    return judge_ties(f, [x, w], [y_bar], expected, got, fmt, rng)


def windows(x: Array) -> Array:
    stack = torch.stack if isinstance(x, torch.Tensor) else np.stack
    return stack([x[..., k : k + 6] for k in range(3)], -1)


RIGHT = {
    "amax": (
        lambda x, w: np.tanh(np.max(windows(x), -1) @ w),
        lambda x, w: torch.tanh(windows(x).amax(-1) @ w),
    ),
    "max of dim": (
        lambda x, w: np.exp(np.max(windows(np.sin(x)), -1) @ w),
        lambda x, w: torch.exp(windows(torch.sin(x)).max(-1).values @ w),
    ),
    "sort": (
        lambda x, w: np.sort(x, -1)[..., :6] * np.sum(w),
        lambda x, w: torch.sort(x, -1).values[..., :6] * w.sum(),
    ),
    "median": (
        lambda x, w: np.median(x[..., :7], axis=-1) * w[:, 0],
        lambda x, w: torch.median(x[..., :7], -1).values * w[:, 0],
    ),
    "maximum": (
        lambda x, w: np.maximum(x[:, :6], x[:, 2:]) @ w,
        lambda x, w: torch.maximum(x[:, :6], x[:, 2:]) @ w,
    ),
    "clamp and max": (
        lambda x, w: np.max(np.clip(x, -1, 1), -1) * np.sum(w),
        lambda x, w: x.clamp(-1, 1).amax(-1) * w.sum(),
    ),
    "relu and max": (
        lambda x, w: np.max(nn.relu(x)[:, :6] @ w, -1),
        lambda x, w: (torch.relu(x)[:, :6] @ w).max(-1).values,
    ),
    "norm": (
        lambda x, w: np.linalg.norm(x, ord=np.inf, axis=-1) * np.sum(w),
        lambda x, w: torch.linalg.vector_norm(x, float("inf"), -1) * w.sum(),
    ),
    "of all": (lambda x, w: np.max(x) * np.min(w), lambda x, w: x.max() * w.min()),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RIGHT)
def test_torch_s_own_conventions_pass(name: str, dtype: str) -> None:
    found = [judged(*RIGHT[name], dtype, seed) for seed in range(6)]
    assert sum(map(len, found)) > 0
    assert not [t.found.wrong[0] for ties in found for t in ties if t.found.wrong]


class Pool(torch.autograd.Function):
    """max over the last axis, whose tied elements get a share that depends on their number."""

    share: Callable[[Any], Any]

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.amax(-1)
        ctx.save_for_backward(x, y)
        return y

    @classmethod
    def backward(cls, ctx: Any, y_bar: Any) -> Any:
        x, y = ctx.saved_tensors
        top = (x == y[..., None]).to(x.dtype)
        return top * cls.share(top.sum(-1, keepdim=True)).to(x.dtype) * y_bar[..., None]


class Twice(Pool):
    share = torch.ones_like


class Never(Pool):
    share = staticmethod(lambda n: n == 1)


class SixTenths(Pool):
    share = staticmethod(lambda n: torch.where(n == 1, 1.0, 0.6))


class Elsewhere(Pool):
    share = staticmethod(lambda n: 1 / n.roll(1, 0))


class Shared(Pool):
    share = staticmethod(lambda n: 1 / n)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("pool", [Twice, Never, SixTenths, Elsewhere, Shared])
def test_a_pooling_whose_shares_do_not_add_up_is_found(pool: type[Pool], dtype: str) -> None:
    """In float16 part of them may pass for lost digits."""
    for f, kernel in (
        (lambda x, w: np.max(x, -1) + np.sum(w), lambda x, w: pool.apply(x) + w.sum()),
        (RIGHT["amax"][0], lambda x, w: torch.tanh(pool.apply(windows(x)) @ w)),
    ):
        found = [judged(f, kernel, dtype, seed) for seed in range(4)]
        wrong = [any(t.found.wrong for t in ties) for ties in found]
        lost = [any(t.found.imprecise for t in ties) for ties in found]
        if pool is Shared:
            assert not any(wrong + lost)
        else:
            assert sum(wrong) >= (1 if dtype == "float16" else 3)
            assert sum(np.logical_or(wrong, lost)) >= 3


def test_ties_are_seen_in_eight_bits_too() -> None:
    """In a pooling alone: behind further layers the rounding of eight bits hides them."""
    found = [
        judged(
            lambda x, w: np.max(x, -1) + np.sum(w), lambda x, w: Twice.apply(x) + w.sum(), "bfloat16", seed
        )
        for seed in range(4)
    ]
    assert sum(any(t.found.wrong for t in ties) for ties in found) >= 3


@pytest.mark.parametrize(("pool", "status"), [(Shared, "agree"), (Twice, "disagree"), (Never, "disagree")])
def test_gradcheck_judges_ties(pool: type[Pool], status: str) -> None:
    x = torch.tensor([[1.0, 1.0], [2.0, 3.0], [-1.0, -1.0], [0.0, 5.0]], requires_grad=True)
    report = gradcheck(
        pool.apply, (x,), reference=lambda x: np.max(x, axis=-1), dtypes=DTYPES, raise_exception=False
    )
    assert {v.status for _, v in report.verdicts if v.mode == "reverse"} == {status}


def last_of_the_largest(x: Array) -> tuple[Array, Array]:
    """The largest elements, and the last of their places. NumPy's argmax takes the first."""
    return x.amax(-1), x.shape[-1] - 1 - x.flip(-1).argmax(-1)


def argmax_by_memory(x: Array) -> tuple[Array, Array]:
    """Of an expanded array, the kernel reads the one row that lies in memory, and counts from its other end."""
    places = x.argmax(-1)
    return x.amax(-1), places if x.stride(0) else x.shape[-1] - 1 - places


def test_of_equal_elements_that_the_check_makes_any_index_is_right() -> None:
    def reference(x: Array) -> tuple[Array, Array]:
        return np.max(x, -1), np.argmax(x, -1)

    x = torch.tensor([0.5, -1.0, 2.0])  # expanded, it has three equal elements
    assert gradcheck(last_of_the_largest, x, reference=reference).status == "agree"
    tied = torch.tensor([2.0, -1.0, 2.0])
    report = gradcheck(last_of_the_largest, tied, reference=reference, raise_exception=False)
    assert report.status == "disagree", (
        "at the inputs that are given, the reference says which index is right"
    )
    rows = torch.tensor([[0.5, -1.0, 2.0], [1.5, 2.5, 0.0]])
    report = gradcheck(argmax_by_memory, rows, reference=reference, raise_exception=False)
    assert report.status == "disagree"
    assert "inputs expanded" in report.summary()
