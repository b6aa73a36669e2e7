"""Torch's CPU kernels of array ops, in float32 and float64, lie within the bounds that the ops' rounding rules promise."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
forward_ad = pytest.importorskip("torch.autograd.forward_ad")

from refgrad import transforms  # noqa: E402
from refgrad.bounds.formats import FORMATS  # noqa: E402
from refgrad.op import REGISTRY  # noqa: E402
from refgrad.testing.judging.compare import compare  # noqa: E402
from refgrad.tracing.ball import exact  # noqa: E402

OPS = [
    *["reshape", "transpose", "broadcast_to", "astype", "flip", "roll", "pad", "concatenate", "getitem"],
    *["cumsum", "cumprod", "sum", "mean", "prod", "max", "min", "var", "std", "sort"],
]
LARGE = {  # operands of a few thousand elements: shape and parameters
    "cumsum": [((4000,), {"axis": 0}), ((50, 60), {"axis": 1})],
    "cumprod": [((300,), {"axis": 0}), ((40, 50), {"axis": -1})],
    "sum": [((4000,), {}), ((60, 70), {"axis": 0}), ((3, 1000, 2), {"axis": (1, 2), "keepdims": True})],
    "mean": [((4000,), {}), ((60, 70), {"axis": 1}), ((3, 1001, 2), {"axis": 1})],
    "prod": [((200,), {}), ((60, 70), {"axis": 0}), ((1000,), {})],
    "max": [((4000,), {}), ((60, 70), {"axis": 0})],
    "min": [((4000,), {}), ((60, 70), {"axis": 1})],
    "var": [((4000,), {"ddof": 1}), ((60, 70), {"axis": 0}), ((3, 1001), {"axis": 1, "ddof": 1})],
    "std": [((4000,), {"ddof": 1}), ((60, 70), {"axis": 0}), ((3, 1001), {"axis": 1, "ddof": 1})],
    "sort": [((4000,), {}), ((60, 70), {"axis": 0})],
}


def extremes(rng, dims, dtype):
    """Elements over the whole range of the format, signs mixed, some exact zeros."""
    top = {"float32": 38.0, "float64": 307.0}[dtype]
    x = rng.choice([-1.0, 1.0], dims) * 10.0 ** rng.uniform(-top - 6, top, dims)
    return np.where(rng.random(dims) < 0.1, 0.0, x)


def cancelling(rng, dims, dtype):
    """A large mean with small deviations: sums cancel, variances suffer."""
    return 1000.0 + rng.standard_normal(dims)


def draws(name, rng, dtype):
    """Operands and parameters: the op's own domain, large arrays, the whole range of the format."""
    op = REGISTRY[name]
    yield from (op.domain.sample(rng, len(op.signature.operands)) for _ in range(30))
    for dims, params in LARGE.get(name, []):
        scale = 0.3 if "prod" in name else 2.0
        yield (np.exp(scale * rng.standard_normal(dims)) * rng.choice([-1.0, 1.0], dims),), params
        yield (cancelling(rng, dims, dtype) / (1000.0 if "prod" in name else 1.0),), params
        yield (np.round(2 * rng.standard_normal(dims)),), params  # ties, zeros
    for _ in range(15):
        xs, params = op.domain.sample(rng, len(op.signature.operands))
        yield tuple([extremes(rng, x.shape, dtype) for x in xs]), params


def check(name, xs, params, rng, dtype):
    """Value, reverse and forward mode of torch against Balls; returns the comparisons."""
    op, fmt = REGISTRY[name], FORMATS[dtype]
    if dtype == "float32" and name == "astype":
        params = {"dtype": np.dtype(np.float32)}

    def f(*a):
        return op(*a, **params)

    def twin(*a):
        return op.torch(torch, *a, **params)

    xs = tuple([np.asarray(x, dtype) for x in xs])
    xs_dot = tuple([rng.standard_normal(x.shape).astype(dtype) for x in xs])
    leaves = [torch.tensor(x, requires_grad=True) for x in xs]
    y = twin(*leaves)
    y_bar = rng.standard_normal(tuple(y.shape)).astype(dtype)
    x_bars = torch.autograd.grad(y, leaves, torch.tensor(y_bar))
    with forward_ad.dual_level():
        duals = [
            forward_ad.make_dual(torch.tensor(x), torch.tensor(v)) for x, v in zip(xs, xs_dot, strict=True)
        ]
        y_dot = forward_ad.unpack_dual(twin(*duals)).tangent
    balls = [exact(x, fmt) for x in xs]
    with np.errstate(all="ignore"):
        value, pullback = transforms.vjp(f, *balls)
        expected_bars = pullback(exact(y_bar, fmt))
        _, expected_dot = transforms.jvp(f, balls, [exact(v, fmt) for v in xs_dot])
        found = [compare(y.detach().numpy(), value, fmt, f"{name} value")]
        found += [
            compare(g.numpy(), e, fmt, f"{name} reverse") for g, e in zip(x_bars, expected_bars, strict=True)
        ]
        if y_dot is not None:
            found.append(compare(y_dot.numpy(), expected_dot, fmt, f"{name} forward"))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPS)
def test_torch_lies_within_the_bound(name, dtype):
    rng = np.random.default_rng(len(name) * 100 + len(dtype))
    judged = 0
    for xs, params in draws(name, rng, dtype):
        for found in check(name, xs, params, rng, dtype):
            assert not found.note, found.note
            assert not found.wrong, (found.wrong[0], [x.shape for x in xs], params)
            judged += found.elements
    assert judged > 200


def check_second(name, xs, params, rng, dtype):
    """Torch's double backward against reverse over reverse on Balls."""
    op, fmt = REGISTRY[name], FORMATS[dtype]
    xs = tuple([np.asarray(x, dtype) for x in xs])
    vs = tuple([rng.standard_normal(x.shape).astype(dtype) for x in xs])
    leaves = [torch.tensor(x, requires_grad=True) for x in xs]
    y = op.torch(torch, *leaves, **params)
    y_bar = rng.standard_normal(tuple(y.shape)).astype(dtype)
    first = torch.autograd.grad(y, leaves, torch.tensor(y_bar), create_graph=True)
    if not any(x.requires_grad for x in first):  # a product of one factor is linear
        return []
    second = torch.autograd.grad(
        first, leaves, [torch.tensor(v) for v in vs], allow_unused=True, materialize_grads=True
    )

    def pulled(*a):
        return transforms.vjp(lambda *b: op(*b, **params), *a)[1](exact(y_bar, fmt))

    with np.errstate(all="ignore"):
        expected = transforms.vjp(pulled, *[exact(x, fmt) for x in xs])[1](tuple([exact(v, fmt) for v in vs]))
    return [compare(g.numpy(), e, fmt, f"{name} second") for g, e in zip(second, expected, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["prod", "cumprod", "var", "std"])
def test_torch_double_backward_lies_within_the_bound(name, dtype):
    rng = np.random.default_rng(len(name))
    judged = 0
    for _ in range(60):
        xs, params = REGISTRY[name].domain.sample(rng)
        for found in check_second(name, xs, params, rng, dtype):
            assert not found.wrong, (found.wrong[0], xs, params)
            judged += found.elements
    assert judged > 200
