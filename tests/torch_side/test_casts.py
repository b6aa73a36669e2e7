"""Casts through formats: the reference's rounding is torch's, and wrong casts are caught in every mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from conformance.families.casts import KINDS, casts, numbers, targets  # noqa: E402  torch decides whether this module runs
from refgrad import grad, jvp, nn  # noqa: E402
from refgrad.bounds.formats import DTYPES, FORMATS, computed_on  # noqa: E402
from refgrad.bounds.rounding import rounded  # noqa: E402
from refgrad.graph import Graph, Node  # noqa: E402
from refgrad.op import REGISTRY  # noqa: E402
from refgrad.testing.cases.case import Case  # noqa: E402
from refgrad.testing.cases.source import Seeded  # noqa: E402
from refgrad.testing.runs.judgement import judge  # noqa: E402
from refgrad.torch.observe import observe  # noqa: E402

Array = Any
NARROW = [name for name, fmt in FORMATS.items() if not fmt.holds(FORMATS["float32"])]
through = pytest.mark.parametrize("name", NARROW)


def agree(x: Any, name: str) -> None:
    """Torch's cast of a tensor gives the reference's numbers; beyond the range of a format without infinities it saturates or gives NaN."""
    fmt = FORMATS[name]
    got = x.to(getattr(torch, fmt.storage)).double().numpy()
    given = x.double().numpy()
    due = rounded(given, fmt)
    free = np.abs(given) >= fmt.overflow if not fmt.infinity else np.zeros(given.shape, bool)
    np.testing.assert_array_equal(got[~free], due[~free])
    np.testing.assert_array_equal(np.signbit(got[~free]), np.signbit(due[~free]))
    assert np.all(np.isnan(got[free]) | (got[free] == due[free]))


@through
@pytest.mark.parametrize("source", ["float16", "bfloat16"])
def test_every_half_precision_number_is_cast_as_torch_casts_it(name: str, source: str) -> None:
    codes = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    x = codes.view(getattr(torch, source))
    agree(x[~torch.isnan(x)], name)
    assert torch.isnan(x[torch.isnan(x)].to(getattr(torch, FORMATS[name].storage)).float()).all()


@through
def test_numbers_of_float32_are_cast_as_torch_casts_them(name: str) -> None:
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2**32, 2**18, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(over="ignore"):
        near = [
            numbers(Seeded(k), 2**12, FORMATS[name], kind).astype(np.float32) for k, kind in enumerate(KINDS)
        ]
    with np.errstate(all="ignore"):
        x = np.concatenate([bits, *near, *(np.nextafter(z, np.float32(0)) for z in near)])
    x = torch.from_numpy(x[~np.isnan(x)])
    agree(x, name)
    agree(x[:4096].repeat_interleave(2)[::2], name)  # strided: another loop of the kernel
    for k in range(64):
        agree(x[k], name)  # a scalar


# --- the judge ----------------------------------------------------------------------------------------------------------


def _cast(x: Any, dtype: str) -> Any:
    return x.to(getattr(torch, FORMATS[dtype].storage)).to(x.dtype)


class _TowardsZero(torch.autograd.Function):
    """A cast that truncates."""

    @staticmethod
    def forward(ctx: Any, x: Any, dtype: str) -> Any:
        ctx.dtype = dtype
        y = _cast(x, dtype)
        down = _cast(x * (1 - FORMATS[dtype].u), dtype)
        return torch.where(y.abs() > x.abs(), down, y)

    @staticmethod
    def backward(ctx: Any, y_bar: Any) -> Any:
        return _cast(y_bar, ctx.dtype), None


class _Uncast(torch.autograd.Function):
    """A cast whose backward hands the cotangent on as it came."""

    @staticmethod
    def forward(ctx: Any, x: Any, dtype: str) -> Any:
        return _cast(x, dtype)

    @staticmethod
    def backward(ctx: Any, y_bar: Any) -> Any:
        return y_bar.clone(), None


class _Step(torch.autograd.Function):
    """A cast taken for the step function that it is."""

    @staticmethod
    def forward(ctx: Any, x: Any, dtype: str) -> Any:
        return _cast(x, dtype)

    @staticmethod
    def backward(ctx: Any, y_bar: Any) -> Any:
        return torch.zeros_like(y_bar), None


def statuses(case: Case, twin: Callable[..., Any]) -> dict[str, str]:
    """The verdicts on a case, with another twin of cast_through in torch."""
    wrong = replace(REGISTRY["cast_through"], torch=twin)
    graph = Graph()
    graph.nodes = [
        Node(
            name=n.name,
            value=n.value,
            op=wrong if n.op is REGISTRY["cast_through"] else n.op,
            of=n.of,
            params=n.params,
        )
        for n in case.graph.nodes
    ]
    graph.outputs = case.graph.outputs
    return {v.mode: v.status for v in judge(case, observe(replace(case, graph=graph, order=1)))}


def case_of(dtype: str, target: str) -> Case:
    """A cast of random numbers, with cotangent and tangent that the format cannot hold."""
    rng = np.random.default_rng(1)
    x, x_dot, y_bar = (
        rounded(rng.standard_normal(16).astype(FORMATS[dtype].carrier), FORMATS[dtype]) for _ in range(3)
    )
    graph = Graph.record(lambda x: nn.cast_through(x, target), x)
    return Case("casts", graph, {"x": x}, {"x": x_dot}, y_bar, dtype)


NARROWING = [(d, t) for d in computed_on("cpu") for t in targets(d) if FORMATS[t].bits < FORMATS[d].bits]


@pytest.mark.parametrize(("dtype", "target"), NARROWING)
def test_torchs_cast_agrees_and_wrong_ones_are_caught(dtype: str, target: str) -> None:
    case = case_of(dtype, target)
    right = statuses(case, lambda torch, x, through: _cast(x, through))
    assert set(right.values()) == {"agree"}, right
    assert statuses(case, lambda torch, x, through: _TowardsZero.apply(x, through))["value"] == "disagree"
    assert statuses(case, lambda torch, x, through: x * 1)["value"] == "disagree"
    for wrong in (_Uncast, _Step):
        found = statuses(case, lambda torch, x, through, wrong=wrong: wrong.apply(x, through))
        assert found["value"] == "agree"
        assert found["reverse"] == "disagree", wrong.__name__


@pytest.mark.parametrize("dtype", computed_on("cpu"))
def test_cases_of_the_family_agree(dtype: str) -> None:
    found = [v.status for seed in range(40) for v in judge(*_judged(casts(Seeded(seed), dtype)))]
    assert set(found) <= {"agree", "undecided"}, set(found)
    assert found.count("agree") > len(found) / 2


def _judged(case: Case) -> tuple[Case, Any]:
    return case, observe(case)


def test_the_family_casts_every_dtype_through_every_other_format() -> None:
    for dtype in DTYPES:
        own = FORMATS[dtype].storage
        others = {name for name, fmt in FORMATS.items() if fmt.storage != own and not fmt.u_operand}
        drawn = {
            n.params["through"]
            for seed in range(80)
            for n in casts(Seeded(seed), dtype).graph.nodes
            if "through" in n.params
        }
        assert drawn == others


# --- the third judge ----------------------------------------------------------------------------------------------------


@through
def test_over_long_steps_differences_confirm_the_slope(name: str) -> None:
    """A cast is off by at most u|x| + eta, so a quotient of differences is off from its slope 1 by that of both ends over the step."""
    fmt, rng = FORMATS[name], np.random.default_rng(2)
    x, h = rng.uniform(1, 2, 100), 8.0
    quotient = (nn.cast_through(x + h, name) - nn.cast_through(x - h, name)) / (2 * h)
    bound = (fmt.store(x + h) + fmt.store(x - h)) / (2 * h)
    slope = grad(lambda x: np.sum(nn.cast_through(x, name)))(x)
    _, tangent = jvp(lambda x: nn.cast_through(x, name), (x,), (np.ones(100),))
    assert np.all(bound < 0.5)  # a slope of 2 or 0 would be seen
    assert np.all(np.abs(quotient - slope) <= bound)
    np.testing.assert_array_equal(tangent, slope)
