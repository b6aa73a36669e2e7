"""The catalogue of planted errors: errors of real kernels, applied to one array of an observation.

A mutation draws its details (an element, an axis) and returns a Wrong, a function of a Scene. The result of this function on the scene of
the observation is planted. Its result on the scene of the reference decides whether the mutation is an error at all (audit.py). Every
kind of error has been reported of some kernel: wrong signs and factors, missing sums and means, misread memory, overwritten saved
tensors, sums in too narrow a format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError
from refgrad.graph import Node
from refgrad.op import Op
from refgrad.op.traits import NO_MISTAKES, Mistakes
from refgrad.ops import arithmetic
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import Place
from refgrad.tracing.ball import Ball, exact
from refgrad.tracing.cotangents import unbroadcast

Random = np.random.Generator


@dataclass
class Scene:
    """The array to change: ``place`` is its position, ``base`` its correct value, and ``judge`` has the case and observation around it."""

    judge: NodeByNode
    place: Place
    base: Ball
    # the node whose op made the array; in reverse mode the user that contributed it, -1 for several users
    node: int = field(init=False)
    position: int = field(init=False)  # the operand of that node to which a cotangent belongs

    def __post_init__(self) -> None:
        part, key = self.place
        self.node, self.position = key if part == "parts" else (key, -1)
        if part == "cotangents":
            users = self.users()
            self.node, self.position = users[0] if len(users) == 1 else (-1, -1)

    def users(self) -> list[tuple[int, int]]:
        """The users that contribute to the cotangent of this place: (node, operand position)."""
        key, graph, seen = self.place[1], self.judge.graph, self.judge.seen
        listed = [(k, i) for k in self.judge.order for i, j in enumerate(graph.nodes[k].of) if j == key]
        contributed = [place for place in listed if seen.parts.get(place) is not None]
        return contributed or [(k, i) for k, i in listed if seen.cotangents[k] is not None]

    @property
    def part(self) -> str:
        """The part of the observation: values, cotangents, parts or tangents."""
        return self.place[0]

    @property
    def backward(self) -> bool:
        """Whether the array is a cotangent."""
        return self.part in ("cotangents", "parts")

    @property
    def source(self) -> Node | None:
        """The node whose op made the array."""
        return self.judge.graph.nodes[self.node] if self.node >= 0 else None

    @property
    def op(self) -> str:
        """The name of that op."""
        return str(self.source) if self.source is not None else arithmetic.fan_in.name

    def operands(self) -> list[Any]:
        """The values of the operands of the op."""
        assert self.source is not None
        return [self.judge.balls[j] for j in self.source.of]

    def arriving(self) -> Ball:
        """The cotangent that arrives at the op."""
        return exact(self.judge.seen.cotangents[self.node], self.judge.fmt)

    @property
    def mistakes(self) -> Mistakes:
        """The errors that the record of the op names as known of its kernels."""
        op = self.source.op if self.source is not None else None
        return NO_MISTAKES if op is None else op.mistakes

    def derived(
        self, operands: list[Any] | None = None, y_bar: Any = None, without: int = -1, op: Op | None = None
    ) -> Any:
        """The result of the op's rule for other operands, for another incoming cotangent, or with one operand held constant.

        ``op`` replaces the op by one with other rules. None where the rule gives no derivative.
        """
        assert self.source is not None
        judge = self.judge
        node = self.source if op is None else replace(self.source, op=op)
        xs = self.operands() if operands is None else operands
        y = judge.recomputed_value(self.node) if operands is None else node.applied(xs)
        if self.backward:
            sent = node.contributions(xs, y, self.arriving() if y_bar is None else y_bar)
            found = next((x_bar for position, _, x_bar in sent if position == self.position), None)
            return None if found is None else _ball(unbroadcast(found, self.base.shape), judge)
        tangents = [
            None
            if position == without or judge.seen.tangents[j] is None
            else exact(judge.seen.tangents[j], judge.fmt)
            for position, j in enumerate(node.of)
        ]
        return _ball(node.tangent(xs, y, tangents), judge)


def _ball(x: Any, judge: NodeByNode) -> Any:
    return None if x is None else x if isinstance(x, Ball) else exact(x, judge.fmt)


# Gives the wrong array as a Ball; None where the error does not apply to the scene.
Wrong = Callable[[Scene], Any]
Draw = Callable[[Scene, Random], "Wrong | None"]


# --- errors of the array alone ------------------------------------------------------------------------------------------


def changed(change: Callable[[PlainArray], PlainArray]) -> Wrong:
    """An error that is a linear function of the correct array; the radius changes in the same way."""

    def wrong(scene: Scene) -> Ball:
        radius = scene.base.radius
        moved = None if radius is None else np.abs(change(np.broadcast_to(radius, scene.base.shape)))
        return Ball(change(scene.base.value), moved, scene.judge.fmt)

    return wrong


def times(factor: float) -> Draw:
    """The array multiplied by a factor."""
    return lambda _scene, _rng: changed(lambda x: x * factor)


def _one_element(scene: Scene, rng: Random) -> Wrong:
    k = int(rng.integers(scene.base.value.size))

    def double(x: PlainArray) -> PlainArray:
        x = np.array(x)
        x.flat[k] *= 2
        return x

    return changed(double)


def _garbage(scene: Scene, rng: Random) -> Wrong:
    k = int(rng.integers(scene.base.value.size))
    finite = scene.base.value[np.isfinite(scene.base.value)]
    size = float(np.max(np.abs(finite), initial=0.0)) or 1.0

    def add(s: Scene) -> Ball:
        x = np.array(s.base.value)
        x.flat[k] += size
        return Ball(x, s.base.radius, s.judge.fmt)

    return add


def _one_unit(scene: Scene, rng: Random) -> Wrong:
    """One element is off by one unit in the last place of the judged format."""
    k, sign = int(rng.integers(scene.base.value.size)), float(rng.choice((-1.0, 1.0)))
    fmt = FORMATS[scene.judge.case.dtype]

    def add(s: Scene) -> Ball:
        x = np.array(s.base.value)
        size = float(x.flat[k])
        unit = max(np.ldexp(1.0, np.frexp(size)[1] - fmt.bits), fmt.least) if size else fmt.least
        x.flat[k] += sign * unit
        return Ball(x, s.base.radius, s.judge.fmt)

    return add


def _roll(scene: Scene, rng: Random) -> Wrong | None:
    axes = [k for k, n in enumerate(scene.base.shape) if n > 1]
    axis = axes[int(rng.integers(len(axes)))] if axes else 0
    return changed(lambda x: np.roll(x, 1, axis)) if axes else None


def _transpose(scene: Scene, _rng: Random) -> Wrong | None:
    shape = scene.base.shape
    return (
        changed(lambda x: np.swapaxes(x, -1, -2)) if len(shape) > 1 and shape[-1] == shape[-2] > 1 else None
    )


# --- errors of the op ---------------------------------------------------------------------------------------------------


def _dropped_path(scene: Scene, rng: Random) -> Wrong | None:
    """The contribution of one user to a gradient, or of one operand to a tangent, is missing; zeros where there is only one."""
    if scene.part == "values":
        return None
    users = scene.users()
    if scene.part == "cotangents" and scene.node < 0 and users:
        if not all(u in scene.judge.seen.parts for u in users):
            return None  # the framework does not tell what each use sends back
        dropped = int(rng.integers(len(users)))
        left = [u for k, u in enumerate(users) if k != dropped]
        return lambda s: _ball(
            arithmetic.fan_in(*[exact(s.judge.seen.parts[u], s.judge.fmt) for u in left]), s.judge
        )
    active = (
        [k for k, j in enumerate(scene.source.of) if scene.judge.seen.tangents[j] is not None]
        if scene.source
        else []
    )
    if scene.part == "tangents" and len(active) > 1:
        missing = active[int(rng.integers(len(active)))]
        return lambda s: s.derived(without=missing)
    return changed(np.zeros_like)


def _missing_sum(scene: Scene, rng: Random) -> Wrong | None:
    """The gradient of a broadcast operand is the first or last slice in place of the sum over all slices."""
    source = scene.source
    if not scene.backward or source is None or source.op is None or not source.op.broadcasts:
        return None
    shape, y_shape = scene.base.shape, np.shape(scene.judge.seen.cotangents[scene.node])
    core = source.op.core
    if core:  # the last axes do not broadcast
        enough = len(shape) >= core and len(y_shape) >= core
        shape, y_shape = (shape[:-core], y_shape[:-core]) if enough else ((), ())
    lead = len(y_shape) - len(shape)
    axes = [k for k, n in enumerate(y_shape) if n > 1 and (k < lead or shape[k - lead] == 1)]
    if not axes:
        return None
    keep = int(rng.integers(2)) - 1  # 0 or -1

    def wrong(s: Scene) -> Any:
        y_bar = s.arriving()
        mask = np.zeros(np.shape(y_bar))
        mask[tuple(keep if k in axes else slice(None) for k in range(mask.ndim))] = 1
        return s.derived(y_bar=Ball(y_bar.value * mask, None, y_bar.fmt))

    return wrong


def _forgotten_mean(scene: Scene, _rng: Random) -> Wrong | None:
    """A mean that is not divided by the number of its terms."""
    source, terms = scene.source, scene.mistakes.terms
    if terms is None or source is None:
        return None
    x = scene.judge.seen.values[source.of[0]]
    n = terms(np.shape(x), **source.params) if np.size(x) else 0
    return changed(lambda a: a * n) if n > 1 else None


def _missing_term(scene: Scene, _rng: Random) -> Wrong | None:
    """A term of the derivative is missing: the sum of softmax and log_softmax, the one-hot term of cross entropy."""
    source, incomplete = scene.source, scene.mistakes.incomplete
    if incomplete is None or source is None or source.op is None or scene.part == "values":
        return None
    op = incomplete.of(source.op)
    assert isinstance(op, Op)  # a formula with rules of its own
    return lambda s: s.derived(op=op)


def _wrong_branch(scene: Scene, rng: Random) -> Wrong | None:
    """The derivative of the other branch at one element of a mask, or at all elements for the position of a maximum or minimum."""
    other_branch = scene.mistakes.other_branch
    if (
        other_branch is None
        or scene.part == "values"
        or scene.source is None
        or not np.size(scene.judge.seen.values[scene.node])
    ):
        return None
    seed = int(rng.integers(2**32))

    def wrong(s: Scene) -> Any:
        given = s.operands()
        arrays: list[Array] = [_array(x) for x in given]
        moved = other_branch(arrays, np.random.default_rng(seed))
        if moved is None:
            return None
        return s.derived(
            operands=[
                x if new is old else new if new.dtype.kind == "b" else Ball(new, None, s.judge.fmt)
                for x, old, new in zip(given, arrays, moved, strict=True)
            ]
        )

    return wrong


def _array(x: Any) -> PlainArray:
    return x.value if isinstance(x, Ball) else np.asarray(x)


def _stale(scene: Scene, rng: Random) -> Wrong | None:
    """The derivative at other operand values, as from a saved tensor that was overwritten before it was used."""
    if scene.part == "values" or scene.source is None or scene.source.op is None:
        return None
    domain, seed = scene.source.op.domain, int(rng.integers(2**32))

    def wrong(s: Scene) -> Any:
        other = np.random.default_rng(seed)
        xs = [
            exact(domain.interval(k).draw(other, x.shape), s.judge.fmt) if isinstance(x, Ball) else x
            for k, x in enumerate(s.operands())
        ]
        try:
            return s.derived(operands=xs)
        except (np.linalg.LinAlgError, ArgumentError):
            # values that the op refuses: no forward pass has saved them
            return None

    return wrong


def _misread(scene: Scene, _rng: Random) -> Wrong | None:
    """The incoming cotangent is read as if it were contiguous: columns as rows, or every second element of a vector."""
    if not scene.backward or scene.source is None or np.size(scene.judge.seen.cotangents[scene.node]) < 2:
        return None

    def wrong(s: Scene) -> Any:
        y_bar = s.arriving().value
        line = y_bar.ravel(order="F")
        if sum(n > 1 for n in y_bar.shape) < 2:
            line = line[2 * np.arange(line.size) % line.size]
        return s.derived(y_bar=exact(line.reshape(y_bar.shape), s.judge.fmt))

    return wrong


def _narrow_sum(scene: Scene, _rng: Random) -> Wrong | None:
    """A sum that is accumulated in the next narrower format."""
    source = scene.source
    op = arithmetic.fan_in if source is None else source.op
    broadcast = scene.backward and source is not None and source.op is not None and source.op.broadcasts
    summed = (op is not None and op.sums) or (
        broadcast and np.size(scene.judge.seen.cotangents[scene.node]) > scene.base.value.size
    )
    narrower = FORMATS[FORMATS[scene.judge.case.dtype].narrower]

    def narrow(x: PlainArray) -> PlainArray:
        mantissa, exponent = np.frexp(x)
        return np.ldexp(np.rint(np.ldexp(mantissa, narrower.bits)), exponent - narrower.bits)

    return (lambda s: Ball(narrow(s.base.value), s.base.radius, s.judge.fmt)) if summed else None


ONE_UNIT = "one unit in the last place"

CATALOGUE: dict[str, Draw] = {
    "sign": times(-1.0),
    "factor 2": times(2.0),
    "dropped path": _dropped_path,
    "missing broadcast sum": _missing_sum,
    "transpose": _transpose,
    "roll": _roll,
    "forgotten 1/n": _forgotten_mean,
    "missing softmax term": _missing_term,
    "one wrong element": _one_element,
    "uninitialised element": _garbage,
    "wrong branch": _wrong_branch,
    "stale saved tensor": _stale,
    "misread memory order": _misread,
    "narrow accumulation": _narrow_sum,
    "relative 1e-2": times(1.01),
    "relative 1e-3": times(1.001),
    "relative 1e-4": times(1.0001),
    "relative 1e-6": times(1.000001),
    ONE_UNIT: _one_unit,
}
