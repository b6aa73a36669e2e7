"""The families: deterministic from a seed, valid, varied, and shrinkable."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections import Counter
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import NoSuchExample

from conformance.families import FAMILIES, ON_GRID, can_draw, containing
from conformance.families.arrays import carrier, rounded, short
from conformance.families.lengthened import LONG
from refgrad.bounds import exactness
from refgrad.bounds.formats import DTYPES, FORMATS, computed_on, format_of
from refgrad.errors import NoCaseError
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.grid import on_grid
from refgrad.testing.cases.reduction import Rank, Reduction
from refgrad.testing.cases.sequence import CaseSequence, Choices
from refgrad.testing.cases.source import Seeded
from refgrad.testing.cases.strategies import cases
from refgrad.testing.runs.shrinking import size
from refgrad.tracing import ball
from refgrad.tracing.ball import representable
from refgrad.transforms import jvp, vjp


@pytest.mark.parametrize(
    ("family", "dtype"), [(f, d) for f in FAMILIES for d in computed_on() if can_draw(f, None, d)]
)
def test_cases_are_valid_and_exact(family: str, dtype: str) -> None:
    for seed in range(60):
        case = FAMILIES[family](Seeded(seed), dtype)
        assert case.id == FAMILIES[family](Seeded(seed), dtype).id
        assert all(
            x.dtype == carrier(dtype) and x.shape == case.tangents[name].shape
            for name, x in case.inputs.items()
        )
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the family ops goes where NumPy warns
            assert np.shape(case.graph(case.inputs)) == case.cotangent.shape
        assert Case.from_json(case.to_json()).id == case.id
        for x in (*case.inputs.values(), *case.tangents.values(), case.cotangent):
            assert np.all(representable(np.asarray(x, float), FORMATS[dtype]))


def test_graphs_are_varied() -> None:
    seen: Counter[str] = Counter()
    for seed in range(600):
        case = FAMILIES["graphs"](Seeded(seed), "float64")
        order = case.graph.order()
        used = Counter(j for k in order for j in case.graph.nodes[k].of)
        values = case.graph.run(case.inputs)
        seen["fan-out"] += any(n > 1 for n in used.values())
        seen["0-d"] += any(np.shape(values[k]) == () for k in order)
        seen["empty"] += any(np.size(values[k]) == 0 for k in order)
        seen["broadcast"] += any(
            len({np.shape(values[j]) for j in case.graph.nodes[k].of}) > 1
            for k in order
            if case.graph.nodes[k].op and case.graph.nodes[k].op.broadcasts
        )
        seen["reduction"] += any(
            case.graph.nodes[k].op is not None and "keepdims" in case.graph.nodes[k].params for k in order
        )
        seen["layout"] += any(layout != "contiguous" for layout in case.layouts.values())
        seen["layout of the cotangent"] += case.cotangent_layout != "contiguous"
        seen["ties"] += any(x.size > 1 and np.unique(x).size < x.size for x in case.inputs.values())
        seen["deep"] += len(order) > 8
    assert all(
        seen[what] >= 20
        for what in (
            *("fan-out", "0-d", "empty", "broadcast", "reduction", "ties", "deep"),
            *("layout", "layout of the cotangent"),
        )
    ), seen


def test_every_op_with_a_twin_is_met() -> None:
    """An op that the graphs never reach would be judged by nobody."""
    from refgrad.op import REGISTRY

    met = set()
    for family in FAMILIES.values():
        for seed in range(700):
            met |= {n.op.name for n in family(Seeded(seed), "float64").graph.nodes if n.op}
    waiting = {
        name for name, op in REGISTRY.items() if op.torch is not None and op.signature.differentiable
    } - met
    assert waiting <= NOT_IN_GRAPHS, sorted(waiting - NOT_IN_GRAPHS)
    assert waiting >= NOT_IN_GRAPHS, sorted(NOT_IN_GRAPHS - waiting)


NOT_IN_GRAPHS = {"astype"}  # a case has one dtype


def test_single_ops_are_salted_in_bodies_and_tails() -> None:
    """NaN, infinities, subnormal and huge numbers, ties, zeros, singular matrices; 0-d, empty, and lengths on both sides of a vector."""
    seen: Counter[str] = Counter()
    for seed in range(4500):
        case = FAMILIES["ops"](Seeded(seed), "float32")
        assert case.order == 2
        assert len([n for n in case.graph.nodes if n.op]) == 1
        name = case.graph.nodes[-1].op.name
        for x in case.inputs.values():
            size = np.abs(x[np.isfinite(x)])
            seen["nan"] += bool(np.isnan(x).any())
            seen["inf"] += bool(np.isinf(x).any())
            seen["long and salted"] += x.size > 32 and not np.isfinite(x).all()
            seen["subnormal"] += bool(((size > 0) & (size < 2.0**-126)).any())
            seen["huge"] += bool((size > 1e18).any())
            seen["0-d"] += x.ndim == 0
            seen["empty"] += x.size == 0
            seen["odd length"] += x.size in (17, 31, 33, 65, 67)
            seen["singular"] += (
                name == "det"
                and x.ndim >= 2
                and x.size > 1
                and bool(np.any(np.linalg.det(x.astype(float)) == 0))
            )
    assert all(
        seen[what] >= 5
        for what in (
            "nan",
            "inf",
            "long and salted",
            "subnormal",
            "huge",
            "0-d",
            "empty",
            "odd length",
            "singular",
        )
    ), seen


@pytest.mark.parametrize("family", FAMILIES)
def test_a_share_of_cases_is_wide_with_special_values(family: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(600):
        case = FAMILIES[family](Seeded(seed), "float32")
        arrays = [x for x in case.inputs.values() if x.size > 67]
        seen["wide"] += bool(arrays)
        seen["thousands"] += any(x.size >= 1000 for x in arrays)
        seen["a tail"] += any(x.size % 16 for x in arrays)
        seen["equal"] += any(np.unique(x[np.isfinite(x)]).size < x.size / 1.01 for x in arrays)
        seen["zeros of both signs"] += any(
            np.any(np.signbit(x[x == 0])) and not np.all(np.signbit(x[x == 0])) for x in arrays
        )
        seen["infinite"] += any(np.isinf(x).any() for x in arrays)
        seen["subnormal"] += any(np.any((x != 0) & (np.abs(x) < 2.0**-126)) for x in arrays)
        assert all(x.size <= 4096 or x.size >= LONG for x in case.inputs.values())
    assert 12 <= seen["wide"] <= 200
    if family != "mlp":  # its weights are ordinary, and its widths even
        assert min(seen["thousands"], seen["a tail"], seen["equal"]) >= 3, seen
    if family in ("graphs", "matmul", "casts"):
        assert seen["zeros of both signs"] >= 2, seen
    if family == "ops":
        assert min(seen["infinite"], seen["subnormal"]) >= 1, seen


def test_wide_cases_are_reduced_to_narrow_ones() -> None:
    """The condition holds for narrow cases, too; the reduction finds one of them from a wide case."""

    def has(case: Case, op: str) -> bool:
        return any(n.op is not None and n.op.name == op for n in case.graph.nodes)

    for family, op in (("graphs", "tanh"), ("matmul", "matmul"), ("softmax", "log_softmax"), ("mlp", "add"), ("ops", "tanh"),
                       ("casts", "cast_through")):  # fmt: skip
        sequence = CaseSequence(FAMILIES[family], family, "float32", "cpu", 0)
        number = next(
            k for k in range(20_000)
            if has(case := sequence.case(k), op) and max(x.size for x in case.inputs.values()) >= 128
        )  # fmt: skip

        def attempt(
            choices: Choices, sequence: CaseSequence = sequence, op: str = op
        ) -> tuple[Rank, Choices] | None:
            case, taken = sequence.replay(choices)
            return (size(case), taken) if has(case, op) else None

        best = Reduction(sequence.choices(number), size(sequence.case(number)), attempt).run()
        case, _ = sequence.replay(best)
        assert max(x.size for x in case.inputs.values()) <= 4, family
        assert has(case, op)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", ON_GRID)
def test_cases_on_a_grid_round_nothing(family: str, dtype: str) -> None:
    """Nearly all of them are exact in value, reverse and forward mode, by the rounding rules."""
    if not can_draw(family, None, dtype):
        pytest.skip("no function of this family has the format")
    exact = 0
    for seed in range(40):
        with np.errstate(all="ignore"):
            case = ON_GRID[family](Seeded(seed), dtype)
        if not on_grid(case):
            assert family in ("functions", "complex", "mlp")  # of one case in twenty no try was exact
            continue
        fmt = format_of(dtype, "cuda", on_grid=True)
        inputs = [ball.exact(x, fmt) for x in case.inputs.values()]
        y, pullback = vjp(case.graph, *inputs)
        x_bars = pullback(ball.exact(case.cotangent, fmt))
        y_dot = jvp(case.graph, tuple(inputs), tuple(ball.exact(x, fmt) for x in case.tangents.values()))[1]
        exact += not any(np.count_nonzero(ball.parts(x)[1]) for x in (y, y_dot, *x_bars))
        for x in (*case.inputs.values(), *case.tangents.values(), case.cotangent):
            assert np.all(np.abs(x) <= 15 * exactness.unit(x.astype(float)) * 4), (
                "small integers times a power of two"
            )
    assert exact >= 34


@pytest.mark.parametrize("family", ["graphs", "matmul", "ops"])
def test_few_cases_are_empty(family: str) -> None:
    with np.errstate(all="ignore"):
        cases = [FAMILIES[family](Seeded([3, k]), "float32") for k in range(400)]
    empty = sum(any(x.size == 0 for x in case.inputs.values()) for case in cases)
    assert 0 < empty < 40


@pytest.mark.parametrize("family", ["graphs", "mlp", "matmul", "ops", "functions"])
def test_a_quarter_of_the_cases_is_on_a_grid(family: str) -> None:
    def powers(x: Any) -> bool:
        return x.size > 0 and bool(np.all(np.isin(np.abs(x), (1.0, 2.0, 3.0))))

    drawn = sum(powers(FAMILIES[family](Seeded(seed), "float32").cotangent) for seed in range(400))
    assert 50 < drawn < 160


def smallest(family: str, condition, search: int = 0) -> Case:
    """The smallest case that one search of Hypothesis finds for a condition."""
    return hypothesis.find(
        cases(FAMILIES[family], "float64"), condition, random=random.Random(search),
        settings=settings(max_examples=2000, database=None, deadline=None, phases=(Phase.generate, Phase.shrink),
                          suppress_health_check=list(HealthCheck)),
    )  # fmt: skip


class Reached(BaseException):
    """A search has come to a case that is small enough. Hypothesis passes on what is no Exception."""


def shrunk(search: int) -> Case:
    """The smallest graph with a tanh that a search finds, or the first of at most 3 nodes and 3 numbers.

    A search that has come so far takes as long again to find nothing smaller.
    """
    reached: list[Case] = []

    def has_tanh(case: Case) -> bool:
        ops = [case.graph.nodes[k].op for k in case.graph.order()]
        has = any(op is not None and op.name == "tanh" for op in ops)
        if has and len(ops) <= 3 and numbers(case) <= 3:
            reached.append(case)
            raise Reached
        return has

    try:
        return smallest("graphs", has_tanh, search)
    except Reached:
        return reached[0]


def numbers(case: Case) -> int:
    return sum(x.size for x in case.inputs.values())


@pytest.mark.long
def test_hypothesis_shrinks_a_failing_graph_to_a_few_ops() -> None:
    """Of five searches two or more come to at most 5 nodes and 3 numbers, and none stays above 10 nodes, of 15. Items reduce their own
    cases in another way (cases/reduction.py).
    """
    try:
        found = [shrunk(search) for search in range(5)]
    except NoSuchExample:  # pragma: no cover
        pytest.fail("2,000 graphs without a tanh")
    sizes = sorted((len(case.graph.order()), numbers(case)) for case in found)
    assert sizes[0] <= (3, 3), sizes
    assert sizes[1][0] <= 5, sizes
    assert max(count for _, count in sizes[:2]) <= 3, sizes
    assert sizes[-1][0] <= 10, sizes


@settings(max_examples=20, database=None)
@given(cases(FAMILIES["mlp"], "float32"))
def test_networks_have_finite_values(case: Case) -> None:
    assert np.all(np.isfinite(case.graph(case.inputs)))


@pytest.mark.parametrize("dtype", sorted(FORMATS))
def test_numbers_of_few_bits_are_what_rounding_makes_of_them(dtype: str) -> None:
    x = np.arange(-12, 13) / 4.0
    x = x[np.abs(x * 4) != 11]  # of 4 bits, as cotangents and tangents have them
    found, expected = short(x, dtype), rounded(x, dtype)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_cases_without_a_wanted_op_are_not_drawn() -> None:
    """Case 0 takes the first option of every choice, which holds none of most ops."""
    draw = containing(FAMILIES["graphs"], {"arctanh"})
    with pytest.raises(NoCaseError, match="contains one of the ops"):
        CaseSequence(draw, "graphs", "float32", "cpu", 0).case(0)
    found = Counter[bool]()
    for k in range(1, 6):
        with contextlib.suppress(NoCaseError):
            case = CaseSequence(draw, "graphs", "float32", "cpu", 0).case(k)
            found[any(str(case.graph.nodes[n]) == "arctanh" for n in case.graph.order())] += 1
    assert set(found) == {True}
