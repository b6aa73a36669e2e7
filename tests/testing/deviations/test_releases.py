"""Releases: the recorded state of a release, and how a record is extended."""

from __future__ import annotations

import pytest

from refgrad.errors import ArgumentError
from refgrad.testing.deviations.releases import ABSENT, MENDED, SEEN, UNRECORDED, Releases

RECORD = Releases("2.6", "2.13", "2.14.1")


@pytest.mark.parametrize(
    ("torch", "state"),
    [
        ("2.5.1", UNRECORDED), ("2.6.0+cu124", SEEN), ("2.9", SEEN), ("2.13.0+cpu", SEEN), ("2.13.1", UNRECORDED),
        ("2.14.0a0+git1f2e3d4", UNRECORDED), ("2.14.1", MENDED), ("2.14.1+cu130", MENDED), ("3.0", MENDED),
    ],
)  # fmt: skip
def test_what_is_recorded_of_a_release(torch: str, state: str) -> None:
    assert RECORD.state(torch) == state


def test_releases_before_a_fault_came_are_recorded_as_without_it() -> None:
    new = Releases.read(["2.14.1", "2.14.1"], absent="2.13")
    assert [new.state(v) for v in ("2.6", "2.13.0+cpu", "2.14.0", "2.14.1")] == [
        ABSENT, ABSENT, UNRECORDED, SEEN,
    ]  # fmt: skip
    assert str(new) == "torch 2.14.1, not in 2.13"
    assert new.extended("2.14.0", there=False) == Releases("2.14.1", "2.14.1", "", "2.14.0")
    assert new.extended("2.13.0", there=True) == Releases("2.13.0", "2.14.1")
    with pytest.raises(ArgumentError, match="absent is a release before"):
        Releases.read(["2.6", "2.13"], absent="2.6")


def test_of_what_is_to_come_nothing_is_recorded() -> None:
    assert Releases("2.6", "2.14.1").state("2.15.0.dev20261126+cpu") == UNRECORDED


@pytest.mark.parametrize(
    ("torch", "there", "grown"),
    [
        ("2.5", True, Releases("2.5.0", "2.13", "2.14.1")),
        ("2.13.0+cpu", True, RECORD),
        ("2.14.0", True, Releases("2.6", "2.14.0", "2.14.1")),
        ("2.15.0", True, Releases("2.6", "2.15.0")),
        ("2.14.0", False, Releases("2.6", "2.13", "2.14.0")),
        ("2.15.0", False, RECORD),
        ("2.5", False, Releases("2.6", "2.13", "2.14.1", "2.5.0")),
    ],
)
def test_a_record_grows_by_one_release(torch: str, there: bool, grown: Releases) -> None:
    assert RECORD.extended(torch, there=there) == grown


@pytest.mark.parametrize(
    ("seen", "mended", "message"),
    [
        (["2.6"], "", "seen is [first, last]"),
        (["2.13", "2.6"], "", "in that order"),
        (["2.6", "now"], "", "a release such as"),
        (["2.6", "2.13"], "2.13.0", "after the last one of seen"),
        (["2.6", "2.13"], "soon", "a release such as"),
    ],
)
def test_what_is_no_record_is_refused(seen: list[str], mended: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message.replace("[", r"\[").replace("]", r"\]")):
        Releases.read(seen, mended)
