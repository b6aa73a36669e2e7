"""The training of the textbook: an ordinary run takes and judges a sample of what a full one does."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

from conformance.textbook import training
from conformance.textbook.outcome import CLOSED, Outcome


def test_an_ordinary_run_of_the_training_judges_a_sample_of_the_steps_of_a_full_one() -> None:
    few, all_of_them = Outcome("D3-training"), Outcome("D3-training", full=True)
    training.train(few, steps=120)
    training.train(all_of_them, steps=120)
    sample = training.judged_steps(120, full=False)
    assert {*range(training.EARLY), 50, 100, 119} <= sample < training.judged_steps(120, full=True)
    assert few.failures() == all_of_them.failures() == ([], [])
    elements = [next(v.elements for *_, v in o.verdicts() if v.mode == CLOSED) for o in (few, all_of_them)]
    assert elements[0] * 120 == elements[1] * len(sample)
    assert few.tables[0].rows == all_of_them.tables[0].rows  # both pass through the same weights
    assert (
        few.tables[0].title
        == f"Loss by step; {len(sample)} of 120 steps judged, the first of the lecture's 2000"
    )
    assert [row[0] for row in few.tables[0].rows] == ["0", "1", "10", "100", "119"]
    assert len(training.judged_steps(training.ORDINARY, full=False)) < training.ORDINARY / 8


@pytest.mark.parametrize(("full", "steps"), [(False, training.ORDINARY), (True, training.STEPS)])
def test_a_full_run_of_the_training_takes_all_steps_of_the_lecture(
    full: bool, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    small = [training.spread(shape, k) for k, shape in enumerate(((2, 3), (2, 1), (3, 2), (2, 1)))]
    monkeypatch.setattr(training, "spread", lambda shape, k: small[k])
    monkeypatch.setattr(training, "judged_steps", lambda steps, full: frozenset({0, steps - 1}))
    right = training.hand_step

    def counted(*arrays: Any) -> Any:
        nonlocal taken
        taken += 1
        return right(*arrays)

    monkeypatch.setattr(training, "hand_step", counted)
    outcome = Outcome("D3-training", full=full)
    training.train(outcome)
    assert taken == steps
    assert [row[0] for row in outcome.tables[0].rows] == ["0", str(steps - 1)]
