"""Every op of the registry, found there and not named here: its record works, and the third judge confirms both its rules.

Two copies of one slip satisfy the adjoint identity exactly, so each rule is held against differences of the forward on its own.
No tolerance is typed in: rules run over Balls, which bound the rounding of float64, and differences estimate their own error.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import refgrad.ops  # noqa: F401 - fills the registry
from refgrad import grad, jvp, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rules import reference_slack
from refgrad.numeric import differences
from refgrad.op import REGISTRY, Op
from refgrad.tracing.ball import Ball, exact, parts

Array = Any
WIDE = np.longdouble
FMT = FORMATS["float64"]
# The format in which the third judge computes.
LONG = replace(FMT, name="long double", u=2.0**-64, u_acc=2.0**-64, eta=5e-324, bits=64)
U = float(np.finfo(np.float64).eps) / 2
DRAWS = range(6)

pytestmark = pytest.mark.skipif(
    np.finfo(WIDE).nmant <= 52, reason="long double is double here: nothing to judge float64 with"
)

NAMES = sorted(REGISTRY)
DIFFERENTIABLE = [n for n in NAMES if REGISTRY[n].signature.differentiable]
SMOOTH = [n for n in DIFFERENTIABLE if REGISTRY[n].domain.smooth]


@dataclass
class Sample:
    """Operands and parameters from the op's own domain, with random weights for outputs and directions for operands."""

    op: Op
    operands: tuple[Array, ...]
    params: dict[str, Any]
    seed: int

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed + 1)
        rules = (
            self.op.signature.vjp * len(self.operands)
            if self.op.signature.variadic
            else self.op.signature.vjp
        )
        self.active = [
            k for k, x in enumerate(self.operands) if np.asarray(x).dtype.kind == "f" and rules[k] is not None
        ]

    @property
    def xs(self) -> tuple[Array, ...]:
        """The differentiated operands."""
        return tuple(self.operands[k] for k in self.active)

    def f(self, *xs: Array) -> Array:
        """The op as a function of its differentiated operands; constants follow their dtype."""
        operands = list(self.operands)
        wide = any(getattr(x, "dtype", None) == WIDE for x in xs)
        for k, x in enumerate(operands):
            if wide and np.asarray(x).dtype.kind == "f":
                operands[k] = np.asarray(x, WIDE)
        for k, x in zip(self.active, xs, strict=True):
            operands[k] = x
        return self.op(*operands, **self.params)

    def directions(self) -> tuple[Array, ...]:
        """Short binary fractions, so that x + hv is exact."""
        return tuple(self.rng.integers(-32, 33, np.shape(x)) / 32 for x in self.xs)

    def weights(self, shape: tuple[int, ...]) -> Array:
        return self.rng.integers(-32, 33, shape) / 16 + 0.03125


@functools.cache
def sample(name: str, draw: int) -> Sample:
    op = REGISTRY[name]
    seed = zlib.crc32(name.encode()) + draw
    operands, params = op.domain.sample(np.random.default_rng(seed), len(op.signature.operands))
    return Sample(op, operands, {**op.signature.defaults, **params}, seed)


@functools.cache
def jacobian(name: str, draw: int) -> list[tuple[Array, Array]]:
    """For each differentiated operand the Jacobian by differences, element axis first, and its error."""
    s = sample(name, draw)
    found, noise = [], rounding(s.f, s.xs)
    for k, x in enumerate(s.xs):
        columns = [differences(s.f, *moved, step=2.0**-6, noise=noise) for moved in one_by_one(s, k)]
        if s.op.elementwise and not s.op.signature.variadic:  # all columns came in one array
            columns = list(zip(*columns[0], strict=True))
        shape = (x.size, *np.shape(s.f(*s.xs)))
        slopes, errors = (np.array([c[part] for c in columns]).reshape(shape) for part in (0, 1))
        found.append((slopes, errors + U * np.abs(slopes)))
    return found


def one_by_one(s: Sample, k: int) -> Iterator[tuple[list[Array], list[Array]]]:
    """Points and directions that move one element of an operand each; those of an elementwise op along an axis before all others."""
    units = np.eye(s.xs[k].size).reshape(s.xs[k].size, *s.xs[k].shape)
    if s.op.elementwise and not s.op.signature.variadic:
        ahead = max(np.ndim(x) for x in s.operands) - s.xs[k].ndim
        units = units.reshape(1, len(units), *[1] * ahead, *s.xs[k].shape)
    for unit in units:
        points = [np.broadcast_to(x, unit.shape) if j == k else x for j, x in enumerate(s.xs)]
        yield points, [unit if j == k else np.zeros(x.shape) for j, x in enumerate(s.xs)]


def rounding(f: Callable[..., Array], xs: tuple[Array, ...]) -> Array:
    """How far long double may take f's values astray."""
    return parts(f(*[exact(x, LONG) for x in xs]))[1]


def balls(xs: tuple[Array, ...]) -> tuple[Ball, ...]:
    return tuple(exact(x, FMT) for x in xs)


def check(got: Array, ball: Any, expected: Array, error: Array, what: str) -> None:
    """got, from float64, against the judge's number: within the bound of float64's rounding and the judge's own error."""
    _, radius = parts(ball)
    bound = reference_slack(FMT) * np.asarray(radius, float) + error
    size = np.max(np.abs(expected), initial=0.0)
    assert np.shape(got) == np.shape(expected), what
    assert np.all(np.isfinite(got)), f"{what}: not finite inside the domain"
    assert np.all(bound <= 1e-6 * max(size, 1e-3)), (
        f"{what}: a bound of {np.max(bound):.1e} for {size:.1e} proves nothing"
    )
    off = np.abs(got - expected) - bound
    assert np.all(off <= 0), (
        f"{what}: off by {np.max(np.abs(got - expected)):.3e}, the bound is {np.max(bound):.3e}\n{got}\n{expected}"
    )


each = pytest.mark.parametrize


def draws(test: Callable[..., None]) -> Callable[..., None]:
    """The test at every draw. All draws that fail are reported, each by its number."""

    @functools.wraps(test)
    def at_every_draw(**given: Any) -> None:
        failed = []
        for draw in DRAWS:
            try:
                test(**given, draw=draw)
            except Exception as error:  # noqa: BLE001 - raised below, with those of the other draws
                error.add_note(f"at draw {draw}")
                failed.append(error)
        if failed:
            raise ExceptionGroup(f"{len(failed)} of {len(DRAWS)} draws fail", failed)

    signature = inspect.signature(test)
    rest = [p for name, p in signature.parameters.items() if name != "draw"]
    at_every_draw.__signature__ = signature.replace(parameters=rest)
    return at_every_draw


# --- the record works -----------------------------------------------------------------------------------------------------


@each("name", NAMES)
@draws
def test_the_domain_gives_operands_that_the_op_accepts(name: str, draw: int) -> None:
    s = sample(name, draw)
    again = s.op.domain.sample(np.random.default_rng(s.seed), len(s.op.signature.operands))
    assert all(np.array_equal(a, b) for a, b in zip(again[0], s.operands, strict=True)), (
        "the sampler uses another source of chance"
    )
    assert set(s.params) <= set(s.op.signature.defaults), "a parameter that the op does not have"
    assert s.op.signature.variadic or len(s.operands) == len(s.op.signature.operands)
    with np.errstate(all="raise", under="ignore"):
        y = s.op(*s.operands, **s.params)
    assert np.asarray(y).dtype.kind in "fbi"
    if name not in DIFFERENTIABLE:
        return
    assert s.active, "no operand is differentiated"


@each("name", NAMES)
@each("dtype", [np.float16, np.float32, np.float64, WIDE])
@draws
def test_forward_keeps_the_dtype(name: str, dtype: Any, draw: int) -> None:
    s = sample(name, draw)
    operands = [
        x.astype(dtype) if np.asarray(x).dtype.kind == "f" else x for x in map(np.asarray, s.operands)
    ]
    with np.errstate(all="ignore"):
        y = np.asarray(s.op(*operands, **s.params))
    assert y.shape == np.shape(s.op(*s.operands, **s.params))
    if "dtype" in s.params:
        assert y.dtype == s.params["dtype"]
    elif y.dtype.kind == "f":
        assert y.dtype == dtype
    else:
        assert name not in DIFFERENTIABLE


def test_domains_reach_scalars_arrays_and_empty_ones() -> None:
    met = {np.ndim(x) for name in NAMES for draw in DRAWS for x in sample(name, draw).operands}
    sizes = {min(np.size(x), 1) for name in NAMES for draw in DRAWS for x in sample(name, draw).operands}
    assert met >= {0, 1, 2, 3}
    assert sizes == {0, 1}


# --- both rules, each against the third judge ----------------------------------------------------------------------------


@each("name", DIFFERENTIABLE)
@draws
def test_the_jvp_is_the_derivative(name: str, draw: int) -> None:
    s = sample(name, draw)
    v = s.directions()
    y, y_dot = jvp(s.f, s.xs, v)
    _, ball = jvp(s.f, balls(s.xs), balls(v))
    assert y_dot.dtype == np.asarray(y).dtype
    expected, error = np.zeros(np.shape(y)), np.zeros(np.shape(y))
    for (columns, errors), x_dot in zip(jacobian(name, draw), v, strict=True):
        flat = x_dot.ravel()
        expected = expected + np.tensordot(flat, columns, 1)
        error = error + np.tensordot(np.abs(flat), errors + (flat.size + 1) * U * np.abs(columns), 1)
    check(y_dot, ball, expected, error, f"JVP of {name}")


@each("name", DIFFERENTIABLE)
@draws
def test_the_vjp_is_the_derivative(name: str, draw: int) -> None:
    s = sample(name, draw)
    y, pullback = vjp(s.f, *s.xs)
    w = s.weights(np.shape(y))
    found = pullback(w)
    bounds = vjp(s.f, *balls(s.xs))[1](exact(w, FMT))
    for k, ((columns, errors), x) in enumerate(zip(jacobian(name, draw), s.xs, strict=True)):
        expected = np.tensordot(columns, w, w.ndim).reshape(x.shape)
        error = np.tensordot(errors + (w.size + 1) * U * np.abs(columns), np.abs(w), w.ndim).reshape(x.shape)
        assert found[k].dtype == x.dtype
        check(found[k], bounds[k], expected, error, f"VJP of {name}, operand {s.active[k]}")


@each("name", DIFFERENTIABLE)
@draws
def test_the_adjoint_identity_holds(name: str, draw: int) -> None:
    """<w, J v> = <J^T w, v>, in float64, within the rounding of both sides."""
    s = sample(name, draw)
    v = s.directions()
    w = s.weights(np.shape(s.f(*s.xs)))

    def sides(xs: tuple[Array, ...], v: tuple[Array, ...], w: Array) -> tuple[Any, Any]:
        forward = np.sum(w * jvp(s.f, xs, v)[1])
        reverse = sum(np.sum(x_bar * x_dot) for x_bar, x_dot in zip(vjp(s.f, *xs)[1](w), v, strict=True))
        return forward, reverse

    forward, reverse = sides(s.xs, v, w)
    radii = [float(parts(ball)[1]) for ball in sides(balls(s.xs), balls(v), exact(w, FMT))]
    assert abs(forward - reverse) <= reference_slack(FMT) * sum(radii)


# --- second derivatives, from the same rules -------------------------------------------------------------------------------


def along(f: Callable[..., Array], xs: Any, v: Any) -> Array:
    return jvp(f, xs, v)[1]


def total(x_bars: Any, u: Any) -> Array:
    return sum(np.sum(x_bar * x_dot) for x_bar, x_dot in zip(x_bars, u, strict=True))


def nestings(s: Callable[..., Array], xs: Any, u: Any, v: Any) -> dict[str, Any]:
    """u^T H v of the scalar function s, by the four nestings of the two modes."""
    argnums = tuple(range(len(xs)))
    slope = grad(s, argnums)
    return {
        "forward over forward": along(lambda *zs: along(s, zs, v), xs, u),
        "forward over reverse": total(along(slope, xs, v), u),
        "reverse over forward": total(grad(lambda *zs: along(s, zs, v), argnums)(*xs), u),
        "reverse over reverse": total(grad(lambda *zs: total(slope(*zs), v), argnums)(*xs), u),
    }


@each("name", SMOOTH)
@draws
def test_all_nestings_give_the_second_derivative(name: str, draw: int) -> None:
    s = sample(name, draw)
    w, u, v = s.weights(np.shape(s.f(*s.xs))), s.directions(), s.directions()

    def scalar(*xs: Array) -> Array:
        return np.sum(s.f(*xs) * w)

    found = nestings(scalar, s.xs, u, v)
    bounds = {
        k: reference_slack(FMT) * float(parts(b)[1])
        for k, b in nestings(scalar, balls(s.xs), balls(u), balls(v)).items()
    }
    for a, b in itertools.combinations(found, 2):
        assert abs(found[a] - found[b]) <= bounds[a] + bounds[b], (
            f"{name}: {a} gives {found[a]}, {b} gives {found[b]}; bounds {bounds}"
        )

    # The judge differentiates the gradient, which is confirmed above, in long double.
    def slope(*xs: Array) -> Array:
        return total(grad(scalar, tuple(range(len(xs))))(*xs), u)

    expected, error = differences(slope, s.xs, v, step=2.0**-6, noise=rounding(slope, s.xs))
    error = error + U * abs(expected)
    for nesting, value in found.items():
        assert abs(value - expected) <= bounds[nesting] + error, (
            f"{name}: {nesting} gives {value}, differences of the gradient {expected}; bounds {bounds[nesting]:.1e}, {error:.1e}"
        )


# --- the tester, tested ----------------------------------------------------------------------------------------------------


def test_a_planted_slip_is_caught_in_almost_every_op() -> None:
    """A derivative that is off by a part in 10^12 at its largest element fails the comparison above."""
    missed, judged = [], 0
    for name, draw in itertools.product(DIFFERENTIABLE, DRAWS):
        s = sample(name, draw)
        y, pullback = vjp(s.f, *s.xs)
        w = s.weights(np.shape(y))
        bounds = vjp(s.f, *balls(s.xs))[1](exact(w, FMT))
        for k, (x_bar, (columns, errors)) in enumerate(zip(pullback(w), jacobian(name, draw), strict=True)):
            if not np.any(x_bar):
                continue
            error = np.tensordot(errors + (w.size + 1) * U * np.abs(columns), np.abs(w), w.ndim).reshape(
                x_bar.shape
            )
            bound = reference_slack(FMT) * parts(bounds[k])[1] + error
            place = np.argmax(np.abs(x_bar))
            judged += 1
            if 1e-12 * abs(x_bar.ravel()[place]) <= 2 * bound.ravel()[place]:
                missed.append(name)
    assert judged > 500
    assert len(missed) <= 0.05 * judged, f"{len(missed)} of {judged}: {sorted(set(missed))}"
