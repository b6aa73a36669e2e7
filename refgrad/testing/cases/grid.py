"""Cases on a grid: small integers times a power of two, and ops that round nothing there. Their bounds are zero (bounds/exactness.py)."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import FORMATS, Format
from refgrad.bounds.profiles import SINGLE
from refgrad.errors import RefgradError
from refgrad.formula import Formula
from refgrad.node import Node
from refgrad.op import REGISTRY, Function, Op
from refgrad.testing.cases import exact_calls, exact_graphs
from refgrad.testing.cases.case import Case
from refgrad.tracing.ball import Ball, exact

_TRIES = 16  # samples of an op
# By turns: shares of them at a tie are no integers, and of neighbours none are equal, which hides a tie of sort.
_COTANGENT = (1.0, 5.0, 7.0)


def on_grid(case: Case) -> bool:
    """Whether rounding rules look for exact results in this case.

    Every input, tangent and cotangent has elements of few digits on a grid of its own: so few that the sum of some products of them is
    still a number of the format. The ops round nothing on a grid, or the whole graph rounds nothing at these arrays (exact_graphs.py). A
    function has to have exact calls, and its call has to be exact at these arrays (exact_calls.py).
    """
    if not _LAST or _LAST[0][0]() is not case:
        _LAST[:] = [(weakref.ref(case), _on_grid(case))]
    return _LAST[0][1]


_LAST: list[tuple[weakref.ref[Case], bool]] = []  # the last case that was looked at: each of its judges asks


def _on_grid(case: Case) -> bool:
    nodes = case.graph.nodes
    others = [
        k
        for k, node in enumerate(nodes)
        if node.op is not None and not (isinstance(node.op, Op) and rounds_nothing(node.op.name))
    ]
    called = [k for k in others if isinstance(nodes[k].op, Function)]
    if called and sum(node.op is not None for node in nodes) > 1:
        return False
    fmt = FORMATS[case.dtype]
    constants = [np.asarray(node.value) for node in nodes if node.op is None and not node.name]
    numbers = [x for x in constants if np.any(np.isfinite(x))]  # the NaN of a mean of nothing rounds nothing
    arrays = (*case.inputs.values(), *case.tangents.values(), case.cotangent, *numbers)
    if not all(x.dtype.kind != "f" or _short(x, fmt) for x in arrays):
        return False
    if not others:
        return True
    return _exact_call(case, nodes[called[0]]) if called else exact_graphs.exact_graph(case, others)


def _exact_call(case: Case, call: Node) -> bool:
    """Whether the call of a function, the one op of the case, rounds nothing."""
    assert isinstance(call.op, Function)
    if not exact_calls.rounds_nothing(call.op.name):
        return False
    sources = [case.graph.nodes[j] for j in call.of]
    operands = [case.inputs[node.name] if node.name else np.asarray(node.value) for node in sources]
    moving = [case.tangents.get(node.name) if node.name else None for node in sources]
    return exact_calls.exact_call(call.op, operands, call.params, moving, case.cotangent, case.dtype)


def _short(x: PlainArray, fmt: Format) -> bool:
    """Whether the elements of x are multiples of one power of two by integers of at most half the bits of the format."""
    most = 2.0 ** (fmt.bits // 2)
    if x.size > 1 and not _few_digits(float(x.flat[0]), most):  # the usual case, decided at once
        return False
    top = float(np.max(np.abs(x), initial=0.0))
    if not 0 < top < np.inf:
        return top == 0
    mantissa, exponent = math.frexp(top)
    # 2^least is the least power of two with top <= most * 2^least.
    least = exponent - (mantissa == 0.5) - fmt.bits // 2
    scaled = np.ldexp(x.astype(np.float64, copy=False), -least)
    whole = np.count_nonzero(scaled == np.rint(scaled)) == x.size
    return whole and np.count_nonzero(scaled) == np.count_nonzero(x)  # none has become zero


def _few_digits(x: float, most: float) -> bool:
    """Whether x is a power of two times an integer of magnitude at most ``most``, or not finite."""
    mantissa, _ = np.frexp(x)
    return float(mantissa * most).is_integer() if np.isfinite(x) else True


@functools.cache
def rounds_nothing(name: str) -> bool:
    """Whether the op of this name rounds nothing on a grid, in value, reverse and forward mode.

    Its rounding rules tell: the radii of a sample of small integers are zero. Sums and products of integers are exact. A root is not, even
    where it is an integer, for kernels do not promise it. Nor is the derivative of prod, which kernels compute by a quotient. An op with
    other formulas counts where all of them are exact at all samples.
    """
    op = REGISTRY[name]
    samples = (_exact_sample(op, np.random.default_rng(seed)) for seed in range(_TRIES))
    if not op.usual:
        return any(samples)
    of_several = [(seed, found) for seed, found in enumerate(samples) if found is not None]
    return bool(of_several) and all(
        found and all(_exact_by(f, op, np.random.default_rng(seed)) for f in op.usual)
        for seed, found in of_several
    )


def _exact_by(formula: Formula, op: Op, rng: np.random.Generator) -> bool:
    """Whether another formula of the op rounds nothing at small integers."""
    operands, params = op.domain.sample(rng, len(op.signature.operands))
    call = functools.partial(formula.of(op), **{**op.signature.defaults, **params})
    arrays = [np.asarray(x) for x in operands]
    arrays = [integers(rng, x.shape) if x.dtype.kind == "f" else x for x in arrays]
    moving = [integers(rng, x.shape) if x.dtype.kind == "f" else None for x in arrays]
    return exact_calls.exact_by(call, arrays, moving, None, _format(SINGLE))


def _exact_sample(op: Op, rng: np.random.Generator) -> bool | None:
    """Whether the value and the derivatives of the op at small integers have radii of zero.

    None where they may be zero by chance: for a value of less than two elements, and along an axis of one element.
    """
    fmt = _format(SINGLE)
    operands, params = op.domain.sample(rng, len(op.signature.operands))
    node = Node(op=op, of=tuple(range(len(operands))), params={**op.signature.defaults, **params})
    arrays = [np.asarray(x) for x in operands]
    axis = node.params.get("axis")
    if isinstance(axis, int) and arrays[0].ndim and arrays[0].shape[axis] == 1:
        return None
    balls: list[Any] = [exact(integers(rng, x.shape), fmt) if x.dtype.kind == "f" else x for x in arrays]
    with np.errstate(all="ignore"):
        try:
            y = node.applied(balls)
        except (np.linalg.LinAlgError, RefgradError):  # a singular matrix, complex eigenvalues
            return False
        if not isinstance(y, Ball) or y.size < 2:  # a single element may be exact by chance
            return None
        if y.radius is not None:
            return False
        if not op.signature.differentiable:
            return True
        found = [x_bar for _, _, x_bar in node.contributions(balls, y, exact(integers(rng, y.shape), fmt))]
        moving = [exact(integers(rng, x.shape), fmt) if x.dtype.kind == "f" else None for x in arrays]
        found.append(node.tangent(balls, y, moving))
    return all(not isinstance(x, Ball) or x.radius is None for x in found)


@functools.cache
def _format(dtype: str) -> Format:
    """The format on a grid, on any device."""
    return replace(FORMATS[dtype], on_grid=True)


def exact_at(node: Node, operands: Sequence[PlainArray], y: PlainArray, dtype: str) -> bool:
    """Whether the node rounds nothing on these operands, and has a derivative there, not a set of them; y is its value, all in float64.

    The rounding rule of the op decides from the value in float64: where that one is rounded, the rule sees that it is not exact. At a tie
    or a kink the derivative is a set.
    """
    op = node.op
    assert op is not None
    found = op.rounding(
        Evaluation(_format(dtype), op.forward, y, tuple(operands), (None,) * len(operands), node.params)
    )
    if y.dtype.kind != "f" or type(found) is tuple or np.count_nonzero(0.0 if found is None else found):
        return False
    if (op.domain.smooth and not op.picks) or not op.signature.differentiable:
        return True
    holes = [op.domain.interval(k).hole for k in range(len(operands))]
    if any(hole is not None and np.any(x == hole) for x, hole in zip(operands, holes, strict=True)):
        return False
    if op.elementwise and op.picks and len(operands) == 2:  # a tie is an equal pair
        return not np.any(operands[0] == operands[1])
    sent = node.contributions(operands, y, np.resize(_COTANGENT, y.shape))
    return all(np.array_equal(x_bar, np.rint(x_bar)) for _, _, x_bar in sent)


def integers(rng: np.random.Generator, shape: tuple[int, ...]) -> PlainArray:
    """Small integers other than zero, of either sign, in float64."""
    return rng.integers(1, 4, shape) * rng.choice((-1.0, 1.0), shape)
