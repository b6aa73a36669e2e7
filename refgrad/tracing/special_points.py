"""Special points of derivatives over Balls: there the record of an op says which derivatives are acceptable, or that there are none.

Reverse and forward mode pass the result of each rule through here. It changes Balls alone, at any level of nesting, since a Ball encloses
all correct results. Over plain arrays each rule keeps its own convention. There are three cases:

    a point with nothing allowed     NaN, which stands for "not defined"
    a point with a set               a Ball that spans the set, where the rule itself spans more
    a value that is NaN              what multiplies its derivative becomes NaN, unless it is exactly zero

Nothing is promised about derivatives of what was replaced.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.domain import Special
from refgrad.formula import taken
from refgrad.op import Op, OpRecord, Params, Rule, Traced
from refgrad.ops.undefined import rough, void
from refgrad.quiet import quiet
from refgrad.tracing.ball import Ball, parts

# What is allowed at some places: (places, low, high); low > high stands for nothing.
Patch = tuple[PlainArray, PlainArray, PlainArray]
NOTHING = (np.inf, -np.inf)


def innermost(x: Any) -> Any:
    """What lies below all levels of nesting: a Ball, or a plain array or number."""
    while isinstance(x, Traced) and type(x) is not Ball:
        x = x._value
    return x


# --- which special points are met ------------------------------------------------------------------------------------


def patches(op: OpRecord, operands: tuple[Any, ...], params: Params, position: int) -> list[Patch]:
    """The special points that the operands meet, in the shape of the operand at ``position``; empty for ordinary ones.

    An operand that was broadcast gathers a sum: where one element has no single derivative, nothing is said of the sum.
    """
    found = _patches(op, operands, params)
    shape = np.shape(getattr(innermost(operands[position]), "value", operands[position]))
    return [_gathered(patch, shape) for patch in found[position]] if found else []


def _gathered(patch: Patch, shape: tuple[int, ...]) -> Patch:
    """A patch in the shape of one operand, which may have been broadcast."""
    places = patch[0]
    if places.shape == shape:
        return patch
    spread = places.ndim - len(shape)
    along = tuple(
        [k for k, n in enumerate(places.shape) if k < spread or (shape[k - spread] == 1 and n != 1)]
    )
    places = places.any(axis=along, keepdims=True).reshape(shape)
    low, high = (np.broadcast_to(end, shape) for end in NOTHING)
    return places, low, high


def _patches(op: OpRecord, operands: tuple[Any, ...], params: Params) -> tuple[list[Patch], ...]:
    """The special points that the operands meet, for each operand; empty where they meet none.

    In the shape of the operands broadcast together where a record names single numbers, else in the operand's.
    """
    specials = _open(op) if op.special else ()
    if not specials:
        return ()
    balls = [innermost(x) for x in operands]
    xs = [np.asarray(x.value if type(x) is Ball else x) for x in balls]
    if not all(x.dtype.kind == "f" for x in xs):
        return ()
    found: list[list[Patch]] = [[] for _ in xs]
    for point in specials:
        places = _places(point, xs, params)
        if places is None:
            continue
        for patches_, allowed in zip(found, point.special.allowed, strict=True):
            if not _single(allowed):
                ends = NOTHING if allowed is None else tuple([np.asarray(end, float) for end in allowed])
                low, high = (end if np.shape(end) == places.shape else np.ravel(end)[0] for end in ends)
                patches_.append(
                    (places, np.broadcast_to(low, places.shape), np.broadcast_to(high, places.shape))
                )
    return tuple(found) if any(found) else ()


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """A special point with its operands as arrays.

    single    they are single numbers, which elements may meet anywhere
    alike     the one operand is a vector of equal elements, which stands for any number of them along an axis
    """

    special: Special
    at: tuple[PlainArray, ...]
    single: bool
    alike: bool


@functools.cache
def _open(op: OpRecord) -> tuple[_Point, ...]:
    """The special points of an op at which some operand has no single derivative: a single one is given by the rule, with its bound."""
    found = []
    for s in op.special:
        if not all(map(_single, s.allowed)):
            at = tuple([np.asarray(a, float) for a in s.at])
            first = at[0]
            alike = (
                len(at) == 1 and first.ndim == 1 and first.size > 1 and bool(np.all(_equal(first, first[0])))
            )
            found.append(_Point(s, at, all(a.ndim == 0 for a in at), alike))
    return tuple(found)


def _single(allowed: tuple[Any, Any] | None) -> bool:
    return allowed is not None and bool(
        np.all(np.asarray(allowed[0], float) == np.asarray(allowed[1], float))
    )


def _places(point: _Point, xs: list[PlainArray], params: Params) -> PlainArray | None:
    """Where the operands are at a special point; None for nowhere."""
    at = point.at
    if len(at) != len(xs):
        return None
    if point.single or point.alike:  # the usual case: no element is there
        for x, a in zip(xs, at, strict=True):
            number = a.ravel()[0]
            if not (math.isnan(number) or np.count_nonzero(x == number)):
                return None
    if not all(np.array_equal(np.asarray(params.get(k)), v) for k, v in point.special.params):
        return None
    if point.single:
        places: PlainArray = np.ones((), bool)
        for x, a in zip(xs, at, strict=True):
            places = places & _equal(x, a)
    elif point.alike and np.ndim(params.get("axis", ())) == 0:
        (x,), (a,) = xs, at
        places = np.broadcast_to(np.all(_equal(x, a[0]), axis=params["axis"], keepdims=True), x.shape)
    elif all(x.shape == a.shape and np.all(_equal(x, a)) for x, a in zip(xs, at, strict=True)):
        places = np.ones(xs[0].shape, bool)
    else:
        return None
    return places if places.any() else None


def _equal(x: PlainArray, a: PlainArray) -> PlainArray:
    return (x == a) | (np.isnan(x) & np.isnan(a))


# --- what a rule is to give there ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """What is exceptional where an op was applied to Balls."""

    missing: PlainArray | None  # elements of the value that are NaN; None where there are none
    patches: tuple[list[Patch], ...]  # special points by operand; see ``_patches`` for their shape
    operands: tuple[Any, ...]
    params: Params
    shape: tuple[int, ...]  # of the value
    broadcasts: bool  # whether the op broadcasts its operands

    def pulled(self, rule: Rule, position: int) -> Rule:
        """The VJP rule of one operand (of all, for a variadic op), with what is settled here."""
        found, x = self.patches[position] if self.patches else [], self.operands[position]

        def settled(y_bar: Any, *saved: Any) -> Any:
            if self.missing is not None:
                y_bar = void(y_bar, at=self.missing)
            x_bar = rule(y_bar, *saved)
            for patch in found:
                x_bar = _settled(x_bar, self._seed(y_bar, patch), x, patch, self.broadcasts)
            if self.missing is not None and not isinstance(x_bar, (tuple, list)):
                x_bar = _rough(x_bar, x, self.missing, self.broadcasts)
            return x_bar

        return settled

    def pushed(self, part: Any, tangent: Any, position: int) -> Any:
        """What the JVP rule of one operand gave, with what the special points make of it."""
        x = self.operands[position]
        if self.missing is not None:
            part = _rough(part * np.where(self.missing, np.nan, 1.0), x, self.missing, self.broadcasts)
        for places, low, high in self.patches[position] if self.patches else ():
            if places.shape == self.shape:
                seed = None if self._mixing else tangent
                part = _settled(part, seed, x, (places, low, high), self.broadcasts)
            else:  # a reduction: where sets are allowed its rule gives the hull
                nothing = places & _nothing(low, high)
                part = part * np.where(self._reached(nothing), np.nan, 1.0)
        return part

    @property
    def _mixing(self) -> bool:
        """Whether each element of the value depends on several of an operand that has its shape (softmax)."""
        return "axis" in self.params and "keepdims" not in self.params

    def _seed(self, y_bar: Any, patch: Patch) -> Any:
        """What multiplies the derivative of each element at the places of a patch; None where more than one number does."""
        axis, dimensions = self.params.get("axis"), patch[0].ndim
        if self._mixing:
            return None
        if len(self.shape) in (0, dimensions):
            return y_bar
        return (
            np.expand_dims(y_bar, axis) if type(axis) is int and len(self.shape) == dimensions - 1 else None
        )

    def _reached(self, places: PlainArray) -> PlainArray:
        """The elements of a reduced value that depend on some places of the operand."""
        axis = self.params.get("axis")
        if type(axis) is int:
            reached = np.any(places, axis=axis, keepdims=bool(self.params.get("keepdims", False)))
            if reached.shape == self.shape:
                return reached
        return np.full(self.shape, places.any())


def met(op: Op, operands: tuple[Any, ...], params: Params, y: Any) -> Met | None:
    """What is exceptional where ``op`` was applied to these operands with value y; None for ordinary points, and where no Ball is about."""
    ball = innermost(y)
    if type(ball) is not Ball:
        return None
    missing: PlainArray | None = None
    if ball.value.dtype.kind == "f":
        missing = np.isnan(ball.value)
        missing = missing if np.count_nonzero(missing) else None
    found = _patches(op, operands, params)
    return (
        Met(missing, found, operands, params, ball.shape, op.broadcasts)
        if found or missing is not None
        else None
    )


def ordinary(op: Op, operands: tuple[Any, ...], y: Any) -> bool:
    """Whether the rules of an op without parameters hold as they stand: nothing is exceptional, and no other formula is taken."""
    return met(op, operands, {}, y) is None and taken(op) is None


def _nothing(low: PlainArray, high: PlainArray) -> PlainArray:
    return (low > high) | (~np.isfinite(low) | ~np.isfinite(high)) & (low != high)


def _settled(given: Any, seed: Any, x: Any, patch: Patch, broadcasts: bool) -> Any:
    """What a rule gave for the operand x, by the set that is allowed at some places.

    seed    what multiplies the derivative there, the cotangent or tangent; None leaves sets to the rule
    """
    places, low, high = patch
    nothing = places & _nothing(low, high)
    if nothing.any():
        given = _rough(given * np.where(nothing, np.nan, 1.0), x, nothing, broadcasts)
    some = places & ~nothing & (low != high)
    ball = innermost(given)
    if seed is None or type(ball) is not Ball or not ball.fmt.kinks or not some.any():
        return given
    fmt = ball.fmt
    with quiet():
        middle, half = np.where(some, (low + high) / 2, 0.0), np.where(some, (high - low) / 2, 0.0)
        half = half + np.where(some, fmt.u * np.maximum(np.abs(low), np.abs(high)), 0.0)
        spanned = _rough(seed * Ball(middle.astype(fmt.wide), half, fmt), x, some, broadcasts)
        value, radius = parts(innermost(spanned))
        _, reach = parts(ball)
        # Both spans hold every acceptable number, and the rule knows its own derivatives.
        wider = some & np.isfinite(value) & (reach > radius + 2 * fmt.store(value, radius))
    return np.where(wider, spanned, given) if wider.any() else given


def _rough(given: Any, x: Any, at: PlainArray, broadcasts: bool) -> Any:
    """What was given, without a derivative in the operand x at some places. Of an op that is not elementwise only places of x are known."""
    if not isinstance(x, Traced) or type(x) is Ball:
        return given  # nothing asks for that derivative
    fits = len(x.shape) <= at.ndim and all(
        n in (1, m) for n, m in zip(x.shape[::-1], at.shape[::-1], strict=False)
    )
    if not fits or (not broadcasts and np.broadcast_shapes(given.shape, at.shape) != given.shape):
        return given  # places of a value of another shape, as of a reshaped operand, are no places of x
    nothing = rough(x, at=at)
    return given + (nothing.real if nothing.dtype.kind == "c" and given.dtype.kind != "c" else nothing)


__all__ = ["Met", "Patch", "innermost", "met", "ordinary", "patches"]
