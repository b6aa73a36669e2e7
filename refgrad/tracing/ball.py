"""Ball arithmetic, the third interpreter: an array with a rigorous error radius, in a format wider than the one judged.

Every value that a run in the judged format may have lies within ``radius`` of ``value``. A Ball is the innermost level, so forward and
reverse mode run over Balls as over plain arrays, in any nesting, and gradients have error bounds. Sources: Johansson, "Arb: efficient
arbitrary-precision midpoint-radius interval arithmetic" (2017); Higham, "Accuracy and Stability of Numerical Algorithms", ch. 3.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

import numpy as np

from refgrad.arrays import Array, Operand, PlainArray
from refgrad.blocks import BLOCK, COUNT, in_blocks
from refgrad.bounds import magnitudes, promises
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.exact_rules import EXACT_RULES
from refgrad.bounds.formats import DTYPES, FORMATS, Format
from refgrad.bounds.profiles import DOUBLE
from refgrad.bounds.rounding import nearest, representable
from refgrad.bounds.small_arrays import constant, every
from refgrad.errors import TracingError
from refgrad.op import Op, Params, apply
from refgrad.quiet import quiet, quietly
from refgrad.tracing.array import TracedArray

_NOT_YET: Any = object()  # in the place of a radius that nothing has asked for


class Ball(TracedArray):
    """value in the wide format of ``fmt``; radius of the same shape, or None where the value is exact.

    results    what ops on this very Ball came to, where they are remembered (see ``remembering``); else None
    """

    __slots__ = ("_carried", "_fmt", "_radius", "_results", "_unknown", "_value")
    _level = 0
    _results: dict[Any, Any] | None

    def __init__(self, value: Array, radius: Array | None, fmt: Format) -> None:
        self._value: Any = value
        self._radius: Any = radius
        self._fmt = fmt
        self._results = None
        self._carried: Any = _NOT_YET
        self._unknown: Any = None

    @property
    def value(self) -> PlainArray:
        """The centre of the Ball, in the wide format."""
        return self._value

    @property
    def radius(self) -> PlainArray | None:
        """The radius, of the centre's shape or one that broadcasts to it; None where the value is exact."""
        return self._radius

    @property
    def fmt(self) -> Format:
        """The judged format."""
        return self._fmt

    def _become(self, other: Any) -> None:
        self._value, self._radius = other._value, other._radius
        self._carried, self._unknown, self._results = other._reach(), other._unknown, other._results

    def _constant(self, y: Array) -> Ball:
        return lift(y, self._fmt)

    def _snapshot(self) -> Ball:
        ball = Ball(self._value, self._radius, self._fmt)
        ball._carried, ball._unknown, ball._results = self._reach(), self._unknown, self._results
        return ball

    @property
    def _scalar_type(self) -> type:
        """That of the judged format: the value is in a wider one."""
        return np.dtype(self._fmt.carrier).type

    def _key(self) -> int:
        raise TracingError(
            "a number that stands for all that rounding may make of it has no hash: a set or a dict would tell it from its equals. "
            "Compare numbers with np.where or <, and use plain keys."
        )

    def _reach(self) -> Array | None:
        """The radius with which the value goes on: infinite where the value overflows in the judged format, though not in the wide one."""
        if self._carried is not _NOT_YET:
            return self._carried
        self._carried = radius = self._radius
        if self._value.dtype.kind == "f" and not magnitudes.within(self._value, radius, self._fmt.max):
            size = np.abs(self._value) if radius is None else np.abs(self._value) + radius
            if not every(size <= constant(self._fmt.max, size.dtype)):
                beyond = (size > self._fmt.max) & np.isfinite(self._value)
                if radius is None and not beyond.any():
                    return radius  # NaN or infinity, exactly
                self._carried = np.where(beyond, np.inf, 0.0 if radius is None else radius)
                unknown = ~np.isfinite(self._carried)
                self._unknown = unknown if unknown.any() else None
        return self._carried

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        for x in operands:
            if type(x) is not Ball and isinstance(x, TracedArray):  # complex ones, of this level too
                return ENCLOSED_BY_PARTS[0](op, operands, params, top._fmt)
        if top._results is None:
            return _interpreted(op, operands, params, top._fmt)
        return _recalled(op, operands, params, top)


# What applies an op to complex operands, or to real ones with a complex value, at this level; complex_ball.py fills it.
ENCLOSED_BY_PARTS: list[Any] = []


def _interpreted(op: Op, operands: tuple[Any, ...], params: Params, fmt: Format) -> Any:
    es, unknown, elements = [], False, 1
    balls: list[Any] = [x if type(x) is Ball else lift(x, fmt) for x in operands]
    if len(balls) > 1:
        balls = [
            _rounded_whole(op, k, b, fmt) if b._value.dtype.kind in "iu" else b for k, b in enumerate(balls)
        ]
    for b in balls:
        carried = b._carried
        es.append(b._reach() if carried is _NOT_YET else carried)  # it is an operand for the first time
        unknown = unknown or b._unknown is not None
        elements *= b._value.size
    given = tuple([_in_range(b._value, fmt) if fmt.ranged else b._value for b in balls])
    radii = tuple(es)
    if op.elementwise and elements >= BLOCK:
        y, radius = quietly(in_blocks, functools.partial(_formed, op, params, fmt), given, radii)
    else:
        y, radius = quietly(_formed, op, params, fmt, given, radii)
    COUNT.rounded += radius is not None and op.rounding not in EXACT_RULES
    COUNT.choices += not op.branch_free
    COUNT.across += not op.elementwise
    if y.dtype.kind == "b":
        return y if radius is None else Ball(y, radius, fmt)
    if y.dtype.kind == "c":
        return ENCLOSED_BY_PARTS[0](op, operands, params, fmt)
    if unknown:
        radius = _without_promise(op, y, radius, given, balls, params)
    return Ball(y, radius, fmt)


def _formed(op: Op, params: Params, fmt: Format, xs: Any, es: Any) -> tuple[Array, Array | None]:
    """Value and radius."""
    y = op.forward(*xs, **params)
    if y.dtype.kind == "c":  # no rounding rule is for complex numbers
        return y, None
    radius = op.rounding(Evaluation(fmt, op.forward, y, xs, es, params))
    if type(radius) is tuple:  # a rule that moves the centre (an uncertain branch: the hull of both)
        y, radius = radius
    if op.name in fmt.own_figures:
        radius = promises.of_value(fmt, op.name, y, radius, exact_operands=all(e is None for e in es))
    if fmt.zeroed:
        if y.dtype.kind == "f" and promises.lost(fmt, xs):
            y, radius = promises.at_lost_operands(functools.partial(op.forward, **params), fmt, y, radius, xs)
        radius = magnitudes.flushed(radius, y, fmt.zeroed)
    if radius is None:
        return y, None
    if fmt.on_grid and not np.count_nonzero(radius):
        return y, None  # what is exact in every element passes for exact in the rules that follow
    return y, magnitudes.radius(radius)


def rounded_operations() -> int:
    """How many operations on Balls rounded so far: the difference of two calls counts those of a program in between."""
    return COUNT.rounded


def choosing_operations() -> int:
    """How many operations on Balls so far may choose a branch, or one of several derivatives."""
    return COUNT.choices


def operations_across() -> int:
    """How many operations on Balls so far may take an element of the result from elements at other places."""
    return COUNT.across


def _without_promise(op: Op, y: Array, radius: Array | None, xs: Any, balls: Any, params: Params) -> Array:
    """The radius, infinite wherever the op propagates NaN: an operand about which nothing is known may be NaN in the run.

    A rule bounds what numbers can come to. The sign of whatever number lies in [-1, 1]; that of inf - inf is NaN. What the rules say
    of an infinite result is left to them: at a pole it is expected, whatever the radius.
    """
    planted = [
        x if b._unknown is None else np.where(b._unknown, np.nan, x) for x, b in zip(xs, balls, strict=True)
    ]
    with quiet():
        handed_on = np.isnan(op.forward(*planted, **params)) & np.isfinite(y)
    return np.where(handed_on, np.inf, 0.0 if radius is None else radius)


def _in_range(x: Array, fmt: Format) -> Array:
    """A finite value beyond the format's range has no number there: what the formula makes of it is undefined."""
    if x.dtype.kind != "f":
        return x
    size, most = np.abs(x), constant(fmt.max * (1 + fmt.u), x.dtype)
    if every(size <= most):
        return x
    beyond = np.isfinite(x) & (size > most)
    return np.where(beyond, x.dtype.type(np.nan), x) if beyond.any() else x


def exact(x: Operand, fmt: Format) -> Ball:
    """An array given exactly: its elements are numbers of the judged format.

    Where kernels may take an element as zero, its magnitude is the radius.
    """
    x = x if isinstance(x, np.generic) else np.asarray(x)  # a scalar stays one
    wide = x.astype(fmt.wide, copy=False)
    ball = Ball(wide, magnitudes.flushable(wide, fmt.zeroed) if fmt.zeroed else None, fmt)
    ball._carried = ball._radius  # it came from the format, so it has not overflowed there
    return ball


def remembering(ball: Ball) -> Ball:
    """The Ball, which from now on caches the results of ops on it, as the results do in turn.

    Forward and reverse mode ask for the same values and the same slopes. All of it is kept as long as the Ball is; no in-place
    operator may follow.
    """
    ball._results = {}
    return ball


_EQUALS = (float, int, np.float64, np.longdouble)  # operands that are the same where their digits are


def _recalled(op: Op, operands: tuple[Any, ...], params: Params, top: Ball) -> Any:
    """The result of an op, from the cache where all its Balls have one and the op was applied before."""
    names: list[Any] = [op]
    for x in operands:
        kind = type(x)
        if kind is Ball:
            if x._results is None:
                return _interpreted(op, operands, params, top._fmt)
            names.append(id(x._results))  # which a snapshot of x shares
        else:
            names.append((kind, repr(x)) if kind in _EQUALS else id(x))
    key = (*names, *params.items())
    assert top._results is not None
    try:
        if key in top._results:
            return top._results[key][0]
    except TypeError:  # a parameter without a hash
        return _interpreted(op, operands, params, top._fmt)
    result = _interpreted(op, operands, params, top._fmt)
    if type(result) is Ball:
        remembering(result)
    top._results[key] = result, operands  # they stay alive, so that no other object gets their ids
    return result


def lift(x: Any, fmt: Format) -> Ball:
    """A constant met by a Ball: one that the judged format cannot hold may be held there as the nearest number, or in a wider one."""
    if type(x) in _NUMBERS and x != 0 and fmt.name in DTYPES:  # of zeros there are two, and they are equal
        return _number(x, fmt.name)
    if type(x) is np.ndarray and x.dtype.kind == "f" and _LARGE[0] <= x.size <= _LARGE[1]:
        return _known(x, fmt)
    return _constant(x, fmt)


_LARGE = (64, 2**20)  # elements of a constant from which, and up to which, to remember it pays
_MANY = 64  # constants
_KNOWN: dict[tuple[int, str, float], tuple[weakref.ref[Any], bytes, Ball]] = {}


def _known(x: PlainArray, fmt: Format) -> Ball:
    """A constant array as a Ball, cached as long as the array lives and has the same content."""
    key, content = (id(x), fmt.name, fmt.u_acc), x.tobytes()
    found = _KNOWN.get(key)
    if found is not None and found[0]() is x and found[1] == content:
        return found[2]
    ball = _of_same_content(x, content, fmt)
    if len(_KNOWN) >= _MANY:
        _KNOWN.pop(next(iter(_KNOWN)), None)
    _KNOWN[key] = weakref.ref(x, lambda _: _KNOWN.pop(key, None)), content, ball
    return ball


def _of_same_content(x: Array, content: bytes, fmt: Format) -> Ball:
    """The constant lifted, or what another array of the same content was lifted to: a tape keeps copies of constants."""
    # The keys alone: making pairs may collect garbage, and an array that dies leaves the dict.
    for key in list(_KNOWN):
        found = _KNOWN.get(key)
        if (
            found is not None
            and key[1:] == (fmt.name, fmt.u_acc)
            and found[2].shape == x.shape
            and found[1] == content
        ):
            return found[2]
    return _constant(x, fmt)


_NUMBERS = (float, int)


@functools.lru_cache(maxsize=1024, typed=True)
def _number(x: float, name: str) -> Ball:
    """A number as a Ball, cached: rules use the same few numbers, and the Ball depends on the name of the format alone."""
    return _constant(x, FORMATS[name])


def _rounded_whole(op: Op, position: int, ball: Ball, fmt: Format) -> Ball:
    """An array of whole numbers beside numbers of the format, which kernels convert to it: as ``lift`` has it of a constant.

    An operand without a derivative, such as an index, is not converted. Nor is a single number, such as the count of a mean, or an array
    with numbers beyond the range.
    """
    rules, x = op.signature.vjp, ball._value
    if not x.ndim or rules[0 if op.signature.variadic else position] is None:
        return ball
    size = np.abs(x)
    if every(size <= 2**fmt.bits) or not every(size <= fmt.max):
        return ball
    return _constant(x.astype(fmt.wide), fmt)


def _constant(x: Any, fmt: Format) -> Ball:
    x = np.asarray(x)
    if x.dtype.kind != "f":
        return Ball(x, None, fmt)
    with quiet():
        if fmt.native and (x.dtype == fmt.name or np.array_equal(x.astype(fmt.name), x)):
            return Ball(x.astype(fmt.wide), None, fmt)  # the usual case: numbers of the format
    x = x.astype(fmt.wide)
    off = np.logical_not(representable(x, fmt))
    if not np.count_nonzero(off):
        return Ball(x, None, fmt)
    # Half formats may be reached by way of float32, which breaks a tie otherwise.
    u = fmt.computing.u_acc
    detour = 0.0 if fmt.u == u else u * np.abs(x)
    radius = np.abs(x - nearest(x, fmt)) + detour
    if x.ndim == 0 and fmt.native and fmt.accumulator == DOUBLE:
        return Ball(x, magnitudes.upwards(np.maximum(radius, np.abs(x - _cut_off(x[()])))), fmt)
    return Ball(x, magnitudes.radius(np.where(off, radius, 0.0)), fmt)


@functools.lru_cache(maxsize=256)
def _cut_off(x: Any) -> float:
    """The number of float64 that the first 17 digits of x come to, as sources write a constant: of log 10 it is not the nearest one."""
    digits, _, exponent = np.format_float_scientific(x, trim="k").partition("e")
    return float(f"{digits[: 18 + (x < 0)]}e{exponent}")


def parts(x: Any) -> tuple[PlainArray, PlainArray]:
    """Value and radius of a result; a plain array is exact."""
    if type(x) is Ball:
        radius = np.zeros(x.shape) if x._radius is None else x._radius
        return x._value, radius if np.shape(radius) == x.shape else np.broadcast_to(radius, x.shape)
    x = np.asarray(x)
    return x, np.zeros(x.shape)


__all__ = [
    "Ball",
    "apply",
    "choosing_operations",
    "exact",
    "lift",
    "nearest",
    "operations_across",
    "parts",
    "remembering",
    "representable",
    "rounded_operations",
]
