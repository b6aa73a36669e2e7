"""torch's CPU kernels of elementwise ops stay inside the derived bounds: values, reverse and forward derivatives.

Each op meets about 4000 operands: moderate ones, tiny and huge ones, ties. The suite's judge compares them node by node. What it
excuses stands in conformance/deviations.toml, element by element, and in unsupported.toml: no op is an exception here.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad.graph import Graph
from refgrad.testing import judge
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import mark
from refgrad.testing.deviations.element_setting import Setting
from refgrad.testing.deviations.expected_refusals import load
from refgrad.testing.judging.verdict import AGREE, IMPRECISE, UNDECIDED, UNSUPPORTED
from refgrad.torch.devices import VERSION
from refgrad.torch.observe import observe
from tests.ops.elementwise_draws import OPS
from tests.recorded import CONFORMANCE, STANDING

DTYPES = ("float32", "float64")
COUNT = 4096
PARAMS = {  # beside the defaults
    "softplus": ({"threshold": None}, {"threshold": 20.0}),
    "leaky_relu": ({"slope": 0.01}, {"slope": -0.5}),
    "elu": ({"alpha": 1.0}, {"alpha": 2.0}, {"alpha": 0.3}),
}
# What torch is expected to refuse of ops that have a derivative.
SUPPORT = load(CONFORMANCE / "unsupported.toml", VERSION)
# The polygamma function of torch climbs to the right in steps of 1, which takes for ever at large negative numbers.
CLIMBING = {"polygamma"}
CASES = [
    (op, params)
    for op in OPS
    if op.torch is not None and op.name not in CLIMBING
    for params in PARAMS.get(op.name, ({},))
]


def drawn(op, position, dtype, rng):
    """Moderate, spread and extreme operands inside the op's domain, in random order."""
    interval, limits = op.domain.interval(position), np.finfo(dtype)
    digits = np.log10(float(limits.tiny)), np.log10(float(limits.max))
    quarter, signs = COUNT // 4, rng.choice([-1.0, 1.0], (2, COUNT // 4))
    x = np.concatenate([
        rng.uniform(max(interval.low, -10), min(interval.high, 10), quarter),
        rng.standard_normal(quarter) * 3,
        signs[0] * np.exp(rng.uniform(-12, 6, quarter)),
        signs[1] * 10.0 ** rng.uniform(*digits, quarter),
    ])  # fmt: skip
    if np.isfinite(interval.low):
        x = np.where(x < interval.low, interval.low + np.abs(x - interval.low) % 1.0, x)
    if np.isfinite(interval.high):
        x = np.where(x > interval.high, interval.high - np.abs(x - interval.high) % 1.0, x)
    return np.clip(rng.permutation(x), interval.low, interval.high).astype(dtype)


def operands(op, dtype):
    """A generator and the op's operands: masks where its own sampler draws masks, else floats."""
    rng = np.random.default_rng([*op.name.encode(), dtype == "float32"])
    xs = [drawn(op, k, dtype, rng) for k in range(len(op.signature.operands))]
    sampled, _ = op.domain.sample(np.random.default_rng(0), len(xs))
    if len(xs) > 1:
        near = slice(0, COUNT // 8)
        for k in range(1, len(xs)):  # operands of similar size
            i = op.domain.interval(k)
            with np.errstate(over="ignore"):
                close = xs[0][near].astype(float) * (1 + 0.1 * rng.standard_normal(COUNT // 8))
            xs[k][near] = np.clip(close, max(i.low, -np.finfo(dtype).max), min(i.high, np.finfo(dtype).max))
    if not op.domain.smooth:  # exact ties and kinks
        xs[0][:: COUNT // 16] = xs[-1][:: COUNT // 16] if len(xs) > 1 else 0.0
    return rng, [x > 0 if np.asarray(s).dtype.kind == "b" else x for x, s in zip(xs, sampled, strict=True)]


def case_of(op, params, dtype):
    """The op as a graph of one node."""
    rng, xs = operands(op, dtype)
    graph = Graph.record(lambda *a: op(*a, **params), *xs)
    names = [node.name for node in graph.nodes if node.op is None]
    inputs = {name: x.astype(float) if x.dtype.kind == "f" else x for name, x in zip(names, xs, strict=True)}

    def seed():
        return rng.standard_normal(COUNT).astype(dtype).astype(float)

    return Case("ops", graph, inputs, {name: seed() for name in inputs}, seed(), dtype)


def judged(case, differentiable):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = replace(observe(case), support=SUPPORT if differentiable else None)
        verdicts = judge(case, seen, end_to_end=False)
        mark(verdicts, STANDING, Setting(case, seen))
    return verdicts


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("op", "params"), CASES, ids=lambda v: v.name if hasattr(v, "name") else ",".join(map(str, v.values()))
)
def test_kernels_stay_inside_the_bounds(op, params, dtype):
    value, *derivatives = judged(case_of(op, params, dtype), op.signature.differentiable)
    assert value.elements - value.blind > 0.75 * COUNT
    for v in (value, *derivatives):
        assert v.status in (AGREE, IMPRECISE, UNDECIDED, UNSUPPORTED) or v.known, v.message
        if v.status == UNDECIDED:  # of an op without a derivative
            assert not op.signature.differentiable
            assert v is not value
            assert v.elements == 0
        elif v.status != UNSUPPORTED:
            assert v.elements - v.blind > 0.75 * COUNT, (v.mode, v.elements, v.blind)
