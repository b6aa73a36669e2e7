"""The failures of the last run in a folder, which ``--last-failed`` judges again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from refgrad import report
from refgrad.errors import ArgumentError
from refgrad.records import TEXTBOOK, Header
from refgrad.report.storage.details import in_full
from refgrad.report.storage.files import RESULTS
from refgrad.testing.cases.case import Case


@dataclass(frozen=True, slots=True)
class Failures:
    """The failures of a run.

    header   its first line
    cases    the failing cases, as JSON text
    tests    the names of the tests to run: one for each case, and those that crashed or belong to the textbook
    """

    header: Header
    cases: tuple[str, ...]
    tests: tuple[str, ...]


def name_of_case(case: str) -> str:
    """The name of the test that judges a case of this id alone."""
    return f"test_case[{case}]"


def last_failures(path: Path) -> Failures:
    """The failures in a results file, or in the compressed one beside it.

    Raises ArgumentError where there is no such file, and where it has no failure.
    """
    packed = path.with_name(RESULTS)
    found = path if path.exists() else packed
    if not found.exists():
        raise ArgumentError(
            f"--last-failed: neither {path} nor {packed} exists: run once without it, or name the folder of the run with --out"
        )
    run = report.load(found)
    failed = in_full(run, [r for r in run.results if r.failed])
    records = {r.id: r.case_record for r in failed if r.case_record is not None}
    cases = {Case.from_dict(dict(record.case)).id: record.content for record in records.values()}
    written = {f"test_item[{r.id}]" for r in failed if r.family == TEXTBOOK}
    crashed = {
        c.item for c in run.crashes if "[" in c.item
    }  # others are no tests, such as a file that could not be collected
    tests = [*map(name_of_case, cases), *sorted(written | crashed)]
    if not tests:
        raise ArgumentError(
            f"--last-failed: no failure in {found}, of {run.tally.results} results: run without it to judge all"
        )
    return Failures(run.header, tuple(cases.values()), tuple(dict.fromkeys(tests)))
