"""The command ``refgrad accept``: records failures of a run as entries of a deviations file, with their evidence."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from refgrad import console, report
from refgrad.encode import number
from refgrad.errors import ArgumentError
from refgrad.modes import FORWARD, FORWARD_END_TO_END, REVERSE, REVERSE_END_TO_END
from refgrad.records import ERROR, Result
from refgrad.report.analysis.run import Run
from refgrad.report.storage.details import in_full
from refgrad.report.storage.files import write_atomically
from refgrad.testing.deviations.file import load
from refgrad.testing.deviations.narrowing import first_line
from refgrad.testing.deviations.releases import DEFAULT, numbers

Group = tuple[str, str, str]  # the op; "error", "note" or ""; the message of the error, or the note
Numbers = dict[str, dict[str, dict[str, object]]]  # by case and mode


def accept(
    paths: Sequence[str], reason: str, to: str, ops: Sequence[str] = (), ids: Sequence[str] = ()
) -> int:
    """Write an entry for each op and kind of failure. An entry excuses the recorded cases and numbers, and no other failure.

    ``ops`` and ``ids`` (beginnings of case ids) select failures. Returns the exit code. Raises ArgumentError where no failure is selected.
    """
    run = report.merge([report.load(path) for path in paths])
    file = Path(to)
    known = {d.id for d in load(file)} if file.exists() else set()
    groups = _groups(in_full(run, _chosen(run, ops, ids)))
    if not groups:
        what = " of these ops or ids" if ops or ids else ""
        tests = sum(r.failed and r.outline is None for r in run.results)
        apart = (
            f"; {tests} failed without a case, as checks in tests do: such a test says itself what it expects"
        )
        raise ArgumentError(
            f"{', '.join(paths)}: there is no failure{what} to accept, of {run.tally.results} results{apart if tests else ''}; "
            "nothing was written"
        )
    if not reason.strip():
        raise ArgumentError(
            "--reason is empty; say why these failures are accepted, for whoever reads the file"
        )
    release = ".".join(map(str, numbers(run.header.release)))
    folder, blocks = file.parent / file.stem, []
    folder.mkdir(parents=True, exist_ok=True)
    for (op, kind, text), results in sorted(groups.items()):
        name = _free(f"{_plain(op)}{f'-{kind}' if kind else ''}", known)
        known.add(name)
        smallest = min(results, key=lambda r: (*r.size_key, r.order))
        write_atomically(folder / f"{name}.json", json.dumps(dict(smallest.case), sort_keys=True) + "\n")
        write_atomically(
            folder / f"{name}.numbers.json", json.dumps(_numbers(results), sort_keys=True) + "\n"
        )
        blocks.append(_block(name, op, kind, text, results, reason, release, folder.name, run.header.backend))
        cases = f"{len({r.id for r in results})} cases, {len(results)} results"
        print(console.printable(f"{name}: {text or 'wrong numbers'} of {op}; {cases}"))
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    write_atomically(
        file, before + ("\n" if before and not before.endswith("\n\n") else "") + "\n".join(blocks)
    )
    print(f"{len(blocks)} entr{'ies' if len(blocks) != 1 else 'y'} in {file}, evidence in {folder}")
    if run.crashes:
        print(
            f"{len(run.crashes)} crashed items are not among them: a crash has no verdict that could be accepted"
        )
    return 0


def _chosen(run: Run, ops: Sequence[str], ids: Sequence[str]) -> list[Result]:
    """The selected failures, without end-to-end results of cases that also fail node by node in that direction."""
    failed = {(r.id, r.mode) for r in run.results if r.failed}
    base = {REVERSE_END_TO_END: REVERSE, FORWARD_END_TO_END: FORWARD}
    return [
        r
        for r in run.results
        if r.failed
        and r.outline is not None
        and (not ops or {*r.op.split(" or ")} & {*ops})
        and (not ids or any(r.id.startswith(i) for i in ids))
        and (r.id, base.get(r.mode, "")) not in failed
    ]


def _groups(results: Iterable[Result]) -> dict[Group, list[Result]]:
    found: dict[Group, list[Result]] = defaultdict(list)
    for r in results:
        if r.status == ERROR:
            found[r.op, "error", first_line(r.reason)].append(r)
        elif not r.worst_elements:
            found[r.op, "note", r.message.partition(f" on {r.device}: ")[2]].append(r)
        else:
            found[r.op, "", ""].append(r)
    return dict(found)


def _numbers(results: Iterable[Result]) -> Numbers:
    """By case and mode, the count of wrong elements and the worst of them, as plain data."""
    found: Numbers = defaultdict(dict)
    for r in results:
        elements = [[e.what, list(e.element), number(e.got)] for e in r.worst_elements]
        found[r.id][r.mode] = {"count": r.wrong, "elements": elements}
    return found


def _block(
    name: str,
    op: str,
    kind: str,
    text: str,
    results: Sequence[Result],
    reason: str,
    release: str,
    folder: str,
    backend: str,
) -> str:
    """An entry as TOML. TOML reads strings and lists of strings as JSON writes them."""
    ops = {part for r in results for e in r.worst_elements for part in e.op.split(" or ")} | {
        *op.split(" or ")
    }
    where = {f"{key}s": sorted({getattr(r, key) for r in results}) for key in ("mode", "dtype", "device")}
    entry: dict[str, object] = {
        "id": name,
        "ops": sorted(ops - {""}),
        **where,
        "families": sorted({r.family for r in results}),
        **({kind: text} if kind else {}),
        "numbers": f"{folder}/{name}.numbers.json",
        "seen": [release, release],
        "reason": reason,
        "link": f"{folder}/{name}.json",
        "case": f"{folder}/{name}.json",
        **({"backend": backend} if backend != DEFAULT else {}),
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()]
    return "\n".join(["[[deviation]]", *lines]) + "\n"


def _plain(op: str) -> str:
    return re.sub(r"\W+", "-", op).strip("-") or "unnamed"


def _free(name: str, taken: set[str]) -> str:
    """The name, with the smallest number appended that makes it unique where it is taken."""
    k = 1
    while (found := name if k == 1 else f"{name}-{k}") in taken:
        k += 1
    return found
