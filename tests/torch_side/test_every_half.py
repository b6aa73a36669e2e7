"""Half formats have few numbers: elementwise ops are judged at each of them, but for the outermost ones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
forward_ad = pytest.importorskip("torch.autograd.forward_ad")

import refgrad as rg  # noqa: E402
from refgrad.bounds.formats import FORMATS  # noqa: E402
from refgrad.op import REGISTRY, Op  # noqa: E402
from refgrad.testing.judging.compare import compare  # noqa: E402
from refgrad.tracing.ball import exact  # noqa: E402
from tests.named_formulas import with_formulas  # noqa: E402
from tests.recorded import ENTRIES, refused  # noqa: E402

Tensor = torch.Tensor
LARGEST = {"float16": 2.0**7, "bfloat16": 2.0**62}  # squares and their gradients stay within the range
# Ops with an entry of their own in half formats: which numbers it covers, the suite knows.
KNOWN = {name for d in ENTRIES if d.dtypes & LARGEST.keys() for name in d.ops}


def elementwise(op: Op) -> bool:
    """Whether an op takes one array and no parameter, and gives an array of its shape with a derivative in torch."""
    sig = op.signature
    if op.torch is None or len(sig.operands) != 1 or sig.defaults or not sig.differentiable:
        return False
    try:
        return op.torch(torch, torch.full((3,), 0.5)).shape == (3,)
    except RuntimeError:  # of matrices
        return False


OPS = sorted(name for name, op in REGISTRY.items() if elementwise(op) and name not in KNOWN)


def numbers(op: Op, dtype: str) -> Tensor:
    """Every number of a format in an op's domain."""
    x = torch.from_numpy(np.arange(2**16, dtype=np.uint16).view(np.int16)).view(getattr(torch, dtype))
    at, inside = x.double(), op.domain.interval(0)
    return x[(at.abs() <= LARGEST[dtype]) & (at > inside.low) & (at < inside.high)]


def test_most_elementwise_ops_are_met() -> None:
    assert len(OPS) > 20
    assert {"arcsin", "exp2", "sigmoid", "tanh"} <= {*OPS}


@pytest.mark.parametrize("dtype", LARGEST)
@pytest.mark.parametrize("name", OPS)
def test_torch_lies_within_the_bound_at_every_number(name: str, dtype: str) -> None:
    op, fmt = REGISTRY[name], FORMATS[dtype]
    if refused(name, dtype):
        pytest.skip("torch has no kernel, which unsupported.toml records")
    x = numbers(op, dtype)
    rng = np.random.default_rng([*name.encode(), len(dtype)])
    for _ in range(4):  # what a cotangent rounds to is a matter of luck
        w = torch.tensor(rng.standard_normal(len(x))).to(x.dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            leaf = x.clone().requires_grad_()
            y = op.torch(torch, leaf)
            (x_bar,) = torch.autograd.grad(y, leaf, w)
            with forward_ad.dual_level():
                y_dot = forward_ad.unpack_dual(op.torch(torch, forward_ad.make_dual(x, w))).tangent
        with np.errstate(all="ignore"):
            ball, weights = (exact(t.double().numpy(), fmt) for t in (x, w))

            def run(ball: Any = ball, weights: Any = weights) -> list[Any]:
                value, pullback = rg.vjp(op, ball)
                return [value, pullback(weights)[0], rg.jvp(op, (ball,), (weights,))[1]]

            due = with_formulas(run)
            for what, got, expected in zip(
                ("value", "reverse", "forward"), (y, x_bar, y_dot), due, strict=True
            ):
                if got is None:  # a tangent of zeros
                    continue
                found = compare(got.detach().double().numpy(), expected, fmt, what, nan=what == "value")
                assert not found.note, found.note
                assert not found.wrong, (found.wrong[0], x[found.wrong[0].element].item())


@pytest.mark.parametrize("name", ["arcsin", "arccos"])
def test_all_roundings_of_a_derivative_in_one_direction(name: str) -> None:
    """The four numbers above seldom meet it: the root, its reciprocal and the product are stored, each off by nearly all it may be."""
    op, fmt = REGISTRY[name], FORMATS["float16"]
    x = torch.full((2**10,), 0.0784912109375, dtype=torch.float16)
    w = (1 + torch.arange(2**10) / 2**10).half()  # every significand
    with forward_ad.dual_level():  # single numbers: vectors are computed in float32 throughout
        duals = [forward_ad.make_dual(a, t) for a, t in zip(x, w, strict=True)]
        y_dot = torch.stack([forward_ad.unpack_dual(op.torch(torch, d)).tangent for d in duals])
    expected = rg.jvp(op, (exact(x.double().numpy(), fmt),), (exact(w.double().numpy(), fmt),))[1]
    found = compare(y_dot.double().numpy(), expected, fmt, "forward")
    assert found.elements == 2**10
    assert not found.wrong, found.wrong[0]
