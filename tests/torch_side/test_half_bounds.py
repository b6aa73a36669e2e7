"""Torch's half-precision CPU kernels lie within the bounds that the rounding rules promise: every op, and arrays of some length.

What the kernels store in the working format, and what they accumulate in float32, shows only here.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
forward_ad = pytest.importorskip("torch.autograd.forward_ad")

import refgrad.ops  # noqa: E402, F401  registers every op
from conformance.families.arrays import rounded  # noqa: E402
from refgrad import transforms  # noqa: E402
from refgrad.bounds.formats import FORMATS  # noqa: E402
from refgrad.op import REGISTRY  # noqa: E402
from refgrad.testing.judging.compare import compare  # noqa: E402
from refgrad.tracing.ball import exact  # noqa: E402
from tests.named_formulas import with_formulas  # noqa: E402
from tests.recorded import refused  # noqa: E402

HALVES = ("bfloat16", "float16")
ABSENT = {  # torch has no factorisation of half-precision matrices
    "det", "inv", "solve", "logabsdet", "cholesky", "eigvalsh", "pinv", "qr_q", "qr_r", "solve_triangular", "svdvals",
}  # fmt: skip
# Not of one dtype; no derivative in torch; known deviations; a backward that raises for wide bounds (docs/findings).
ELSEWHERE = {
    "astype",
    "heaviside",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "clip",
    "tanhshrink",
    "matrix_exp",
    "i0e",
}
OPS = sorted(
    n
    for n, op in REGISTRY.items()
    if op.torch is not None and op.signature.differentiable and n not in ABSENT | ELSEWHERE
)
LARGE = {
    "cumsum": [((2000,), {"axis": 0}), ((50, 60), {"axis": 1})],
    "cumprod": [((100,), {"axis": 0})],
    "sum": [((4000,), {}), ((60, 70), {"axis": 0}), ((3, 1000, 2), {"axis": (1, 2), "keepdims": True})],
    "mean": [((4000,), {}), ((60, 70), {"axis": 1})],
    "prod": [((100,), {}), ((60, 30), {"axis": 0})],
    "max": [((4000,), {}), ((60, 70), {"axis": 0})],
    "var": [((2000,), {"ddof": 1}), ((60, 70), {"axis": 0})],
    "std": [((2000,), {"ddof": 1}), ((60, 70), {"axis": 0})],
    "sort": [((1000,), {})],
    "norm": [
        ((3000,), {"ord": 2}),
        ((3000,), {"ord": 1}),
        ((500,), {"ord": 3}),
        ((60, 70), {"ord": 2, "axis": 0}),
    ],
    "logsumexp": [((2000,), {"axis": 0}), ((60, 70), {"axis": (0, 1)})],
    "softmax": [((2000,), {"axis": 0}), ((60, 70), {"axis": 1}), ((40, 70), {"axis": 0})],
    "log_softmax": [((2000,), {"axis": 0}), ((60, 70), {"axis": 1}), ((40, 70), {"axis": 0})],
    "broadcast_to": [((30,), {"shape": (200, 30)}), ((), {"shape": (3000,)})],
}
PAIRS = {
    "matmul": [
        ((20, 300), (300, 30)),
        ((1000,), (1000,)),
        ((5, 20, 64), (64, 8)),
        ((300, 20), (20,)),
        ((4, 8, 200), (4, 200, 3)),
    ],
    "add": [((50, 60), (60,)), ((2000,), ())],
    "multiply": [((50, 60), (60,)), ((2000,), ())],
    "divide": [((50, 60), (60,)), ((2000,), ())],
    "power": [((50, 20), (20,))],
    "logaddexp": [((50, 20), (20,))],
}


def draws(name, rng):
    op = REGISTRY[name]
    yield from (op.domain.sample(rng, len(op.signature.operands)) for _ in range(25))
    for shape, params in LARGE.get(name, []):
        for x in (
            rng.standard_normal(shape),
            20 + rng.standard_normal(shape),
            np.round(2 * rng.standard_normal(shape)),
        ):
            yield (np.exp(0.1 * x) if "prod" in name else x,), params
    for shapes in PAIRS.get(name, []):
        draw = rng.standard_normal if name not in ("divide", "power") else lambda s: rng.uniform(0.5, 2, s)
        yield tuple(draw(s) for s in shapes), {}


def seen_by_torch(twin, xs, y_bar, xs_dot, dtype):
    """Value, gradients, tangent (None without a formula) as float64."""
    as_floats = getattr(torch, dtype)
    at = [
        torch.tensor(x.astype(float)).to(as_floats) if x.dtype.kind == "f" else torch.tensor(x)
        for x in (*xs, y_bar, *xs_dot)
    ]
    leaves, y_bar, tangents = at[: len(xs)], at[len(xs)], at[len(xs) + 1 :]
    floats = [t.requires_grad_() for t in leaves if t.is_floating_point()]
    y = twin(*leaves)
    bars = torch.autograd.grad(y, floats, y_bar)
    try:
        with forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(t.detach(), v) if t.is_floating_point() else t
                for t, v in zip(leaves, tangents, strict=True)
            ]
            y_dot = forward_ad.unpack_dual(twin(*duals)).tangent
    except (RuntimeError, NotImplementedError):  # no formula for forward mode
        y_dot = None
    return [None if t is None else t.detach().double().numpy() for t in (y, *bars, y_dot)]


def check(name, xs, params, rng, dtype):
    op, fmt = REGISTRY[name], FORMATS[dtype]
    xs = [rounded(x, dtype) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for x in xs]
    places = [k for k, x in enumerate(xs) if x.dtype.kind == "f"]
    params = {**op.signature.defaults, **params}
    xs_dot = [rounded(rng.standard_normal(x.shape), dtype) for x in xs]

    def f(*floats):
        operands = list(xs)
        for k, x in zip(places, floats, strict=True):
            operands[k] = x
        return op(*operands, **params)

    balls = [exact(xs[k], fmt) for k in places]
    with np.errstate(all="ignore"):
        y_bar = rounded(rng.standard_normal(np.shape(f(*[xs[k].astype(float) for k in places]))), dtype)

        def run():
            value, pullback = transforms.vjp(f, *balls)
            tangent = transforms.jvp(f, balls, [exact(xs_dot[k], fmt) for k in places])[1]
            return [value, *pullback(exact(y_bar, fmt)), tangent]

        expected = with_formulas(run)
        got = seen_by_torch(lambda *a: op.torch(torch, *a, **params), xs, y_bar, xs_dot, dtype)
        what = [f"{name} value", *[f"{name} reverse {k}" for k in places], f"{name} forward"]
        return [compare(g, e, fmt, w) for g, e, w in zip(got, expected, what, strict=True) if g is not None]


def refuses_to_pad(empty, params, dtype):
    """Whether this torch pads no empty tensor of a half format."""
    try:
        REGISTRY["pad"].torch(torch, torch.tensor(empty).to(getattr(torch, dtype)), **params)
    except RuntimeError:
        return True
    return False


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", OPS)
def test_torch_lies_within_the_bound(name, dtype):
    if refused(name, dtype):
        pytest.skip("torch has no kernel, which unsupported.toml records")
    rng = np.random.default_rng(len(name) * 100 + len(dtype))
    judged = elements = 0
    for xs, params in draws(name, rng):
        if name == "pad" and not xs[0].size and refuses_to_pad(xs[0], params, dtype):
            continue
        if name == "sinc":  # nearer to 0 torch's slope cancels: docs/findings/sinc.md
            xs = [rounded(np.where(np.abs(x) < 0.35, x + np.copysign(0.75, x), x), dtype) for x in xs]
        for found in check(name, xs, params, rng, dtype):
            assert not found.note, found.note
            assert not found.wrong, (found.wrong[0], [np.shape(x) for x in xs], params)
            judged += found.elements - found.blind
            elements += found.elements
    assert judged > 0.4 * elements  # ties of many rounded numbers leave sorted places free
    assert judged > 50


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("shapes", [((9,), (9,)), ((1, 9), (9, 1))])
def test_tensordot_to_one_number_of_strided_operands(shapes, dtype):
    """Products that are stored before they are summed, as most releases of torch have them there, are within the bound as well."""
    fmt, rng, worst = FORMATS[dtype], np.random.default_rng(7), 0.0
    for _ in range(300):
        a, b = (rounded(rng.standard_normal(s), dtype) for s in shapes)
        strided = torch.tensor(np.repeat(b, 2, -1)).to(getattr(torch, dtype))[..., ::2]
        got = torch.tensordot(torch.tensor(a).to(strided.dtype), strided, dims=1).double().numpy()
        expected = REGISTRY["tensordot"](exact(a, fmt), exact(b, fmt), axes=1)
        assert not compare(got, expected, fmt).wrong
        stored = rounded(rounded(a * np.reshape(b, a.shape), dtype).sum().reshape(expected.shape), dtype)
        assert not compare(stored.astype(float), expected, fmt).wrong
        worst = max(worst, float(np.max(np.abs(stored - expected.value) - fmt.u * np.abs(expected.value))))
    assert worst > 1e-4  # more than the rounding of the result alone


@pytest.mark.parametrize("power", [3, 1.5])
def test_powers_of_norms_underflow_and_overflow(power):
    """In float16 the square of 0.003 keeps few digits, and 22^2 times 242 is beyond the range."""
    rng, judged = np.random.default_rng(3), 0
    for size in (0.002, 0.05, 1.0, 20.0):
        for _ in range(40):
            x = size * rng.standard_normal(17)
            x[0] = 10 * size
            for found in check("norm", (x,), {"ord": power}, rng, "float16"):
                assert not found.wrong, (found.wrong[0], size)
                judged += found.elements - found.blind
    assert judged > 2000


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [(0, 1), (1,), (-1, 0), None, (), 1])
def test_a_product_over_several_axes_is_one_op(axis, keepdims):
    """In stages the tangent of the first row, 100^2 times 10, would overflow and meet the zeros of the second."""
    x = np.array([[100.0, 0.0, 100.0], [0.0, 0.0, 0.0]], np.float16)
    params = {"axis": axis, "keepdims": keepdims, "initial": None, "where": True}
    found = list(check("prod", (x,), params, np.random.default_rng(1), "float16"))
    assert found
    assert not any(c.wrong or c.note for c in found)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(torch.tensor(x), torch.full((2, 3), 10.0, dtype=torch.float16))
        y, y_dot = forward_ad.unpack_dual(REGISTRY["prod"].torch(torch, dual, **params))
    assert np.shape(y) == np.shape(np.prod(x, axis=axis, keepdims=keepdims))
    if axis in ((0, 1), (-1, 0), None):
        assert y_dot.item() == 0
