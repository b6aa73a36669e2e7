"""Other formulas that a record names: what lies within their bound is imprecise, in every mode; an ordinary wrong number is not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from refgrad.errors import RegistrationError
from refgrad.formula import Formula
from refgrad.graph import Graph, Node
from refgrad.op import REGISTRY
from refgrad.rounding import exact, nearest, parts
from refgrad.testing import judge
from refgrad.testing.anchored import FORWARD, REVERSE, Anchored
from refgrad.testing.case import Case
from refgrad.testing.observation import Observation
from refgrad.testing.verdict import AGREE, DISAGREE, IMPRECISE
from refgrad.transforms import jvp, vjp

WITH_FORMULAS = sorted(name for name, op in REGISTRY.items() if op.usual)
# Where each formula loses digits: dtype, operand, cotangent and tangent, an error that it explains.
AT = {
    "softsign": ("float32", 3000.0, 1.25, 1 + 2**-12),
    "tanhshrink": ("float32", 1e-3, 1.25, 1 + 2**-12),
    "sinc": ("float32", 1e-3, 1.25, 1 + 2**-12),
    "log10": ("float16", 1.2e-7, 2.0**-10, 1 + 2**-4),  # subnormal: the product x log 10 has two digits
}


def one_op(name):
    dtype, at, weight, _ = AT[name]
    op, x = REGISTRY[name], np.array([at], dtype)
    graph = Graph()
    graph.nodes += [Node(name="x"), Node(op=op, of=(0,), params=dict(op.signature.defaults))]
    graph.outputs = (1,)
    ones = np.full(x.shape, weight, dtype)
    return Case("ops", graph, {"x": x}, {"x": ones}, ones, dtype)


def right(case):
    """What a framework says that rounds each result once."""
    values = [case.inputs["x"].astype(float), None]
    blank = Observation(values, [None] * 2, [None] * 2, {}, {})
    anchored = Anchored(case, replace(blank, values=[values[0], np.zeros_like(values[0])]))
    y = nearest(parts(anchored.recomputed_value(1))[0], anchored.fmt)
    tangents, cotangents = [case.tangents["x"].astype(float), y], [None, case.cotangent.astype(float)]
    seen = Observation([values[0], y], cotangents, tangents, {}, {})
    anchored = Anchored(case, seen)
    ((_, _, x_bar),) = anchored._sends(1, cotangents[1])
    y_dot = anchored._tangent(1, case.graph.nodes[1], [exact(tangents[0], anchored.fmt), None])
    rounded = [nearest(parts(a)[0], anchored.fmt) for a in (x_bar, y_dot)]
    return replace(seen, cotangents=[rounded[0], cotangents[1]], tangents=[tangents[0], rounded[1]])


def status(case, seen):
    return {v.mode: v.status for v in judge(case, seen, end_to_end=False)}


def test_there_are_some() -> None:
    assert {*AT} <= {*WITH_FORMULAS}


@pytest.mark.parametrize("name", sorted(AT))
def test_lost_digits_are_imprecise_and_an_ordinary_wrong_number_is_wrong(name) -> None:
    case = one_op(name)
    seen = right(case)
    assert status(case, seen)[REVERSE] == status(case, seen)[FORWARD] == AGREE
    for mode, part, k in ((REVERSE, "cotangents", 0), (FORWARD, "tangents", 1)):
        for factor, due in ((AT[name][3], IMPRECISE), (-3.0, DISAGREE), (7.0, DISAGREE)):
            arrays = list(getattr(seen, part))
            arrays[k] = arrays[k] * factor
            found = status(case, replace(seen, **{part: arrays}))
            assert found[mode] == due, (mode, factor)


@pytest.mark.parametrize("fields", [{}, {"jvp": abs}, {"function": abs, "jvp": abs, "vjp": abs}])
def test_a_formula_is_a_composition_or_a_pair_of_rules(fields) -> None:
    with pytest.raises(RegistrationError, match="either function, or jvp and vjp"):
        Formula("incomplete", **fields)


@pytest.mark.parametrize("name", WITH_FORMULAS)
def test_a_formula_is_the_same_function(name) -> None:
    """At ordinary points, value and derivative of each formula are those of the record. Constants in them are numbers of float64."""
    op = REGISTRY[name]
    xs = tuple(
        np.array([0.3, 0.9, 1.7, 2.6], np.longdouble) * (1 + k) for k in range(len(op.signature.operands))
    )
    ones = tuple(np.ones_like(x) for x in xs)
    for formula in op.usual:
        f = partial(formula.of(op), **op.signature.defaults)
        g = partial(op, **op.signature.defaults)
        own, other = (jvp(h, xs, ones) for h in (g, f))
        sent, back = (vjp(h, *xs)[1](np.ones_like(own[0])) for h in (g, f))
        room = 64 * np.finfo(np.float64).eps
        for a, b in zip((*own, *sent), (*other, *back), strict=True):
            assert np.all(np.abs(a - b) <= room * (1 + np.abs(a)))


def test_std_in_half_precision_by_subnormal_factors_is_imprecise() -> None:
    """Met with torch 2.14.1: y_bar/(2 y) and its product with 2/n are subnormal in float16, what they send back is not."""
    rng = np.random.default_rng(0)
    x, y_bar = (25 * rng.standard_normal(17)).astype(np.float16), np.float16(0.0006)
    graph = Graph()
    op = REGISTRY["std"]
    graph.nodes += [Node(name="x"), Node(op=op, of=(0,), params=dict(op.signature.defaults))]
    graph.outputs = (1,)
    case = Case("graphs", graph, {"x": x}, {"x": np.ones_like(x)}, np.array(y_bar), "float16")
    seen = right(case)
    assert status(case, seen)[REVERSE] == AGREE
    share = np.float16(y_bar / np.float16(2 * np.float16(seen.values[1]))) * np.float16(2 / 17)
    centred = (x.astype(np.float32) - x.astype(np.float32).mean()).astype(np.float16)
    sent = (share * centred).astype(float)
    assert status(case, replace(seen, cotangents=[sent, seen.cotangents[1]]))[REVERSE] == IMPRECISE
    assert status(case, replace(seen, cotangents=[-sent, seen.cotangents[1]]))[REVERSE] == DISAGREE
