"""Seeds use each bit of the format, lie in memory in several ways, and are left out one by one."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.testing.checks.seeds import (  # noqa: E402
    AFTER_NEGATED,
    DRAWS,
    LARGE,
    ONES,
    SINGLE,
    SMALL,
    WHOLE,
    WITHOUT_GRADIENT,
    ZERO,
)
from refgrad.torch.checking.layouts import CONTIGUOUS, EXPANDED, GIVEN, PERMUTED  # noqa: E402
from refgrad.torch.checking.seeding import Placed, draws  # noqa: E402
from refgrad.torch.checking.subject import Subject  # noqa: E402


def subject(dtype: str = "float32") -> Subject:
    x, y = torch.ones(4, 3), torch.ones(4, 3)
    found = Subject(lambda x, y: (x * y, x + y), lambda x, y: (x * y, x + y), (x, y), (0, 1), dtype)
    found.run()
    found.compare_shapes()
    return found


def seeds(dtype: str = "float32", **changed):
    options = {"repeats": 3, "alone": True, "batch": 1, **changed}
    return draws(subject(dtype), np.random.default_rng(0), **options)


@pytest.mark.parametrize(
    ("dtype", "bits"), [("float64", 52), ("float32", 23), ("bfloat16", 7), ("float16", 10)]
)
def test_the_whole_significand_is_used(dtype: str, bits: int) -> None:
    for group in seeds(dtype)[0].seeds.groups():
        for t in group:
            scaled = np.ldexp(np.frexp(t.double().numpy())[0], bits + 1)
            assert np.all(scaled == np.rint(scaled))
            assert np.any(scaled % 2 == 1)  # the last bit


def test_layouts_take_turns() -> None:
    first, second, third, *rest = seeds()
    assert (first.layout, first.seed_layout) == (GIVEN, CONTIGUOUS)
    assert second.layout == PERMUTED
    assert not second.seeds.y_bars[0].is_contiguous()
    assert third.seed_layout == EXPANDED
    assert third.seeds.y_bars[0].stride() == third.seeds.x_dots[1].stride() == (0, 0)
    assert all(draw.layout == GIVEN for draw in rest)


def test_each_tangent_and_each_cotangent_comes_alone_too() -> None:
    x_alone, y_alone, first_alone, second_alone = (draw.seeds for draw in seeds()[3:7])
    assert [t is None for t in (*x_alone.x_dots, *y_alone.x_dots)] == [False, True, True, False]
    assert [t is None for t in (*first_alone.y_bars, *second_alone.y_bar_dots)] == [False, True, True, False]
    assert [draw.ordinary for draw in seeds()[:7]] == [True] * 3 + [False] * 4
    assert not any(draw.ordinary for draw in seeds()[7:])
    assert len(seeds(alone=False)) == 3


def test_each_other_kind_comes_once() -> None:
    kinds = seeds()[7:-4]
    assert [draw.kind for draw in kinds] == [kind for kind in DRAWS if kind != WHOLE]
    ones = next(draw.seeds for draw in kinds if draw.kind == ONES)
    assert all((t == 1).all() for group in ones.groups() for t in group)
    single = next(draw.seeds for draw in kinds if draw.kind == SINGLE)
    assert [torch.count_nonzero(t[0]).item() for t in single.groups()] == [12, 1, 1, 12]


@pytest.mark.parametrize("kind", [SMALL, LARGE, ZERO])
def test_of_two_seeds_that_are_multiplied_one_is_ordinary(kind: str) -> None:
    some = next(draw.seeds for draw in seeds() if draw.kind == kind)
    y_bar, x_dot, y_bar_dot, x_dot_again = (float(t[0].abs().max()) for t in some.groups())
    assert all(1e-2 < size < 10 for size in (y_bar, x_dot_again))
    assert all(not 1e-2 < size < 10 for size in (x_dot, y_bar_dot))


def test_questions_of_double_backward_come_last() -> None:
    found = [draw.seeds for draw in seeds()]
    assert [s.of_double_backward for s in found] == [False] * (len(found) - 4) + [True] * 4
    first, second, constant, negated = seeds()[-4:]
    assert [sorted(draw.seeds.frozen) for draw in (first, second)] == [[0], [1]]
    assert [t is None for t in (*first.seeds.x_dots, *second.seeds.x_dots)] == [True, False, False, True]
    assert constant.seeds.constant
    assert constant.kind == WITHOUT_GRADIENT
    assert negated.seeds.after_negated
    assert negated.kind == AFTER_NEGATED
    for draw in (first, second, constant, negated):
        placed = Placed(subject(), GIVEN, draw.many).many[0]
        assert (placed.constant, placed.frozen, placed.after_negated) == (
            draw.seeds.constant,
            draw.seeds.frozen,
            draw.seeds.after_negated,
        )


def test_cotangents_that_are_given_are_taken() -> None:
    given = (torch.full((4, 3), 2.0), None)
    for draw in seeds(cotangents=given):
        assert draw.seeds.y_bars[0] is given[0]
        assert draw.seeds.y_bars[1] is None


def test_what_is_written_into_is_found_in_the_gaps_too() -> None:
    it, draw = subject(), seeds()[1]
    replaced = Placed(it, "with gaps", draw.many)
    assert replaced.written() == []
    assert [x.tolist() for x in replaced.xs] == [x.tolist() for x in it.xs]
    replaced.xs[1].as_strided((1,), (1,), 1).fill_(5)  # between two elements
    replaced.many[0].y_bars[0][0, 0] = 7
    assert replaced.written() == ["input 1", "the cotangent of output 0"]
    assert not (draw.seeds.y_bars[0] == 7).any()
