"""The list of expected refusals of a framework, by op, mode, dtype, kind of device and release.

A refusal in the list is `unsupported`. A refusal that is not in the list is an error, because the framework lost support. An answer where
the list expects a refusal is reported as news and does not fail the run.

A release that is not recorded is compared with the last recorded release before it. A kind of device that is not recorded is compared with
the cpu. The list says nothing about a function that a library provides in place of the framework's, or about a device that a package
registers: every refusal of these is accepted.
"""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from refgrad.bounds.formats import FORMATS, judged_on
from refgrad.errors import ArgumentError, DeviationsFileError
from refgrad.modes import FORWARD, FORWARD_END_TO_END, REVERSE, REVERSE_END_TO_END, current
from refgrad.records import News
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.releases import numbers
from refgrad.testing.judging.observation import NOT_ASKED
from refgrad.testing.judging.verdict import ERROR, UNDECIDED, UNSUPPORTED, Verdict

LOST = "lost support"  # the reason of an error by lost support begins with these words
_NODE_BY_NODE = {REVERSE_END_TO_END: REVERSE, FORWARD_END_TO_END: FORWARD}  # both modes refuse alike
_FIELDS = {"op": str, "modes": list, "dtypes": list, "device": str, "releases": list}


class Refusal(NamedTuple):
    """A derivative or kernel that a framework does not support."""

    op: str
    mode: str
    dtype: str
    device: str  # a kind: "cpu", "cuda"


Releases = frozenset[str]


def release(version: str) -> str:
    """The release to which a version belongs: "2.13" of "2.13.0+cpu". Raises ArgumentError where there is none."""
    major, minor, _ = numbers(version)
    return f"{major}.{minor}"


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("."))


@dataclass
class Support:
    """The expected refusals of one version of a framework; ``news`` collects answers where a refusal was expected.

    refusals  the releases in which each was seen
    recorded  by kind of device, the releases for which all ops, modes and dtypes were recorded
    version   the version of the judged framework
    replaced  the ops that a library's functions compute in place of the framework's
    kinds     the kinds of devices that the framework itself has; None: any
    """

    refusals: dict[Refusal, Releases]
    recorded: dict[str, Releases]
    version: str
    news: dict[Refusal, str] = field(default_factory=dict)
    replaced: Collection[str] = ()
    kinds: Collection[str] | None = None

    def about(self, op: str, device: str) -> bool:
        """Whether the list says anything about an op on a device."""
        return op not in self.replaced and (self.kinds is None or device.partition(":")[0] in self.kinds)

    def expects(self, op: str, mode: str, dtype: str, device: str) -> bool:
        """Whether the framework is expected to refuse this. A format that no CPU computes in is compared with the dtype that stores it."""
        kind = device.partition(":")[0]
        kind = kind if kind in self.recorded else "cpu"
        dtype = dtype if judged_on(kind, dtype) else FORMATS[dtype].storage
        place = Refusal(op, _NODE_BY_NODE.get(mode, mode), dtype, kind)
        return self._before(kind) in self.refusals.get(place, ())

    def _before(self, kind: str) -> str | None:
        """The recorded release to compare with: that of the version, else the last one before it, else the first one."""
        ours = _order(release(self.version))
        known = sorted(self.recorded.get(kind, ()), key=_order)
        return next((r for r in reversed(known) if _order(r) <= ours), known[0] if known else None)

    def check(self, case: Case, verdicts: Iterable[Verdict]) -> None:
        """Compare the refusals among the verdicts on one case with the list; one that is not in the list becomes an error, in place."""
        ops = [node.op.name for node in case.graph.nodes if node.op is not None]
        for v in verdicts:
            if v.status == UNSUPPORTED and v.reason != NOT_ASKED.words:
                op = v.first_wrong[1] if v.first_wrong else ""
                if self.about(op, case.device) and not self.expects(op, v.mode, case.dtype, case.device):
                    self._lost(case, v, op)
            elif v.status not in {UNSUPPORTED, UNDECIDED, ERROR} and len(ops) == 1:
                self._answered(case, v, ops[0])

    def _lost(self, case: Case, v: Verdict, op: str) -> None:
        v.status, v.reason = ERROR, f"{LOST}: {v.reason}"
        where = f"at op {op}" if op else "at no single op"
        v.message = (
            f"{v.mode}: {where}, {case.dtype} on {case.device}: {v.reason}; the list of what is unsupported expects an answer in "
            f"release {release(self.version)}"
        )

    def _answered(self, case: Case, v: Verdict, op: str) -> None:
        if self.about(op, case.device) and self.expects(op, v.mode, case.dtype, case.device):
            refusal = Refusal(op, v.mode, case.dtype, case.device.partition(":")[0])
            before = self._before(refusal.device) or self._before("cpu")
            text = f"{self.version} answers, for the arguments that were drawn, where {before} refused"
            self.news.setdefault(refusal, text)

    def lines(self) -> Iterator[News]:
        """The news since the last call, as lines of a results file."""
        for refusal, text in self.news.items():
            if text:
                yield News("support", f"{refusal.op} {refusal.mode} {refusal.dtype}", text)
        self.news.update(dict.fromkeys(self.news, ""))


def list_of(folder: Path, backend: str) -> Path | None:
    """The list of a backend in the folder of the suite; None where there is none, so that every refusal is accepted."""
    path = folder / ("unsupported.toml" if backend == "torch" else f"unsupported.{backend}.toml")
    return path if path.exists() else None


def load(
    path: str | Path, version: str, replaced: Collection[str] = (), kinds: Collection[str] | None = None
) -> Support:
    """Read the list for a version of the framework ("2.13.0+cpu"). Raises DeviationsFileError naming entry and field.

    ``replaced`` and ``kinds`` are the fields of Support.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DeviationsFileError(f"{path}: cannot be read: {error}") from error
    recorded, entries = data.get("recorded"), data.get("unsupported", [])
    if (
        data.keys() - {"recorded", "unsupported"}
        or not isinstance(recorded, dict)
        or not isinstance(entries, list)
    ):
        raise DeviationsFileError(
            f"{path}: expected a table [recorded] and [[unsupported]] entries alone, found {sorted(data)}"
        )
    refusals: dict[Refusal, Releases] = {}
    for k, entry in enumerate(entries):
        wrong = _wrong(entry)
        if wrong:
            raise DeviationsFileError(f"{path}: entry {k}: {wrong}")
        for mode in map(current, entry["modes"]):
            for dtype in entry["dtypes"]:
                place = Refusal(entry["op"], mode, dtype, entry["device"])
                refusals[place] = refusals.get(place, frozenset()) | _releases(path, entry["releases"])
    releases = {device: _releases(path, names) for device, names in recorded.items()}
    return Support(refusals, releases, version, replaced=replaced, kinds=kinds)


def _releases(path: Path, names: Iterable[Any]) -> Releases:
    try:
        return frozenset(release(str(name)) for name in names)
    except (ArgumentError, TypeError) as error:
        raise DeviationsFileError(f"{path}: {error}") from error


def _wrong(entry: Any) -> str:
    """What is wrong with an entry, for a message; empty where nothing is."""
    if not isinstance(entry, dict) or entry.keys() != _FIELDS.keys():
        return f"expected the fields {list(_FIELDS)}, got {sorted(entry) if isinstance(entry, dict) else entry!r}"
    for name, of in _FIELDS.items():
        value = entry[name]
        if not isinstance(value, of) or not value or not all(isinstance(x, str) and x for x in value):
            return f"{name} is a non-empty {'list of strings' if of is list else 'string'}, got {value!r}"
    return ""


def updated(support: Support, device: str, seen: Iterable[Refusal]) -> Support:
    """The list in which ``seen`` replaces the refusals recorded for this release on a kind of device."""
    now = release(support.version)
    found = set(seen)
    refusals = {}
    for place in {**support.refusals, **dict.fromkeys(found)}:
        releases = support.refusals.get(place, frozenset())
        if place.device == device:
            releases = releases | {now} if place in found else releases - {now}
        if releases:
            refusals[place] = releases
    recorded = {**support.recorded, device: support.recorded.get(device, frozenset()) | {now}}
    return Support(refusals, recorded, support.version)


def written(support: Support, head: str, modes: Iterable[str], dtypes: Iterable[str]) -> str:
    """The list as TOML under the comment ``head``. Refusals that differ only in modes and dtypes share an entry, in the given order."""
    alike: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for op, device in sorted({(p.op, p.device) for p in support.refusals}):
        for mode in modes:
            together: dict[tuple[str, ...], list[str]] = defaultdict(list)
            for dtype in dtypes:
                releases = support.refusals.get(Refusal(op, mode, dtype, device))
                if releases:
                    together[tuple(sorted(releases, key=_order))].append(dtype)
            for names, refused in together.items():
                alike[op, device, tuple(refused), names].append(mode)
    lines = [*(f"# {line}" for line in head.splitlines()), "", "[recorded]"]
    for device, recorded in sorted(support.recorded.items()):
        lines.append(f"{device} = {_list(sorted(recorded, key=_order))}")
    for (op, device, among, names), those in alike.items():
        lines += [
            "",
            "[[unsupported]]",
            f'op = "{op}"',
            f"modes = {_list(those)}",
            f"dtypes = {_list(among)}",
        ]
        lines += [f'device = "{device}"', f"releases = {_list(names)}"]
    return "\n".join(lines) + "\n"


def _list(names: Iterable[str]) -> str:
    return json.dumps(list(names))
