"""Reads deviations files: TOML with one [[deviation]] table for each entry. Errors name the entry, the field and what was expected.

The suite has one file for torch, and one for each other framework: ``backends/NAME.toml`` beside it. The file of a framework serves all
ways in which it runs: ``backends/jax.toml`` holds the entries of the backends ``jax`` and ``jax-jit``.
"""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import refgrad.node  # noqa: F401  registers every op and declares every function
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, DeviationsFileError
from refgrad.modes import NAMES, current, current_in_text
from refgrad.op import FUNCTIONS, REGISTRY
from refgrad.testing.cases.case import LAYOUTS
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.narrowing import KINDS, Narrowing, Numbers
from refgrad.testing.deviations.operand_conditions import PLACES
from refgrad.testing.deviations.releases import DEFAULT, Releases
from refgrad.testing.deviations.wrong_formulas import FORMULAS

REQUIRED = {
    "id": str,
    "ops": list,
    "modes": list,
    "dtypes": list,
    "devices": list,
    "seen": list,
    "reason": str,
    "link": str,
    "case": str,
}
OPTIONAL = {
    "mended": str,
    "absent": str,
    "kernels": list,
    "families": list,
    "layouts": list,
    "got": list,
    "expected": list,
    "operand": list,
    "where": str,
    "formula": str,
    "note": str,
    "error": str,
    "numbers": str,
    "backend": str,
    "backends": list,
}
VOCABULARY = {
    "modes": NAMES,
    "dtypes": tuple(FORMATS),
    "got": KINDS,
    "expected": KINDS,
    "layouts": LAYOUTS,
    "where": tuple(PLACES),
    "formula": tuple(FORMULAS),
}


def load(path: str | Path, *, local: bool = False, backend: str = DEFAULT) -> list[Deviation]:
    """The entries of a deviations file.

    ``local`` marks the entries of a user's own file. ``backend`` is the backend of an entry that names none. Raises DeviationsFileError
    naming entry and field.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DeviationsFileError(f"{path}: cannot be read: {why}") from error
    entries = data.get("deviation", [])
    if data.keys() - {"deviation"} or not isinstance(entries, list):
        raise DeviationsFileError(f"{path}: expected [[deviation]] entries alone, found {sorted(data)}")
    found = [_entry(path, k, e, local, backend) for k, e in enumerate(entries)]
    twice = sorted({d.id for d in found if sum(d.id == other.id for other in found) > 1})
    if twice:
        raise DeviationsFileError(f"{path}: entries {twice} stand twice")
    return found


def own_files(own: Path) -> dict[Path, str]:
    """The files of the suite, each with the backend of its entries that name none. ``own`` is the path of the file for torch."""
    return {own: DEFAULT} | {path: path.stem for path in sorted((own.parent / "backends").glob("*.toml"))}


def all_of(own: Path, others: Sequence[str], backend: str = DEFAULT) -> list[Deviation]:
    """The entries for a backend: those of the suite, whose file for torch is ``own``, and of a user's files (``others``).

    Raises DeviationsFileError where a file is wrong or two entries have the same id.
    """
    files = [
        (path, False, name)
        for path, name in own_files(own).items()
        if path == own or backend == name or backend.startswith(f"{name}-")
    ]
    found: list[Deviation] = []
    for path, local, name in [*files, *((Path(path), True, DEFAULT) for path in others)]:
        more = [d for d in load(path, local=local, backend=name) if backend in d.backends]
        twice = sorted({d.id for d in found} & {d.id for d in more})
        if twice:
            raise DeviationsFileError(
                f"{path}: entries {twice} stand in another deviations file already; give them other ids"
            )
        found += more
    return found


def concerning(entries: Sequence[Deviation], replaced: Collection[str]) -> list[Deviation]:
    """The entries without the suite's own about ops that a library's functions compute in place of the framework's."""
    return [d for d in entries if d.local or not d.ops & {*replaced}]


def _entry(path: Path, k: int, entry: Any, local: bool, backend: str) -> Deviation:
    where = (
        f"{path}: entry {k} ({entry.get('id', 'without id')})"
        if isinstance(entry, dict)
        else f"{path}: entry {k}"
    )
    _check_fields(where, entry)
    backends = entry.get("backends", [entry.get("backend", backend)])
    try:
        releases = Releases.read(
            entry["seen"], entry.get("mended", ""), entry.get("absent", ""), str(backends[0])
        )
    except ArgumentError as error:
        raise DeviationsFileError(f"{where}: {error}") from error
    case = path.parent / entry["case"]
    if not case.is_file():
        raise DeviationsFileError(f"{where}: its evidence {case} does not exist")
    kernels, families, layouts, got, expected = (
        frozenset(entry.get(name, ())) for name in ("kernels", "families", "layouts", "got", "expected")
    )
    texts = {name: entry.get(name, "") for name in ("where", "formula", "note", "error")}
    numbers = _numbers(path.parent / entry["numbers"], where) if "numbers" in entry else None
    narrow = Narrowing(got, expected, tuple(map(float, entry.get("operand", ()))), **texts, numbers=numbers)
    if not narrow.narrow:
        raise DeviationsFileError(
            f"{where}: nothing says which wrong numbers are meant, so that any other error of {entry['ops']} would pass for this one; "
            "name their kind (got, expected), the operands (operand, where), the formula behind them, or the very numbers"
        )
    return Deviation(
        id=entry["id"],
        ops=frozenset(entry["ops"]),
        modes=frozenset(map(current, entry["modes"])),
        dtypes=frozenset(entry["dtypes"]),
        devices=frozenset(entry["devices"]),
        releases=releases,
        backends=frozenset(map(str, backends)),
        reason=entry["reason"],
        link=entry["link"],
        case=case,
        kernels=kernels,
        families=families,
        layouts=layouts,
        narrow=narrow,
        local=local,
    )


def _check_fields(where: str, entry: Any) -> None:
    """Raises DeviationsFileError for a field that is missing, unknown, or of another type or value than its own."""
    if not isinstance(entry, dict) or not REQUIRED.keys() <= entry.keys() <= (REQUIRED | OPTIONAL).keys():
        got = sorted(entry) if isinstance(entry, dict) else entry
        raise DeviationsFileError(
            f"{where}: expected the fields {sorted(REQUIRED)}, perhaps {sorted(OPTIONAL)}; got {got}"
        )
    for name, of in (REQUIRED | OPTIONAL).items():
        if name in entry and (not isinstance(entry[name], of) or not entry[name]):
            raise DeviationsFileError(f"{where}: {name} is a non-empty {of.__name__}, got {entry[name]!r}")
        if of is list and name != "operand" and not all(isinstance(x, str) for x in entry.get(name, ())):
            raise DeviationsFileError(f"{where}: {name} is a list of str, got {entry[name]!r}")
    for name, words in VOCABULARY.items():
        given = entry.get(name, [])
        unknown = sorted({*map(current, [given] if isinstance(given, str) else given)} - {*words})
        if unknown:
            raise DeviationsFileError(f"{where}: {name} is of {list(words)}, got {unknown}")
    for op in entry["ops"]:
        if op not in REGISTRY and op not in FUNCTIONS:
            like = " or ".join(difflib.get_close_matches(op, [*REGISTRY, *FUNCTIONS], 3))
            meant = f"did you mean {like}? " if like else ""
            raise DeviationsFileError(f"{where}: no op is named {op!r}; {meant}`refgrad ops` lists them")
    limits = entry.get("operand", [0.0, math.inf])
    if len(limits) != 2 or not all(isinstance(x, (int, float)) for x in limits) or not limits[0] <= limits[1]:
        raise DeviationsFileError(f"{where}: operand is [least, greatest] magnitude, got {limits}")
    if "backend" in entry and "backends" in entry:
        raise DeviationsFileError(
            f"{where}: backend names one backend, backends lists several; give one of the two"
        )


def _numbers(path: Path, where: str) -> Numbers:
    """The recorded cases of an entry with the wrong numbers of each mode."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(case): {
                current(str(mode)): {
                    "count": int(found["count"]),
                    "elements": [
                        (current_in_text(str(w)), tuple(map(int, at)), float(got))
                        for w, at, got in found["elements"]
                    ],
                }
                for mode, found in modes.items()
            }
            for case, modes in data.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DeviationsFileError(f"{where}: its numbers {path} cannot be read: {error}") from error
