"""A known disagreement of an op inside a graph: what it makes of the output and of the gradients is known, and nothing else is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refgrad.bounds.profiles import profile_of
from refgrad.graph import Graph
from refgrad.modes import FORWARD_END_TO_END, REVERSE_END_TO_END, VALUE
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation, mark
from refgrad.testing.deviations.element_setting import Setting
from refgrad.testing.deviations.hidden_nodes import explains
from refgrad.testing.deviations.narrowing import Narrowing
from refgrad.testing.deviations.releases import Releases
from refgrad.testing.judging.end_to_end import EndToEnd
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import AGREE, DISAGREE, Element, Verdict
from refgrad.tracing.ball import Ball
from refgrad.transforms import jvp, vjp

MODES = frozenset({REVERSE_END_TO_END, FORWARD_END_TO_END})
FUSED = dataclasses.replace(profile_of("cpu"), fused=True)


def entry(op: str, modes: frozenset[str] = MODES, *, stands: bool = True, **narrow: Any) -> Deviation:
    sets = (frozenset({op}), modes, frozenset({"float32"}), frozenset({"cpu"}))
    return Deviation(
        f"{op} of {', '.join(narrow)}",
        *sets,
        Releases("1", "1"),
        "because",
        "docs",
        Path("case.json"),
        narrow=Narrowing(**narrow),
        stands=lambda: stands,
    )


class Judged:
    """f as a program of which a backend tells the output and the derivatives in x alone, in float32: at first the right ones."""

    def __init__(self, f: Callable[..., Any], *xs: Any) -> None:
        given = [np.asarray(x, np.float64) for x in xs]
        self.graph = graph = Graph.record(f, *given)
        inputs = dict(zip(graph.inputs, given, strict=True))
        dots = {name: np.full_like(x, 0.5) for name, x in inputs.items()}
        with np.errstate(all="ignore"):
            y, y_dot = jvp(f, tuple(given), tuple(dots.values()))
            self.y, self.y_dot = np.asarray(y, np.float32), np.asarray(y_dot, np.float32)
            y_bar = np.full(self.y.shape, 0.75)
            self.x_bars = [np.asarray(x_bar, np.float32) for x_bar in vjp(f, *given)[1](y_bar)]
        self.case = Case("graphs", graph, inputs, dots, y_bar, "float32", "cpu")

    def told(self, mode: str, *entries: Deviation, fused: bool = True, wide: bool = False) -> Verdict:
        """The verdict in a mode, marked by the entries. ``wide``: the last gradient comes in another dtype."""
        n, last = len(self.graph.nodes), self.graph.outputs[0]
        names = dict.fromkeys((*self.graph.inputs.values(), last), "float32")
        names[list(self.graph.inputs.values())[-1]] = "float64" if wide else "float32"
        arrays: dict[str, list[Any]] = {part: [None] * n for part in ("values", "cotangents", "tangents")}
        arrays["values"][last], arrays["tangents"][last] = self.y, self.y_dot
        for k, x_bar in zip(self.graph.inputs.values(), self.x_bars, strict=True):
            arrays["cotangents"][k] = x_bar
        arrays = {
            part: [None if x is None else np.float64(x) for x in given] for part, given in arrays.items()
        }
        of = {
            part: [None if x is None else names[k] for k, x in enumerate(given)]
            for part, given in arrays.items()
        }
        devices = {part: [None if x is None else "cpu" for x in given] for part, given in arrays.items()}
        profile = FUSED if fused else profile_of("cpu")
        seen = Observation(*arrays.values(), of, devices, profile=profile)
        judge = EndToEnd(self.case, seen)
        v = {VALUE: judge.value, REVERSE_END_TO_END: judge.reverse, FORWARD_END_TO_END: judge.forward}[mode]()
        mark([v], entries, Setting(self.case, seen))
        return v


def near_a_tie(x: Any, y: Any) -> Any:
    """Hypotenuse and leg are equal in float32, but for the last element."""
    return np.log(np.logaddexp(np.hypot(x, y), x))


NEAR = np.float64(np.float32([2.0, 3.0, 1.5])), np.float64(np.float32([1e-4, 2e-4, 0.5]))
TIE = {"formula": "logaddexp with the whole share of a tie"}


@pytest.mark.parametrize("share", [1.0, 0.75, 0.5])
def test_a_share_that_rounding_decides_is_known_where_it_does(share: float) -> None:
    seen = Judged(near_a_tie, *NEAR)
    seen.x_bars[1][0] *= share / 0.5
    v = seen.told(REVERSE_END_TO_END, entry("logaddexp", **TIE))
    assert (v.status, v.known) == ((AGREE, "") if share == 0.5 else (DISAGREE, "logaddexp of formula"))


@pytest.mark.parametrize(
    ("element", "factor"), [(0, 2.1), (0, 0.9), (0, -1.0), (2, 2.0), (2, 1.01), (0, np.nan)]
)
def test_another_wrong_number_beside_it_is_not_known(element: int, factor: float) -> None:
    seen = Judged(near_a_tie, *NEAR)
    seen.x_bars[1][1] *= 2  # known
    seen.x_bars[1][element] *= factor
    v = seen.told(REVERSE_END_TO_END, entry("logaddexp", **TIE))
    assert (v.status, v.known) == (DISAGREE, "")


def test_forward_mode_is_explained_by_its_own_tangents() -> None:
    seen = Judged(near_a_tie, *NEAR)
    both = entry("logaddexp", **TIE)
    (x, y), slope = NEAR, 1 / (near_a_tie(*NEAR) * 0 + np.logaddexp(np.hypot(*NEAR), NEAR[0]))
    h_dot = 0.5 * (x + y) / np.hypot(x, y)
    seen.y_dot[:2] = (slope * h_dot)[:2]  # the whole share to the hypotenuse
    assert seen.told(FORWARD_END_TO_END, both).known == "logaddexp of formula"
    seen.y_dot[1] += 0.2
    assert seen.told(FORWARD_END_TO_END, both).known == ""


def after_sinc(x: Any) -> Any:
    return np.exp2(np.sinc(x) * x)


def test_nan_of_one_op_is_nan_before_it_and_in_no_other_place() -> None:
    x = np.array([0.0, 0.5, 1.25])
    seen, known = Judged(after_sinc, x), entry("sinc", got=frozenset({"nan"}), where="zero")
    seen.x_bars[0][0] = np.nan
    assert seen.told(REVERSE_END_TO_END, known).known == "sinc of got, where"
    for element, got in ((1, np.nan), (0, 3.0), (2, 0.0)):
        other = Judged(after_sinc, x)
        other.x_bars[0][0] = np.nan
        other.x_bars[0][element] = got
        assert other.told(REVERSE_END_TO_END, known).known == ""


def test_a_gradient_that_one_op_loses_is_lost_up_to_the_inputs_and_no_further() -> None:
    """x sends one part through prod, which is lost, and another past it."""
    known = entry("prod", got=frozenset({"zero"}), expected=frozenset({"number"}), where="lone zero")
    seen = Judged(lambda x: np.prod(2 * x) * 3 + x, 0.0)
    seen.x_bars[0] = np.float32(0.75)
    assert seen.told(REVERSE_END_TO_END, known).known == "prod of got, expected, where"
    seen.x_bars[0] = np.float32(0.0)
    assert seen.told(REVERSE_END_TO_END, known).known == ""
    elsewhere = Judged(lambda x: np.prod(2 * x) * 3 + x, 1.0)
    elsewhere.x_bars[0] = np.float32(0.75)
    assert elsewhere.told(REVERSE_END_TO_END, known).known == ""


def test_a_wrong_value_goes_on_into_values_and_gradients() -> None:
    known = entry("cos", frozenset({VALUE}), got=frozenset({"nan"}), where="zero")
    seen = Judged(lambda x: np.exp(np.cos(x)), np.array([0.0, 2.0]))
    seen.y[0] = seen.x_bars[0][0] = seen.y_dot[0] = np.nan
    for mode in (VALUE, REVERSE_END_TO_END, FORWARD_END_TO_END):
        assert seen.told(mode, known).known == "cos of got, where"
    seen.y[1] = seen.x_bars[0][1] = seen.y_dot[1] = np.nan
    for mode in (VALUE, REVERSE_END_TO_END, FORWARD_END_TO_END):
        assert seen.told(mode, known).known == ""


@pytest.mark.parametrize(
    "how", ["apart", "another dtype", "absent", "another op", "another mode", "where alone"]
)
def test_what_is_not_recorded_excuses_nothing(how: str) -> None:
    seen = Judged(near_a_tie, *NEAR)
    seen.x_bars[1][0] *= 2
    known = {
        "absent": entry("logaddexp", stands=False, **TIE),
        "another op": entry("logaddexp2", formula="logaddexp2 with the whole share of a tie"),
        "another mode": entry("logaddexp", frozenset({FORWARD_END_TO_END}), **TIE),
        "where alone": entry("logaddexp", where="ties"),
    }.get(how, entry("logaddexp", **TIE))
    v = seen.told(REVERSE_END_TO_END, known, fused=how != "apart", wide=how == "another dtype")
    assert (v.status, v.known) == (DISAGREE, "")


def test_two_entries_explain_together_what_none_does_alone() -> None:
    seen = Judged(lambda x, y, z: near_a_tie(x, y) + np.sinc(z), *NEAR, np.array([0.0, 0.5, 1.25]))
    seen.x_bars[1][1] *= 2
    seen.x_bars[2][0] = np.nan
    tie, nan = entry("logaddexp", **TIE), entry("sinc", got=frozenset({"nan"}), where="zero")
    assert seen.told(REVERSE_END_TO_END, tie, nan).known == "sinc of got, where, logaddexp of formula"
    for alone in (tie, nan):
        assert seen.told(REVERSE_END_TO_END, alone).known == ""
    assert seen.told(REVERSE_END_TO_END, tie, dataclasses.replace(nan, stands=lambda: False)).known == ""
    seen.x_bars[1][1] /= 2
    assert seen.told(REVERSE_END_TO_END, tie, nan).known == "sinc of got, where"


def test_of_two_entries_of_one_op_the_one_that_stands_explains() -> None:
    seen = Judged(near_a_tie, *NEAR)
    seen.x_bars[1][0] *= 2
    gone, there = (
        dataclasses.replace(entry("logaddexp", stands=k == 1, **TIE), id=f"entry {k}") for k in (0, 1)
    )
    assert seen.told(REVERSE_END_TO_END, gone, there).known == "entry 1"
    assert seen.told(REVERSE_END_TO_END, there, gone).known == "entry 1"


def test_conditions_are_met_by_hidden_numbers_as_the_format_stores_them() -> None:
    seen = Judged(near_a_tie, *NEAR)
    for x_bar in seen.x_bars:
        x_bar[:2] = 0.0
    known = entry("logaddexp", got=frozenset({"zero"}), where="ties")
    assert seen.told(REVERSE_END_TO_END, known).known == "logaddexp of got, where"
    seen.x_bars[1][2] = 0.0
    assert seen.told(REVERSE_END_TO_END, known).known == ""


@pytest.mark.parametrize(("radius", "due"), [(0.5, True), (0.0, False), (np.inf, False), (np.nan, False)])
def test_a_number_without_a_bound_explains_nothing(radius: float, due: bool) -> None:
    seen = Judged(near_a_tie, *NEAR)
    at = Setting(seen.case, Observation([], [], [], {}, {}, profile=FUSED))
    ball = Ball(np.ones(3), np.array([0.0, radius, 0.0]), at.fmt)
    assert explains(ball, Element(1.25, 1.0, 0.1, 2.5, 1e7, (1,)), at) == due
    assert not explains(ball, Element(1.25, 1.0, 0.1, 2.5, 1e7, (0,)), at)
    assert not explains(None, Element(1.25, 0.0, 0.1, 2.5, 1e7, (1,)), at)  # no derivative arrives


def test_a_formula_around_the_right_number_explains_what_is_far_from_it() -> None:
    """JAX's share of logaddexp2 is a power of operand minus value, and the value is one of a few numbers about 1e7."""
    known = entry("logaddexp2", formula="shares of logaddexp2 by its value")
    seen = Judged(lambda x: -np.logaddexp2(x, x), np.array([1e7, 1.0]))
    seen.x_bars[0][0] *= 1.4
    assert seen.told(REVERSE_END_TO_END, known).known == "logaddexp2 of formula"
    seen.x_bars[0][1] *= 1.4
    assert seen.told(REVERSE_END_TO_END, known).known == ""
