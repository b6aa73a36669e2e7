"""The failures of the last run in a folder, which ``--last-failed`` judges again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from refgrad import report
from refgrad.backends import Backend, known
from refgrad.backends.settings import Settings, split
from refgrad.errors import ArgumentError
from refgrad.records import TEXTBOOK, Header
from refgrad.records.fields import cut
from refgrad.report.storage.details import in_full
from refgrad.report.storage.files import RESULTS
from refgrad.suite.address import TORCH
from refgrad.testing.cases.case import Case

_KEPT = 1000  # characters of an address that the first line of the results keeps


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
    # Others are no tests, such as a file that could not be collected.
    crashed = {c.item for c in run.crashes if "[" in c.item}
    tests = [*map(name_of_case, cases), *sorted(written | crashed)]
    if not tests:
        raise ArgumentError(
            f"--last-failed: no failure in {found}, of {run.tally.results} results: run without it to judge all"
        )
    return Failures(run.header, tuple(cases.values()), tuple(dict.fromkeys(tests)))


def check_repeats(head: Header, backend: Backend, devices: Sequence[str], dtypes: Sequence[str]) -> None:
    """Raise ArgumentError where a command with ``--last-failed`` would judge something else than the run whose failures it repeats.

    ``devices`` and ``dtypes`` are those that the command names. A function that replaces an op may have another name than in that run:
    the mended one. So may a worker or an attribute that is named by the command.
    """
    repeat = f"Repeat the options of that run ({' '.join(head.command)})"
    if head.backend != backend.name:
        raise ArgumentError(
            f"--last-failed: the last run judged {head.backend}, and this one is to judge {backend.name}: name its --backend. {repeat}"
        )
    if not _same_backend(head.address, backend.address):
        raise ArgumentError(
            f"--last-failed: the last run judged {head.address!r}, and this one is to judge {backend.address!r} "
            f"(--backend, --load, --rounding, --replace): its failures would be judged on something else. {repeat}"
        )
    for option, judged, asked in (("device", head.devices, devices), ("dtype", head.dtypes, dtypes)):
        if asked and {*asked} != {*judged}:
            raise ArgumentError(
                f"--last-failed: the last run judged the {option}s {', '.join(judged)}, and this command names {', '.join(asked)}: "
                f"leave --{option} out. {repeat}"
            )


def _same_backend(before: str, now: str) -> bool:
    """Whether an address names what an earlier one names: the same settings, and a framework as it is only where it was judged so."""
    if not before or before == cut(now, _KEPT):  # older files tell no address
        return True
    if len(before) >= _KEPT:  # a part of it is lost
        return False
    (name_before, earlier), (name, settings) = _parts(before), _parts(now)
    if _compared(earlier) != _compared(settings):
        return False
    as_it_is = name.partition("=")[0] in known()
    return not as_it_is or name.partition("=")[0] == name_before.partition("=")[0]


def _parts(address: str) -> tuple[str, Settings]:
    """The name and the settings of an address. Only those of torch have settings: the command of a worker may hold a question mark."""
    return split(address) if address.startswith(TORCH) else (address, Settings())


def _compared(settings: Settings) -> tuple[object, ...]:
    """What of the settings has to be the same: all but the functions that replace ops."""
    ops = frozenset(pair.partition("=")[0].strip() for pair in settings.replace)
    return frozenset(settings.load), frozenset(settings.rounding), ops
