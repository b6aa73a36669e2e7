"""Reading a deviations file: TOML, one [[deviation]] an entry. What is wrong with an entry is named, with what was expected."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

from refgrad.errors import ArgumentError, DeviationsFileError
from refgrad.testing.deviations import Deviation
from refgrad.testing.releases import Releases

REQUIRED = {
    "id": str, "ops": list, "modes": list, "dtypes": list, "devices": list, "seen": list, "reason": str, "link": str, "case": str,
}  # fmt: skip
OPTIONAL = {"mended": str, "kernels": list, "families": list, "got": list, "operand": list}


def load(path: str | Path) -> list[Deviation]:
    """The entries of a deviations file. Raises DeviationsFileError naming entry and field."""
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
    return found


def _entry(path: Path, k: int, entry: Any) -> Deviation:
    where = (
        f"{path}: entry {k} ({entry.get('id', 'without id')})"
        if isinstance(entry, dict)
        else f"{path}: entry {k}"
    )
    if not isinstance(entry, dict) or not REQUIRED.keys() <= entry.keys() <= (REQUIRED | OPTIONAL).keys():
        got = sorted(entry) if isinstance(entry, dict) else entry
        raise DeviationsFileError(
            f"{where}: expected the fields {sorted(REQUIRED)}, perhaps {sorted(OPTIONAL)}; got {got}"
        )
    for name, of in (REQUIRED | OPTIONAL).items():
        if name in entry and (not isinstance(entry[name], of) or not entry[name]):
            raise DeviationsFileError(f"{where}: {name} is a non-empty {of.__name__}, got {entry[name]!r}")
    limits = entry.get("operand", [0.0, math.inf])
    if len(limits) != 2 or not all(isinstance(x, (int, float)) for x in limits) or not limits[0] <= limits[1]:
        raise DeviationsFileError(f"{where}: operand is [least, greatest] magnitude, got {limits}")
    try:
        releases = Releases.read(entry["seen"], entry.get("mended", ""))
    except ArgumentError as error:
        raise DeviationsFileError(f"{where}: {error}") from error
    case = path.parent / entry["case"]
    if not case.is_file():
        raise DeviationsFileError(f"{where}: its evidence {case} does not exist")
    kernels, families, got = (frozenset(entry.get(name, ())) for name in ("kernels", "families", "got"))
    return Deviation(
        entry["id"], frozenset(entry["ops"]), frozenset(entry["modes"]), frozenset(entry["dtypes"]), frozenset(entry["devices"]),
        releases, entry["reason"], entry["link"], case, kernels, families, got, tuple(map(float, entry.get("operand", ()))),
    )  # fmt: skip
