"""What records say of ops is what the ops do: each trait is compared with the behaviour of ``forward`` and of the rules."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.op import BY_METHOD, FUNCTIONS, REGISTRY, Op
from refgrad.op.traits import POLE, POOLS, REFUSED, REGULAR, SINGULAR
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import vjp

# Two runs on operands of order 1, each within the 4 ULP that NumPy tests its functions for.
TWICE = 8 * np.finfo(float).eps

Array = Any
OPS = [op for _, op in sorted(REGISTRY.items())]
DRAWS = range(8)
FLOAT64 = FORMATS["float64"]


def names(trait: str) -> list[Op]:
    return [op for op in OPS if getattr(op, trait)]


def by_name(op: Op) -> str:
    return op.name


def drawn(op: Op, draw: int) -> tuple[list[Array], dict[str, Any]]:
    rng = np.random.default_rng([draw, *op.name.encode()])
    operands, params = op.domain.sample(rng, len(op.signature.operands))
    return [np.asarray(x) for x in operands], {**op.signature.defaults, **params}


def applied(op: Op, operands: Any, params: dict[str, Any]) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(op.forward(*operands, **params))


def is_elementwise(op: Op) -> bool:
    """Whether every element of the value is that of the elements of the operands at its place, up to the rounding of both."""
    for draw in DRAWS:
        operands, params = drawn(op, draw)
        try:
            y, xs = applied(op, operands, params), np.broadcast_arrays(*operands)
            ball = op(*[exact(x, FLOAT64) if x.dtype.kind == "f" else x for x in operands], **params)
        except (ValueError, TypeError):  # of a shape that the op does not take
            return False
        if y.shape != xs[0].shape:
            return False
        radius = (
            np.broadcast_to(parts(ball)[1], y.shape)
            if type(ball) is Ball and y.dtype.kind == "f"
            else np.zeros(y.shape)
        )
        for place in itertools.islice(np.ndindex(y.shape), 8):
            try:
                alone = applied(op, [x[place] for x in xs], params)
            except (ValueError, TypeError):
                return False
            if not (
                alone.shape == ()
                and (np.array_equal(alone, y[place]) or abs(alone - y[place]) <= 2 * radius[place])
            ):
                return False
    return True


@pytest.mark.parametrize("op", names("elementwise"), ids=by_name)
def test_an_elementwise_op_computes_places_apart(op: Op) -> None:
    assert is_elementwise(op)


@pytest.mark.parametrize("op", names("selects"), ids=by_name)
def test_an_op_that_selects_multiplies_by_factors_that_are_finite_everywhere(op: Op) -> None:
    """Of ones it sends back a positive number where an element is taken and 0 elsewhere, at the largest and at infinite numbers, too."""
    taken = 0
    for draw in DRAWS:
        operands, params = drawn(op, draw)
        for size in (1.0, 1e308, np.inf):
            with np.errstate(all="ignore"):
                xs = [x * size if x.dtype.kind == "f" else x for x in operands]
                active = [x for x in xs if x.dtype.kind == "f"]

                def f(*given: Any, xs: Any = xs, params: Any = params) -> Any:
                    rest = iter(given)
                    return op(*[next(rest) if x.dtype.kind == "f" else x for x in xs], **params)

                y, back = vjp(f, *active)
                sent = back(np.ones_like(y))
            for x_bar in sent:
                assert np.isfinite(x_bar).all()
                assert (x_bar >= 0).all()
                taken += np.count_nonzero(x_bar)
    assert taken


@pytest.mark.parametrize("name", ["softmax", "cumsum", "flip", "matmul", "sum", "sort"])
def test_other_ops_are_seen_not_to(name: str) -> None:
    assert not is_elementwise(REGISTRY[name])


def test_ops_of_equal_operands_commute_where_their_record_says_so() -> None:
    wrong = []
    for op in OPS:
        alike = []
        for draw in DRAWS:
            operands, params = drawn(op, draw)
            if len(operands) < 2 or len({x.dtype for x in operands}) > 1 or not op.elementwise:
                break
            xs = np.broadcast_arrays(*operands)
            orders = (
                [applied(op, order, params) for order in itertools.permutations(xs[:3])]
                if len(xs) < 4
                else []
            )
            alike += [
                np.allclose(y, orders[0], rtol=TWICE, atol=TWICE, equal_nan=True) for y in orders if y.size
            ]
        if alike and all(alike) != op.commutes:
            wrong.append(op.name)
    assert not wrong


@pytest.mark.parametrize(
    "op", [op for op in OPS if len(op.signature.operands) == 1 and not op.signature.variadic], ids=by_name
)
def test_a_view_shares_memory(op: Op) -> None:
    shared = []
    for draw in DRAWS:
        (x,), params = drawn(op, draw)
        if x.size:
            with np.errstate(all="ignore"):
                y = op.forward(x, **params)
            shared.append(isinstance(y, np.ndarray) and np.shares_memory(x, y))
    assert any(shared) == op.view


@pytest.mark.parametrize("op", names("unit_slopes"), ids=by_name)
def test_unit_slopes_are_shares(op: Op) -> None:
    met = set()
    for draw in DRAWS:
        operands, params = drawn(op, draw)
        real = [k for k, x in enumerate(operands) if x.dtype.kind == "f"]

        def f(*xs: Array, operands: Any = operands, params: Any = params, real: Any = real) -> Array:
            full = list(operands)
            for k, x in zip(real, xs, strict=True):
                full[k] = x
            return op(*full, **params)

        for k in real:
            x_dots = [np.full(operands[j].shape, 1.0 if j == k else 0.0) for j in real]
            met |= set(np.unique(np.abs(rg.jvp(f, [operands[j] for j in real], x_dots)[1])))
    assert met <= {0.0, 0.5, 1.0}
    assert met


@pytest.mark.parametrize("op", [op for op in OPS if op.singular is not None], ids=by_name)
def test_a_singular_matrix_meets_what_the_record_says(op: Op) -> None:
    singular = np.zeros((2, 2))
    operands = [singular, np.ones((2, 1))][: len(op.signature.operands)]
    try:
        y = applied(op, operands, op.signature.defaults)
    except np.linalg.LinAlgError:
        assert op.singular == REFUSED
    else:
        assert op.singular == (REGULAR if np.isfinite(y).all() else POLE)


def test_every_answer_to_a_singular_matrix_is_met() -> None:
    assert {op.singular for op in OPS} == {None, *SINGULAR}


@pytest.mark.parametrize(("ufunc", "method"), BY_METHOD, ids=lambda v: getattr(v, "__name__", v))
def test_methods_of_ufuncs_are_their_ops(ufunc: np.ufunc, method: str) -> None:
    x = np.random.default_rng(0).uniform(0.5, 2.0, (3, 4))
    op = BY_METHOD[ufunc, method]
    # Four positive numbers: three roundings of u = eps/2 in each of the two orders.
    assert np.allclose(getattr(ufunc, method)(x, axis=1), op(x, axis=1), rtol=3 * np.finfo(float).eps, atol=0)


@pytest.mark.parametrize("op", [op for op in OPS if op.mistakes.terms], ids=by_name)
def test_a_mean_over_twice_the_terms_has_half_the_slopes(op: Op) -> None:
    """Every element and its label twice, along a new last axis that the mean takes in: the value stays."""
    terms = op.mistakes.terms
    assert terms is not None
    x = np.random.default_rng(0).uniform(-2, 2, (4, 3))
    labels = {"labels": np.array([0, 2, 1, 1])} if "labels" in op.signature.defaults else {}
    twice = {"labels": np.tile(labels["labels"], 2)} if labels else {}
    once_params, twice_params = ({**op.signature.defaults, **given} for given in (labels, twice))
    slopes = (
        rg.grad(lambda x: op(x, **once_params))(exact(x, FORMATS["float64"])),
        rg.grad(lambda x: op(x, **twice_params))(exact(np.tile(x, (2, 1)), FORMATS["float64"]))[:4],
    )
    counts = terms(x.shape, **once_params), terms((8, 3), **twice_params)
    assert counts[1] == 2 * counts[0]
    (value, radius), (half, half_radius) = map(parts, slopes)
    assert np.all(
        np.abs(value * counts[0] - half * counts[1]) <= radius * counts[0] + half_radius * counts[1]
    )


@pytest.mark.parametrize("op", [op for op in OPS if op.mistakes.incomplete], ids=by_name)
def test_rules_with_a_term_left_out_are_wrong(op: Op) -> None:
    incomplete = op.mistakes.incomplete
    assert incomplete is not None
    wrong = replace(op, jvp=incomplete.jvp, vjp=incomplete.vjp, usual=(), branch_free=False)
    (x,), params = next(found for found in map(functools.partial(drawn, op), DRAWS) if found[0][0].size > 1)
    x_dot = np.random.default_rng(1).standard_normal(x.shape)
    right_dot, wrong_dot = (rg.jvp(lambda x, o=o: o(x, **params), (x,), (x_dot,))[1] for o in (op, wrong))
    assert right_dot.shape == wrong_dot.shape
    assert not np.allclose(right_dot, wrong_dot)
    right_bar, wrong_bar = (
        rg.vjp(lambda x, o=o: o(x, **params), x)[1](np.ones(np.shape(right_dot)) + right_dot)[0]
        for o in (op, wrong)
    )
    assert not np.allclose(right_bar, wrong_bar)


@pytest.mark.parametrize("op", [op for op in OPS if op.mistakes.other_branch], ids=by_name)
def test_the_other_branch_has_other_derivatives(op: Op) -> None:
    move = op.mistakes.other_branch
    assert move is not None
    changed = 0
    for draw in DRAWS:
        operands, params = drawn(op, draw)
        if not operands[0].size:
            continue
        kept = [x.copy() for x in operands]
        moved = move(operands, np.random.default_rng(draw))
        assert moved is not None
        assert all(np.array_equal(x, k) for x, k in zip(operands, kept, strict=True)), (
            "the operands themselves stay"
        )
        real = [k for k, x in enumerate(moved) if x.dtype.kind == "f"]

        def slopes(xs: Any, params: Any = params, real: Any = real) -> list[Array]:
            def f(*zs: Array) -> Array:
                full = list(xs)
                for k, z in zip(real, zs, strict=True):
                    full[k] = z
                return op(*full, **params)

            y, pullback = rg.vjp(f, *[np.asarray(xs[k]) for k in real])
            return list(pullback(np.arange(1.0, np.size(y) + 1).reshape(np.shape(y))))

        before, after = slopes(operands), slopes(moved)
        changed += any(
            a.shape != b.shape or not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
        )
    assert changed


def test_an_op_without_a_twin_or_a_name_is_a_helper() -> None:
    """So that a twin that was forgotten is seen."""
    # Functions of rg.special: torch has the value alone, in a function's twin.
    called = {name.rpartition(".")[2] for name in FUNCTIONS}
    silent = [
        op.name for op in OPS if op.torch is None and not op.numpy and not op.helper and op.name not in called
    ]
    assert not silent
    assert [op.name for op in OPS if op.helper]


def test_places_in_random_graphs_are_taken_once() -> None:
    taken = Counter((op.in_graphs.pool, op.in_graphs.place) for op in OPS if op.in_graphs is not None)
    assert {pool for pool, _ in taken} == set(POOLS)
    assert not [place for place, count in taken.items() if count > 1]
