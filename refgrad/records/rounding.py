"""The rounding profile that the bounds of a run assume, as the header of a results file holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from refgrad.bounds.profiles import Profile
from refgrad.records import fields as read
from refgrad.records.fields import Json, cut

_TABLES = ("name", "ulp", "source")  # the fields of a Profile that are no flags


@dataclass(frozen=True, slots=True)
class Rounding:
    """The profile of a backend on one device.

    name     of the profile
    source   where its figures are documented, or how they were measured
    ulp      by the format that kernels compute in, the largest error of each function in ULP
    flags    the other assumptions that hold, such as "reciprocal" or "flushing_products: bfloat16"
    """

    name: str = ""
    source: str = ""
    ulp: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """The record of a profile."""
        flags = []
        for name in (f.name for f in fields(Profile) if f.name not in _TABLES):
            value = getattr(profile, name)
            if value:
                flags.append(name if value is True else f"{name}: {_words(value)}")
        ulp = {fmt: dict(sorted(figures.items())) for fmt, figures in profile.ulp.items()}
        return cls(profile.name, profile.source, ulp, tuple(flags))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"name": self.name, "source": self.source, "ulp": self.ulp, "flags": self.flags}

    @classmethod
    def read(cls, data: Json) -> Self:
        """The profile that ``data`` holds. Raises CaseFileError where it holds none."""
        tables = read.obj(data, "ulp")
        ulp = {cut(str(fmt), 100): _figures(read.obj(tables, fmt)) for fmt in tables}
        return cls(read.text(data, "name", ""), read.text(data, "source", ""), ulp, read.texts(data, "flags"))


def _figures(table: Json) -> dict[str, float]:
    return {cut(str(name), 100): read.number(table, name) for name in table}


def _words(value: object) -> str:
    """The value of a flag that is no truth value."""
    return ", ".join(sorted(map(str, value))) if isinstance(value, (set, frozenset)) else str(value)
