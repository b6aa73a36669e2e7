"""Merging of runs: the shards of one run, or runs with one seed on different devices."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from refgrad.errors import ArgumentError
from refgrad.records import Audit, End, Header
from refgrad.records.shards import Shard
from refgrad.report.analysis.news import worth_telling
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.tally import Tally
from refgrad.report.analysis.verdict import exit_code


def merge(runs: Sequence[Run]) -> Run:
    """One run with the results of all. Merging the shards of a run gives the results of the undivided run.

    A merged run keeps its parts, and merging starts from the parts of all runs given. Therefore the order of merging does not matter, and
    a run given twice counts once. A missing shard is named in ``absent`` and makes the run partial. Raises ArgumentError where the runs do
    not belong together: different seeds, profiles or versions of refgrad, or two runs of the same part.
    """
    if not runs:
        raise ArgumentError("no results were given; at least one results file is expected")
    runs = _parts(runs)
    if len(runs) == 1 and not runs[0].header.shard:
        return runs[0]
    _check_same_run(runs)
    audits: dict[tuple[bool, str, str, str], Audit] = {}
    for a in (a for run in runs for a in run.audits):
        audits[a.key] = a + audits[a.key] if a.key in audits else a
    refused = frozenset().union(*(run.refused for run in runs))
    tally = Tally()
    for run in runs:
        tally.update(run.tally)
    run = Run(
        header=_header([run.header for run in runs]),
        results=tuple(sorted((r for run in runs for r in run.results), key=lambda r: r.order)),
        tally=tally,
        audits=tuple(sorted(audits.values(), key=lambda a: a.key)),
        crashes=tuple(
            sorted((c for run in runs for c in run.crashes), key=lambda c: (c.item, c.worker, c.reason))
        ),
        end=None,
        truncated=any(run.truncated for run in runs),
        textbook_items=tuple(
            sorted((x for run in runs for x in run.textbook_items), key=lambda x: (x.place, x.id))
        ),
        measured=tuple(sorted(x for run in runs for x in run.measured)),
        running=tuple(sorted((c for run in runs for c in run.running), key=lambda c: (c.item, c.id))),
        items=tuple(sorted(i for run in runs for i in run.items)),
        news=worth_telling((n for run in runs for n in run.news), refused),
        refused=refused,
        planned=sum(run.planned for run in runs),
        unfinished=tuple(sorted(name for run in runs for name in run.unfinished)),
        absent=tuple(_absent(runs)),
        parts=tuple(runs),
    )
    return replace(run, end=_end(run, runs))


def merge_by_backend(runs: Sequence[Run]) -> dict[str, Run]:
    """By label of a backend, one run with the results of all its runs.

    The order is that of the command that judged all of them; where they were judged apart, that in which they are given. Raises
    ArgumentError where the runs of one backend do not belong together.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.header.label, []).append(run)
    order = [label for label in runs[0].header.beside if label in found] if runs else []
    return {label: merge(found[label]) for label in dict.fromkeys([*order, *found])}


def _parts(runs: Sequence[Run]) -> list[Run]:
    """The distinct unmerged runs, in an order that does not depend on that of ``runs``."""
    parts = [part for run in runs for part in run.parts or (run,)]
    if len(parts) == 1:
        return parts
    found: dict[bytes | int, Run] = {}
    for part in parts:
        found.setdefault(_digest(part) or id(part), part)
    return sorted(found.values(), key=_sort_key)


def _digest(run: Run) -> bytes:
    return b"" if run.lines is None else run.lines.digest


def _sort_key(run: Run) -> tuple[tuple[str, ...] | Shard | str | bytes, ...]:
    h = run.header
    return (
        h.devices,
        Shard.read(h.shard) if h.shard else Shard(1, 1),
        h.families,
        h.dtypes,
        h.started,
        b"" if run.lines is None else run.lines.first,
        _digest(run),
    )


def _end(run: Run, parts: Sequence[Run]) -> End | None:
    """The end of the merged run; None where a part has none."""
    ends = [part.end for part in parts if part.end is not None]
    if len(ends) < len(parts):
        return None
    code = max(map(_code_beyond_results, parts)) or exit_code(run, complete=True)
    return End(code, max(end.finished for end in ends), math.fsum(end.seconds for end in ends))


def _replaced(run: Run) -> tuple[str, ...]:
    """The functions that the run judged in the place of torch's own: "op=module:function"."""
    query = run.header.address.partition("?")[2]
    return tuple(value for key, value in parse_qsl(query) if key == "replace")


def _check_same_run(runs: Sequence[Run]) -> None:
    for what in ("refgrad", "seed", "profile", "backend"):
        found = {str(getattr(run.header, what)): run for run in reversed(runs)}
        if len(found) > 1:
            values = " and ".join(map(repr, reversed(found)))
            files = _files(list(found.values())[::-1])
            raise ArgumentError(
                f"these are not parts of one run: {what} is {values}{files}. Two runs are compared with --baseline"
            )
    replaced = {", ".join(sorted(_replaced(run))) or "nothing": run for run in reversed(runs)}
    if len(replaced) > 1:
        raise ArgumentError(
            f"these are not parts of one run: --replace puts {' and '.join(list(replaced)[::-1])} in the place of torch's functions"
            f"{_files(list(replaced.values())[::-1])}. Two runs are compared with --baseline"
        )
    seen: dict[tuple[str, str, str, str], Run] = {}
    for run in runs:
        h = run.header
        judged_here = {(h.shard, f, d, v) for f in h.families for d in h.dtypes for v in h.devices}
        shared = judged_here & seen.keys()
        if shared:
            shard, *names = min(shared)
            part = f"shard {shard}" if shard else " ".join(names)
            files = _files([seen[min(shared)], run])
            raise ArgumentError(
                f"two runs of {part} were given{files}: its results would count double. Two runs are compared with --baseline"
            )
        seen |= dict.fromkeys(judged_here, run)


def _files(runs: Sequence[Run]) -> str:
    """The files of the runs, in parentheses; "" where all runs are from one file."""
    names = list(dict.fromkeys(run.source for run in runs))
    return f" ({', '.join(names)})" if len(names) > 1 and all(names) else ""


def _absent(runs: Sequence[Run]) -> list[str]:
    """The missing shards. Runs that requested different things were divided separately, so each of them has shards of its own."""
    given: dict[tuple[str, ...], dict[Shard, Run]] = defaultdict(dict)
    for run in runs:
        given[_requested(run.header)][Shard.read(run.header.shard) if run.header.shard else Shard(1, 1)] = run
    absent = []
    for requested, shards in given.items():
        counts = {s.count for s in shards}
        if len(counts) > 1:
            raise ArgumentError(
                f"these are parts of runs that were divided differently: {', '.join(map(str, sorted(shards)))}"
                + _files([shards[s] for s in sorted(shards)])
            )
        among = "" if len(given) == 1 else f" of {', '.join(filter(None, requested))}"
        absent += [
            f"{s}{among}"
            for k in range(1, counts.pop() + 1)
            if (s := Shard(k, max(shards).count)) not in shards
        ]
    return absent


def _requested(head: Header) -> tuple[str, ...]:
    """What runs that were divided together have in common, in words. Builds of one release of a backend count as equal."""
    examples = f"{head.examples} examples" if head.examples else ""
    release = head.release.partition("+")[0]
    lists = (" ".join(head.devices), " ".join(head.families), " ".join(head.ops), " ".join(head.dtypes))
    without = f"without {' '.join(head.left_out)}" if head.left_out else ""
    return (*lists, examples, without, f"{head.backend} {release}" if release else "")


def _code_beyond_results(run: Run) -> int:
    """The exit code of a part where its results do not imply it, else 0. Codes that results imply are determined anew over all parts."""
    assert run.end is not None
    implied = exit_code(replace(run, end=None), complete=True)
    return run.end.exit if run.end.exit != implied else 0


def _header(headers: Sequence[Header]) -> Header:
    first = headers[0]
    return replace(
        first,
        started=min(h.started for h in headers),
        command=_joined_commands(
            [_without_shard_options(h.command) if h.shard else h.command for h in headers]
        ),
        families=_union(h.families for h in headers),
        dtypes=_union(h.dtypes for h in headers),
        devices=_union(h.devices for h in headers),
        modes=_union(h.modes for h in headers),
        ops=_union(h.ops for h in headers) if all(h.ops for h in headers) else (),
        environment=_union_of_tables([h.environment for h in headers]),
        present=_union_of_tables([h.present for h in headers]),
        deviations=tuple(dict.fromkeys(d for h in headers for d in h.deviations)),
        shard="",
        missing=tuple(dict.fromkeys(m for h in headers for m in h.missing)),
        rounding={device: found for h in reversed(headers) for device, found in h.rounding.items()},
    )


def _without_shard_options(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command without the options that differ from shard to shard."""
    kept: list[str] = []
    skip = False
    for word in command:
        if not skip and word not in ("--shard", "--out") and not word.startswith(("--shard=", "--out=")):
            kept.append(word)
        skip = not skip and word in ("--shard", "--out")
    return tuple(kept)


def _joined_commands(commands: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    found = list(dict.fromkeys(commands))
    return tuple(word for k, command in enumerate(found) for word in [*([";"] if k else []), *command])


def _union(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))


def _union_of_tables(tables: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """By key, the distinct values of the tables. A value that begins with "not " is left out where another table has one that does not."""
    joined = {}
    for key in sorted({key for table in tables for key in table}):
        values = list(dict.fromkeys(table[key] for table in tables if key in table))
        joined[key] = " / ".join([v for v in values if not v.startswith("not ")] or values)
    return joined
