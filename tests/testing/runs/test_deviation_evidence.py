"""Evidence: which entries excuse anything under a torch, and what a run says of each."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from refgrad.backends import Build
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.releases import Releases
from refgrad.testing.judging.observation import NoAnswer, Observation
from refgrad.testing.judging.verdict import DISAGREE
from refgrad.testing.runs import deviation_evidence
from refgrad.testing.runs.deviation_evidence import NO_LONGER, RECORDED, STILL_THERE
from refgrad.testing.runs.in_flight import CurrentCase


@pytest.fixture
def entry(tmp_path: Path) -> Deviation:
    """An entry about the value of sin, with its evidence."""
    x = np.array([0.5, 1.0])
    case = Case("graphs", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, "float64")
    (tmp_path / "case.json").write_text(case.to_json())
    names = (frozenset({"sin"}), frozenset({"value"}), frozenset({"float64"}), frozenset({"cpu"}))
    return Deviation(
        "sin", *names, Releases("2.6", "2.13", "2.14.1"), "because", "docs", tmp_path / "case.json"
    )


class Framework:
    """Gives values of sin, right or wrong; counts how often it is asked."""

    def __init__(self, error: float) -> None:
        self.error, self.asked = error, 0

    def __call__(self, case: Case) -> Observation:
        self.asked += 1
        x = case.inputs["x"]
        given = {part: [None, None] for part in ("cotangents", "tangents")}
        names = {part: [None, None] for part in ("values", "cotangents", "tangents")}
        unavailable = dict.fromkeys(("reverse", "forward"), NoAnswer("there is no such mode"))
        return Observation(
            [x, np.sin(x) + self.error], **given, dtypes=names, devices=names, unavailable=unavailable
        )  # type: ignore[arg-type]


WRONG, RIGHT = 0.5, 0.0


@pytest.mark.parametrize(
    ("torch", "error", "excused", "news", "fails"),
    [
        ("2.13.0+cpu", WRONG, True, "", False),
        ("2.13.0+cpu", RIGHT, False, "", True),  # the record is out of date
        ("2.14.1", RIGHT, False, RECORDED, False),
        ("2.14.1", WRONG, False, RECORDED, False),  # the disagreement fails by itself
        ("2.14.0", WRONG, True, STILL_THERE, False),  # nobody has recorded it
        ("2.14.0", RIGHT, False, NO_LONGER, False),
        ("2.5.0", RIGHT, False, NO_LONGER, False),
    ],
)
def test_what_a_run_says_of_an_entry(
    entry: Deviation, torch: str, error: float, excused: bool, news: str, fails: bool
) -> None:
    here, framework = Build("torch", torch), Framework(error)
    verdicts = deviation_evidence.judged(
        entry, here, framework, deviation_evidence.applicable([entry], here, framework)
    )
    found = deviation_evidence.outcome(entry, here, verdicts)
    assert (found.kind, bool(found.failure)) == (news, fails)
    assert [v.known for v in verdicts if v.status == DISAGREE] == (
        [] if error == RIGHT else ["sin" if excused else ""]
    )
    if fails:
        assert f"no longer occurs in torch {torch}" in found.failure


def test_of_a_release_before_the_fault_came_a_run_says_nothing(entry: Deviation) -> None:
    entry = dataclasses.replace(entry, releases=Releases("2.14.1", "2.14.1", absent="2.13"))
    here = Build("torch", "2.13.0+cpu")
    assert deviation_evidence.applicable([entry], here, Framework(WRONG)) == []
    for error, fails in ((RIGHT, False), (WRONG, True)):
        verdicts = deviation_evidence.judged(entry, here, Framework(error))
        assert any(v.failed for v in verdicts) == fails
        assert deviation_evidence.outcome(entry, here, verdicts) == deviation_evidence.Outcome()


@pytest.mark.parametrize("torch", ["2.13.0+cpu", "2.14.0"])
def test_evidence_that_is_wrong_in_another_way_fails_and_says_nothing_of_the_record(
    entry: Deviation, torch: str
) -> None:
    here = Build("torch", torch)
    elsewhere = dataclasses.replace(entry, ops=frozenset({"cos"}))
    verdicts = deviation_evidence.judged(elsewhere, here, Framework(WRONG))
    assert any(v.failed for v in verdicts)
    assert deviation_evidence.outcome(elsewhere, here, verdicts) == deviation_evidence.Outcome()


def test_evidence_is_judged_once_and_only_where_it_decides(entry: Deviation) -> None:
    for torch, asked in (("2.13", 0), ("2.15.0.dev1", 1)):
        framework = Framework(WRONG)
        recorded = dataclasses.replace(entry, releases=Releases("2.6", "2.13"))
        [standing] = deviation_evidence.applicable([recorded], Build("torch", torch), framework)
        assert framework.asked == 0
        assert standing.stands()
        assert standing.stands()
        assert framework.asked == asked


def test_an_entry_recorded_as_mended_excuses_nothing(entry: Deviation) -> None:
    assert deviation_evidence.applicable([entry], Build("torch", "2.14.1"), Framework(WRONG)) == []


def test_of_other_kernels_nothing_is_recorded(entry: Deviation) -> None:
    entry = dataclasses.replace(entry, kernels=frozenset({"AVX2"}))
    assert deviation_evidence.state(entry, Build("torch", "2.13", "AVX2")) == "seen"
    assert deviation_evidence.state(entry, Build("torch", "2.13", "DEFAULT")) == "unrecorded"
    assert deviation_evidence.state(entry, Build("torch", "2.14.1", "DEFAULT")) == "mended"


def test_evidence_that_hangs_stands_for_nothing(entry: Deviation, tmp_path: Path) -> None:
    """The framework of a release that nobody has recorded may hang on it. Nothing else limits the time of evidence."""

    def hang(case: Case) -> Observation:
        time.sleep(20)
        raise AssertionError(case)

    current = CurrentCase(tmp_path / "results.jsonl", limit=0.2)
    recorded = dataclasses.replace(entry, releases=Releases("2.6", "2.13"))
    [standing] = deviation_evidence.applicable([recorded], Build("torch", "2.99"), hang, current.limited)
    with current.watched():
        assert not standing.stands()
        assert not standing.stands()  # it is not asked again
    current.close()
