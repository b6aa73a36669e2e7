"""Known disagreements of a run: by entry, with what was seen of each."""

from __future__ import annotations

from refgrad.report.analysis.deviations import known
from refgrad.report.storage.load import load


def test_entries_are_listed_by_name_with_cases_results_and_the_smallest_case(make, save) -> None:
    run = load(
        save([
            make.header(deviations=[{"id": "two", "reason": "why", "link": "docs/two.md"}]),
            make.wrong("a" * 16, nodes=9, known="two", message="large"), make.wrong("b" * 16, nodes=3, known="two, one", message="small"),
            make.wrong("b" * 16, nodes=3, known="two", mode="forward", message="again"), make.wrong("c" * 16), make.result("d" * 16),
        ])
    )  # fmt: skip
    one, two = known(run)
    assert (one.id, one.reason, one.link, one.cases, one.results) == ("one", "", "", 1, 1)
    assert (two.id, two.reason, two.link, two.cases, two.results) == ("two", "why", "docs/two.md", 2, 3)
    assert two.where == "float32 cpu forward, float32 cpu reverse"
    assert two.message == "again"  # of the same size: forward comes before reverse
    assert one.message == "small"


def test_a_run_without_any_has_none(make, save) -> None:
    assert known(load(save([make.header(), make.wrong("a" * 16)]))) == ()
