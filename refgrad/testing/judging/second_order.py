"""Second derivatives of one op in the reference, in all nestings of its two modes, and the elements that have none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.op import OpRecord
from refgrad.testing.judging import alternative_formulas, special_points
from refgrad.testing.judging.alternative_formulas import Reach, largest
from refgrad.testing.judging.function_kernels import hidden_formula
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.tracing.ball import Ball, exact, parts, remembering
from refgrad.tracing.special_points import patches
from refgrad.transforms import jvp, vjp

OUT_OF_REACH = "operands near the ends of the range"  # why nothing is compared: see ``out_of_reach``


def second_derivatives(node_judge: NodeByNode, names: list[str]) -> list[Ball]:
    """The derivative of x_bar along x_dot for the inputs of these names, with the largest bound of the reference's three nestings.

    A framework may use any of the nestings. The result is NaN (undefined) at special points without an ordinary derivative, and where two
    nestings differ by more than their bounds: second derivatives are symmetric (Schwarz), so the formula of the first derivative is not
    that of a function nearby, as where the rank of a pseudoinverse changes. It is computed once for a judge.
    """
    key = ("of the op", *names)
    if key not in node_judge.second:
        node_judge.second[key] = _second_derivatives(node_judge, names)
    return node_judge.second[key]


def _second_derivatives(node_judge: NodeByNode, names: list[str]) -> list[Ball]:
    fmt = node_judge.fmt
    missing = {name: without_second(node_judge, name) for name in names}
    if all(m.all() for m in missing.values()):
        return [Ball(np.full(m.shape, np.nan, fmt.wide), np.zeros(m.shape), fmt) for m in missing.values()]

    nestings = _nestings(node_judge, names, _program(node_judge, names))
    found = []
    for position, name in enumerate(names):
        value, radius = parts(nestings[0][position])
        undefined = missing[name]
        for other, reach in (parts(answer[position]) for answer in nestings[1:]):
            undefined = undefined | (np.abs(value - other) > radius + reach)
            value, radius = np.where(np.isnan(value), other, value), np.fmax(radius, reach)
        found.append(Ball(np.where(undefined, np.nan, value), radius, fmt))
    return found


def _nestings(node_judge: NodeByNode, names: list[str], f: Callable[..., Any]) -> list[Any]:
    """The second derivatives of f, a function of the inputs of these names, in all three nestings."""
    y_bar, xs, x_dots = _seeds(node_judge, names)

    def gradient(*args: Any) -> Any:
        return vjp(f, *args)[1](y_bar)

    def tangent(*args: Any) -> Any:
        return jvp(f, args, x_dots)[1]

    return [
        jvp(gradient, xs, x_dots)[1],
        vjp(gradient, *xs)[1](x_dots),
        vjp(tangent, *xs)[1](y_bar),
    ]


def _program(node_judge: NodeByNode, names: list[str]) -> Callable[..., Any]:
    """The graph as a function of the inputs of these names."""

    def f(*args: Any) -> Any:
        return node_judge.graph(**{**node_judge.case.inputs, **dict(zip(names, args, strict=True))})

    return f


def _seeds(node_judge: NodeByNode, names: list[str]) -> tuple[Ball, tuple[Ball, ...], tuple[Ball, ...]]:
    """The cotangent, and the inputs of these names with their tangents."""
    case, fmt = node_judge.case, node_judge.fmt
    missing = node_judge.missing(case.graph.outputs[0])
    y_bar = special_points.undefined_outputs(missing, np.asarray(case.cotangent, float))
    xs, x_dots = (
        tuple([remembering(exact(arrays[name], fmt)) for name in names])
        for arrays in (case.inputs, case.tangents)
    )
    return remembering(exact(y_bar, fmt)), xs, x_dots


def alternative_bounds(node_judge: NodeByNode, names: list[str], position: int) -> list[Reach]:
    """The bounds of the second derivative in the input at ``position``, one for each other formula that the record of the op names.

    They are computed once for a judge, for all inputs together.
    """
    key = ("by formula", *names)
    if key not in node_judge.second:
        node_judge.second[key] = _by_formula(node_judge, names)
    return [reaches[position] for reaches in node_judge.second[key]]


def _by_formula(node_judge: NodeByNode, names: list[str]) -> list[list[Reach]]:
    """For each other formula, the bounds of the second derivatives in all inputs."""
    graph, case = node_judge.graph, node_judge.case
    node = graph.nodes[graph.outputs[0]]

    def radii(formula: Callable[..., Any]) -> list[list[PlainArray]]:
        """For each input those of the nestings."""

        def f(*args: Any) -> Any:
            bound = {**case.inputs, **dict(zip(names, args, strict=True))}
            given = {k: bound[name] for name, k in graph.inputs.items()}
            return formula(*[given[j] if j in given else graph.nodes[j].value for j in node.of])

        nestings = _nestings(node_judge, names, f)
        return [[parts(answer[position])[1] for answer in nestings] for position in range(len(names))]

    return [
        [Reach(_widest(of_input, blind), blind) for of_input in found]
        for found, blind in alternative_formulas.each(node, radii)
    ]


def _widest(radii: list[PlainArray], blind: bool) -> PlainArray:
    """The largest bound. Where a blind formula loses every bit in one nesting, it may return any number."""
    found = functools.reduce(np.fmax, radii) if blind else largest(radii)
    assert found is not None
    return found


def without_second(node_judge: NodeByNode, name: str) -> PlainArray:
    """A mask of the elements of an input whose second derivative is not judged.

    These are points without an ordinary first derivative: elementwise for an elementwise op, all elements or none for other ops. Elements
    of ``out_of_reach`` are not judged either.
    """
    node = node_judge.graph.nodes[node_judge.graph.outputs[0]]
    assert node.op is not None
    operands, shape = tuple([node_judge.balls[j] for j in node.of]), np.shape(node_judge.case.inputs[name])
    beyond = out_of_reach(node_judge)
    missing = beyond if beyond.shape == shape else np.full(shape, np.any(beyond))
    if missing.all():
        return missing
    missing = missing | (
        len(operands) == 1 and special_points.in_a_set(node.op, operands[0].value, node.params)
    )
    for position in range(len(node.of)):
        for places, _, _ in patches(node.op, operands, node.params, position):
            missing = (
                missing | places if places.shape == shape and node.op.broadcasts else np.ones(shape, bool)
            )
    return missing


def without_transposed(node_judge: NodeByNode, names: list[str]) -> PlainArray:
    """A mask of the elements of the result whose tangent is not judged as the gradient of a gradient, with second derivatives on the way.

    An element of ``without_second`` takes along all of the result, unless each element is computed by itself.
    """
    shape = np.shape(node_judge.case.cotangent)
    missing = [m for m in (without_second(node_judge, name) for name in names) if m.any()]
    if not missing:
        return np.zeros(shape, bool)
    if any(m.shape != shape for m in missing) or not _kernel(node_judge).alone:
        return np.ones(shape, bool)
    return functools.reduce(np.logical_or, missing)


def out_of_reach(node_judge: NodeByNode) -> PlainArray:
    """A mask of the elements of the result whose second derivatives may leave the range on the way. It is computed once for a judge.

    A second derivative multiplies up to four factors of the size of an operand, in an order that a framework may choose. So operands have
    to lie within the fourth roots of the range. Infinite operands may stand only where the record of the op has such special points.
    An operand of a kernel that computes each element by itself is out of reach for its own element alone; else for all. Where the gradient
    does not depend on the operands, no second derivative multiplies them: none is out of reach.
    """
    key = ("out of reach",)
    if key not in node_judge.second:
        node_judge.second[key] = [_out_of_reach(node_judge)]
    found: PlainArray = node_judge.second[key][0]
    return found


def _out_of_reach(node_judge: NodeByNode) -> PlainArray:
    node, shape = node_judge.graph.nodes[node_judge.graph.outputs[0]], np.shape(node_judge.case.cotangent)
    assert node.op is not None
    operands = [x for x in (node_judge.balls[j] for j in node.of) if isinstance(x, Ball)]
    beyond = [_beyond(node.op, x.value, node_judge.fmt) for x in operands]
    if not any(map(np.any, beyond)) or _is_linear(node_judge):
        return np.zeros(shape, bool)
    if any(x.shape not in (shape, ()) for x in beyond) or not _kernel(node_judge).alone:
        return np.ones(shape, bool)
    return functools.reduce(np.logical_or, beyond, np.zeros(shape, bool))


def _is_linear(node_judge: NodeByNode) -> bool:
    """Whether the gradient in all inputs is the same for all operands nearby: their tangents do not arrive there."""
    names = list(node_judge.case.tangents)
    f, (y_bar, xs, x_dots) = _program(node_judge, names), _seeds(node_judge, names)
    moved = jvp(lambda *args: vjp(f, *args)[1](y_bar), xs, x_dots)[1]
    return not any(isinstance(x_dot, Ball) for x_dot in moved)


def _kernel(node_judge: NodeByNode) -> Hidden:
    node = node_judge.graph.nodes[node_judge.graph.outputs[0]]
    return hidden_formula(node, [node_judge.balls[j] for j in node.of], node_judge.fmt)


def _beyond(op: OpRecord, x: PlainArray, fmt: Format) -> PlainArray:
    """A mask of the elements beyond the fourth roots of the range: zeros lie within."""
    size, limit = np.abs(x), fmt.max**0.25
    infinite_points = any(np.any(np.isinf(np.asarray(a, float))) for s in op.special for a in s.at)
    within = (size == 0) | (size < limit) & (size > 1 / limit) | np.isinf(size) & infinite_points
    return np.asarray(~within)
