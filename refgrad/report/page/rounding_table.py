"""The rounding profiles that bounds assume, as a table of functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from refgrad.records import Rounding
from refgrad.report.analysis.text import short


@dataclass(frozen=True, slots=True)
class RoundingTable:
    """The largest error of each function in ULP.

    profiles   by title, the profiles
    columns    title and format
    spans      each title with its number of columns
    rows       each function with a figure for each column; "" where the profile has none
    """

    profiles: tuple[tuple[str, Rounding], ...]
    columns: tuple[tuple[str, str], ...]
    spans: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def rounding_table(profiles: Mapping[str, Rounding]) -> RoundingTable:
    """The table of profiles that are given by titles."""
    columns = tuple((title, fmt) for title, found in profiles.items() for fmt in found.ulp)
    names = sorted({name for found in profiles.values() for table in found.ulp.values() for name in table})
    rows = tuple(
        (name, tuple(_figure(profiles[title].ulp[fmt].get(name)) for title, fmt in columns)) for name in names
    )
    spans = tuple((title, len(list(group))) for title, group in groupby(columns, key=lambda c: c[0]))
    return RoundingTable(tuple(profiles.items()), columns, spans, rows)


def _figure(ulp: float | None) -> str:
    return "" if ulp is None else short(ulp)
