"""Checks of a user's deviations files: whether an entry covers its own evidence, and whether what it names is known."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence

from refgrad import backends
from refgrad.bounds.formats import FORMATS
from refgrad.errors import DeviationsFileError
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.file import load


def remarks(
    files: Sequence[str], families: Collection[str], backend: str, devices: Collection[str]
) -> Iterator[str]:
    """Sentences about backends and devices that entries name and nobody knows: such an entry excuses nothing, and may be misspelt.

    ``families`` are those of the suite, ``backend`` and ``devices`` those that are judged or known. Raises DeviationsFileError for an
    unknown family, and for an entry that does not cover its own evidence.
    """
    for path in files:
        for entry in load(path, local=True):
            evidence = _check_evidence(path, entry)
            _check_families(path, entry, {*families, evidence.family})
            strangers = {
                "backend": entry.backends - {*backends.known(), backend},
                "device": entry.devices - {*map(_kind, devices), *devices, _kind(evidence.device)},
            }
            for what, names in strangers.items():
                if names:
                    yield (
                        f"{path}: entry {entry.id} names the {what} {', '.join(sorted(names))}, which this run does not know: "
                        "nothing is excused there"
                    )


def _check_evidence(path: str, entry: Deviation) -> Case:
    """The evidence of an entry. Raises DeviationsFileError where the entry is not about its family, dtype or device."""
    case = Case.load(entry.case)
    for what, own, named in (
        ("families", {case.family}, entry.families),
        ("dtypes", {case.dtype, FORMATS[case.dtype].storage}, entry.dtypes),
        ("devices", {case.device, _kind(case.device)}, entry.devices),
    ):
        if named and not own & named:
            raise DeviationsFileError(
                f"{path}: entry {entry.id}: {what} are {sorted(named)}, and its evidence {entry.case} is of {' or '.join(sorted(own))}: "
                "an entry covers its own evidence"
            )
    return case


def _check_families(path: str, entry: Deviation, known: Collection[str]) -> None:
    for name in sorted(entry.families - {*known}):
        like = difflib.get_close_matches(name, known, 1)
        raise DeviationsFileError(
            f"{path}: entry {entry.id}: no family is named {name!r}; {f'did you mean {like[0]}? ' if like else ''}"
            f"there are {sorted(known)}"
        )


def _kind(device: str) -> str:
    return device.partition(":")[0]
