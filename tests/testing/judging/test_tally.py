"""Tally: counts, the status of the verdict, and the op that it names."""

from __future__ import annotations

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.tally import Tally, place
from refgrad.testing.judging.verdict import AGREE, DISAGREE, UNDECIDED, Comparison
from refgrad.tracing.ball import Ball

FMT = FORMATS["float64"]


def compared(got, expected=(1.0, 2.0), bound=1e-3, what="value of sin") -> Comparison:
    expected = np.array(expected)
    return compare(np.array(got), Ball(expected, np.full(expected.shape, bound), FMT), FMT, what)


def tally() -> Tally:
    return Tally("reverse", "float64", "cpu")


def test_what_is_within_its_bounds_agrees_and_is_counted_by_op() -> None:
    t = tally()
    t.add(3, "sin", compared([1.0, 2.0005]))
    t.add(2, "exp", compared([1.0002, 2.0]))
    v = t.verdict()
    assert (v.status, v.elements, v.first_wrong, v.message) == (AGREE, 4, None, "")
    assert {op: row[:2] for op, row in v.ops.items()} == {"sin": [1, 2], "exp": [1, 2]}
    assert v.worst is not None
    assert (v.worst.node, v.worst.op, v.worst.element) == (3, "sin", (1,))
    assert 0.49 < v.worst.ratio < 0.51


def test_the_first_wrong_array_is_named_and_the_worst_elements_come_first() -> None:
    t = tally()
    t.add(4, "mul", compared([1.0, 2.0]))
    t.add(3, "sin", compared([1.5, 2.01]))
    t.add(2, "exp", compared([9.0, 2.0]))
    v = t.verdict()
    assert (v.status, v.first_wrong) == (DISAGREE, (3, "sin"))
    assert v.suspects == [["sin"], ["exp"]]
    assert [e.got for e in v.wrong] == [9.0, 1.5, 2.01]
    assert v.message.startswith(
        "reverse: first wrong at op sin (node 3), float64 on cpu: value of sin[0]: got 1.5, expected 1.0 ± "
    )
    assert v.name_first_wrong is not None
    v.name_first_wrong(1)  # where the first is a known one
    assert v.first_wrong == (2, "exp")
    assert "got 9.0" in v.message


def test_of_several_suspects_the_one_that_is_wrong_elsewhere_is_named() -> None:
    t = tally()
    t.add(1, "add or exp", compared([5.0, 2.0]), ["add", "exp"])
    assert t.verdict().first_wrong == (1, "add or exp")
    t = tally()
    t.add(1, "add or exp", compared([5.0, 2.0]), ["add", "exp"])
    t.add(0, "exp", compared([5.0, 2.0]), ["exp"])
    assert t.verdict().first_wrong == (1, "exp")


def test_a_note_is_a_disagreement_without_numbers() -> None:
    t = tally()
    t.add(1, "sin", Comparison(note="gradient has shape (2,), expected (3,)"))
    v = t.verdict()
    assert (v.status, v.first_wrong, v.wrong) == (DISAGREE, (1, "sin"), [])
    assert v.message.endswith(": gradient has shape (2,), expected (3,)")


def test_nothing_compared_and_blind_bounds_decide_nothing() -> None:
    assert (tally().verdict().status, tally().verdict().reason[:18]) == (UNDECIDED, "nothing to compare")
    t = tally()
    t.add(1, "sin", compared([1.0, 2.0], bound=50.0))
    v = t.verdict()
    assert (v.status, v.reason, v.elements, v.blind) == (UNDECIDED, "blind bound", 2, 2)
    t.add(2, "exp", compared([1.0, 2.0]))  # one array that is seen is enough
    assert t.verdict().status == AGREE
    t = tally()
    t.add(1, "sin", compared([np.nan, np.nan], expected=(np.nan, np.nan)))
    assert (t.verdict().status, t.verdict().reason) == (UNDECIDED, "non-finite")


def test_a_place_has_words_where_there_is_a_graph() -> None:
    assert place(2, "sin") == "first wrong at op sin (node 2), "
    assert place(-1, "") == ""
