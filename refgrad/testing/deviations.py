"""Known disagreements: what was seen, why, and the evidence. They are shown in every report and do not fail the gate.

An entry covers disagreements of its ops, modes, dtypes and devices, in the releases of torch that ``versions`` names (PEP 440:
">=2.6,<2.9"); ``families``, ``got`` and ``operand`` narrow it further. Its evidence is a case file; where that case agrees under such
a release, the entry is out of date, and the run fails until its versions end there or it is removed.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refgrad.errors import DeviationsFileError
from refgrad.testing.anchored import FORWARD, REVERSE
from refgrad.testing.attribution import attribute
from refgrad.testing.modes import BASE
from refgrad.testing.verdict import DISAGREE, Element, Verdict
from refgrad.testing.whole import WHOLE_FORWARD, WHOLE_REVERSE

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

_FIELDS = {
    "id": str,
    "ops": list,
    "modes": list,
    "dtypes": list,
    "devices": list,
    "versions": str,
    "reason": str,
    "link": str,
    "case": str,
}
_NARROWING = {"families": list, "got": list, "operand": list}
_ANCHORED = {WHOLE_FORWARD: FORWARD, WHOLE_REVERSE: REVERSE, **BASE}


@dataclass(frozen=True)
class Deviation:
    """One entry of deviations.toml."""

    id: str
    ops: frozenset[str]
    modes: frozenset[str]
    dtypes: frozenset[str]
    devices: frozenset[str]
    versions: SpecifierSet  # the releases of torch in which it was seen
    reason: str
    link: str
    case: Path  # the evidence
    families: frozenset[str] = frozenset()  # empty: all
    got: frozenset[str] = (
        frozenset()
    )  # what the framework gives instead: nan, inf, zero, number; empty: anything

    operand: tuple[float, ...] = ()  # least and greatest magnitude of an elementwise op's operand; empty: any

    def applies(self, mode: str, dtype: str, device: str, family: str, wrong: list[Element]) -> bool:
        """Whether the entry speaks of this mode, dtype and device, of this family and of such wrong elements."""
        here = mode in self.modes and dtype in self.dtypes and device in self.devices
        return (
            here
            and (not self.families or family in self.families)
            and (not self.got or all(kind(e.got) in self.got for e in wrong))
            and (not self.operand or all(self.operand[0] <= e.operand <= self.operand[1] for e in wrong))
        )


def kind(x: float) -> str:
    """What a wrong element is, in a word."""
    return "nan" if math.isnan(x) else "inf" if math.isinf(x) else "zero" if x == 0 else "number"


def load(path: str | Path, torch: str = "") -> list[Deviation]:
    """Read a deviations file: of all entries, or of those that concern a release of torch ("2.13.0+cpu").

    Raises DeviationsFileError naming entry and field.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DeviationsFileError(f"{path}: cannot be read: {error}") from error
    entries = data.get("deviation", [])
    if data.keys() - {"deviation"} or not isinstance(entries, list):
        raise DeviationsFileError(f"{path}: expected [[deviation]] entries alone, found {sorted(data)}")
    found = [_entry(path, k, e) for k, e in enumerate(entries)]
    twice = sorted({d.id for d in found if sum(d.id == other.id for other in found) > 1})
    if twice:
        raise DeviationsFileError(f"{path}: entries {twice} stand twice")
    return [d for d in found if not torch or d.versions.contains(torch, prereleases=True)]


def _entry(path: Path, k: int, entry: Any) -> Deviation:
    where = (
        f"{path}: entry {k} ({entry.get('id', 'without id')})"
        if isinstance(entry, dict)
        else f"{path}: entry {k}"
    )
    if not isinstance(entry, dict) or not _FIELDS.keys() <= entry.keys() <= (_FIELDS | _NARROWING).keys():
        got = sorted(entry) if isinstance(entry, dict) else entry
        raise DeviationsFileError(f"{where}: expected the fields {sorted(_FIELDS)}, got {got}")
    for name, of in (_FIELDS | _NARROWING).items():
        if name in entry and (not isinstance(entry[name], of) or not entry[name]):
            raise DeviationsFileError(f"{where}: {name} is a non-empty {of.__name__}, got {entry[name]!r}")
    limits = entry.get("operand", [0.0, math.inf])
    if len(limits) != 2 or not all(isinstance(x, (int, float)) for x in limits) or not limits[0] <= limits[1]:
        raise DeviationsFileError(f"{where}: operand is [least, greatest] magnitude, got {limits}")
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # which comes with the suite

    try:
        versions = SpecifierSet(entry["versions"])
    except InvalidSpecifier as error:
        raise DeviationsFileError(
            f'{where}: versions are releases of torch, such as ">=2.6,<2.9", got {entry["versions"]!r}'
        ) from error
    case = path.parent / entry["case"]
    if not case.is_file():
        raise DeviationsFileError(f"{where}: its evidence {case} does not exist")
    return Deviation(
        entry["id"], frozenset(entry["ops"]), frozenset(entry["modes"]), frozenset(entry["dtypes"]), frozenset(entry["devices"]),
        versions, entry["reason"], entry["link"], case, frozenset(entry.get("families", ())), frozenset(entry.get("got", ())),
        tuple(map(float, entry.get("operand", ()))),
    )  # fmt: skip


def mark(
    verdicts: list[Verdict], deviations: list[Deviation], dtype: str, device: str, family: str = ""
) -> None:
    """Mark the disagreements that are known: every wrong node is covered by an entry.

    A disagreement from end to end, or of a further mode that repeats the first derivative, is known where the node-by-node verdict
    on the same case is.
    """
    known = {}
    for v in verdicts:
        if v.status != DISAGREE or not v.accused:
            continue
        covering = []
        for ops in v.accused:
            wrong = [e for e in v.wrong if e.op == " or ".join(ops)]
            entries = (d for d in deviations if set(ops) <= d.ops)
            covering.append(
                next((d.id for d in entries if d.applies(v.mode, dtype, device, family, wrong)), "")
            )
        if all(covering):
            v.known = known[v.mode] = ", ".join(dict.fromkeys(covering))
        elif v.accuse is not None:
            v.accuse(covering.index(""))  # what is known is not what fails the run
    attribute(verdicts)  # from end to end, by what the verdicts node by node name now
    for v in verdicts:
        if v.status == DISAGREE and not v.known:
            v.known = known.get(_ANCHORED.get(v.mode, ""), "")
