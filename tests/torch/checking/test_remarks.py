"""What is said of a number that is wrong only under certain conditions."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from refgrad.testing.judging.verdict import Comparison, Element
from refgrad.torch.checking.remarks import said


def test_a_note_names_the_conditions_and_the_advice() -> None:
    assert (
        said(Comparison(note="output 0 has dtype a"), "output 0", "today").note
        == "today: output 0 has dtype a"
    )
    wrong = Comparison(wrong=[Element(3.0, 4.0, 0.5, 2.0, 9.0, (1, 2))])
    assert (
        said(wrong, "gradient", "today", "wait").note == "gradient[1, 2]: today got 3.0, expected 4.0; wait"
    )
    assert said(Comparison(elements=3), "gradient", "today") == Comparison()
