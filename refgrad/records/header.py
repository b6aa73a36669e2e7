"""The line a run begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from refgrad.errors import ArgumentError
from refgrad.modes import current
from refgrad.records import fields
from refgrad.records.fields import Json, cut
from refgrad.records.record import Record
from refgrad.records.rounding import Rounding
from refgrad.records.shards import Shard

SCHEMA = 2  # of results files; a change of a line that older readers cannot read makes it another one


@dataclass(frozen=True, slots=True)
class Header(Record):
    """The line a run begins with: what was asked, where it ran."""

    TYPE: ClassVar[str] = "run"

    refgrad: str
    started: str
    command: tuple[str, ...]
    seed: str = ""
    profile: str = ""
    families: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    present: Mapping[str, str] = field(default_factory=dict)  # device -> what it is, or why it was not judged
    deviations: tuple[tuple[str, str, str], ...] = ()  # known disagreements: id, reason, link
    shard: str = ""  # "2/4": which part of a run this is
    # devices that the run may not do without and had to, with the reason
    missing: tuple[tuple[str, str], ...] = ()
    examples: str = ""  # of each family, dtype and device
    workers: str = ""
    backend: str = "torch"  # what was judged; older files do not name it
    # mode -> what the backend calls it, where that is another name
    calls: Mapping[str, str] = field(default_factory=dict)
    ops: tuple[str, ...] = ()  # the ops that were selected; empty: all
    budget: str = ""  # the time that the run was given instead of a number of cases, in seconds; empty: none
    address: str = ""  # how the command named the backend, with its settings; older files do not tell it
    # the backends that judge the same cases, this one included, as reports call them; empty: this backend alone
    beside: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)  # op -> those of them that lack it: not drawn
    rounding: Mapping[str, Rounding] = field(default_factory=dict)  # device -> what the bounds assume

    @property
    def label(self) -> str:
        """The backend as reports call it: its name, with its release where another one of that name judges the same cases."""
        exact = f"{self.backend} {self.release}"
        return exact if exact in self.beside else self.backend

    @property
    def release(self) -> str:
        """The version of the backend; empty where the file does not tell it."""
        return self.environment.get(self.backend, "")

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data, with the number of the schema."""
        return {
            "type": self.TYPE, "schema": SCHEMA, "refgrad": self.refgrad, "started": self.started, "command": self.command,
            "backend": self.backend, "address": self.address, "calls": self.calls,
            "seed": self.seed, "profile": self.profile, "families": self.families, "dtypes": self.dtypes, "devices": self.devices,
            "modes": self.modes, "examples": self.examples, "ops": self.ops, "budget": self.budget,
            "workers": self.workers, "shard": self.shard, "missing": dict(self.missing),
            "beside": self.beside, "left_out": self.left_out,
            "rounding": {device: found.to_dict() for device, found in self.rounding.items()},
            "deviations": [{"id": name, "reason": reason, "link": link} for name, reason, link in self.deviations],
            "environment": {**self.environment, "devices": self.present},
        }  # fmt: skip

    @classmethod
    def read(cls, data: Json) -> Self:
        """Raise CaseFileError where ``data`` is not the beginning of a run."""
        around = fields.obj(data, "environment")
        return cls(
            fields.text(data, "refgrad", ""),
            fields.text(data, "started", ""),
            fields.texts(data, "command"),
            cut(str(data.get("seed", "")), 1000),
            cut(str(data.get("profile") or ""), 1000),
            fields.texts(data, "families"),
            fields.texts(data, "dtypes"),
            fields.texts(data, "devices"),
            tuple(map(current, fields.texts(data, "modes"))),
            dict(_table({k: v for k, v in around.items() if k != "devices"})),
            dict(_table(fields.obj(around, "devices"))),
            tuple(
                (fields.text(d, "id"), fields.text(d, "reason", ""), fields.text(d, "link", ""))
                for d in fields.array(data, "deviations")
                if isinstance(d, dict)
            ),
            _shard(data),
            tuple(_table(fields.obj(data, "missing"))),
            cut(str(data.get("examples", "")), 1000),
            cut(str(data.get("workers", "")), 1000),
            fields.text(data, "backend", "torch"),
            dict(_table(fields.obj(data, "calls"))),
            fields.texts(data, "ops"),
            fields.text(data, "budget", ""),
            cut(fields.text(data, "address", ""), 1000),
            fields.texts(data, "beside"),
            dict(_table(fields.obj(data, "left_out"))),
            {
                cut(str(device), 100): Rounding.read(fields.obj(fields.obj(data, "rounding"), device))
                for device in sorted(fields.obj(data, "rounding"))
            },
        )


def _table(data: Json) -> list[tuple[str, str]]:
    return sorted((cut(str(k), 100), cut(str(v), 1000)) for k, v in data.items())


def _shard(data: Json) -> str:
    shard = fields.text(data, "shard", "")
    try:
        return str(Shard.read(shard)) if shard else ""
    except ArgumentError:
        raise fields.wrong("shard", shard, 'a part such as "2/4"') from None
