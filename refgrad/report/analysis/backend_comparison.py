"""Several backends judged on the same cases: which of them agree with the derivative, case by case and op by op.

Each backend has a run of its own. A case's id is a hash of its content, so equal ids mean equal cases.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from refgrad.exit_codes import FAIL, PASS, PROVED_NOTHING
from refgrad.records import (
    DISAGREE,
    ERROR,
    FAILURES,
    IMPRECISE,
    KNOWN,
    UNDECIDED,
    UNSUPPORTED,
    Header,
    Result,
)
from refgrad.report.analysis.blame import END_TO_END, Blame
from refgrad.report.analysis.case_tally import Entries
from refgrad.report.analysis.findings import JUDGED
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import count, several
from refgrad.report.analysis.verdict import exit_code

NOT_JUDGED = ""  # the status of a backend in a mode that it does not have, or on a case that it did not judge
_LISTED = (DISAGREE, ERROR, KNOWN)  # a case with one of these statuses has a row
_COUNTED = (DISAGREE, ERROR, KNOWN, IMPRECISE, UNDECIDED, UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class ComparedBackend:
    """One backend among several.

    label   what reports call it
    run     its run
    common  the same run with the results alone that fail, are imprecise or known in a case that every backend has a result for
    exit    the exit code of its run and its outputs
    judged  of these cases, those that it judged in at least one mode
    cases   by status, these cases with such a result
    """

    label: str
    run: Run
    common: Run
    exit: int
    judged: int
    cases: Mapping[str, int]

    def of(self, status: str) -> int:
        """Number of cases with a result of one status."""
        return self.cases.get(status, 0)

    @property
    def failure(self) -> str:
        """How it fails, in words; empty where it does not."""
        wrong, errors, crashes = self.of(DISAGREE), self.of(ERROR), len(self.run.crashes)
        words = [f"disagrees in {count(wrong)}"] if wrong else []
        words += [f"has an error in {count(errors)}"] if errors else []
        words += [f"crashed in {several(crashes, 'test item')}"] if crashes else []
        return " and ".join(words or (["fails beyond these cases"] if self.exit == FAIL else []))


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case in a mode in which a backend fails, or disagrees as it is recorded.

    op        the op to which the failing backends attribute it, joined by " / " where they differ
    statuses  of each backend, NOT_JUDGED where it has no result
    failing   the failing or known results, by the number of the backend
    """

    id: str
    family: str
    dtype: str
    device: str
    mode: str
    op: str
    statuses: tuple[str, ...]
    failing: Mapping[int, Result]


@dataclass(frozen=True, slots=True)
class BackendComparison:
    """The comparison of several backends.

    shared       cases that every backend has a result for; cases made by shrinking are left out
    partly       cases that only some of them have a result for, such as the evidence of recorded disagreements
    differences  options in which the runs differ, in words
    rows         sorted by op, then by case and mode; none from end to end where the same backends fail node by node
    left_out     by op, the backends that lack it; no case was drawn from these ops
    absent       the backends whose results are missing, of those that were to judge the same cases
    """

    backends: tuple[ComparedBackend, ...]
    shared: int
    partly: int
    differences: tuple[str, ...]
    rows: tuple[CaseRow, ...]
    left_out: Mapping[str, str]
    absent: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """What reports call the backends."""
        return tuple(b.label for b in self.backends)

    @property
    def exit(self) -> int:
        """1 where a backend disagrees or fails; 3 where one is missing or proved nothing, or no case is common to all; else 0."""
        codes = {b.exit for b in self.backends}
        if FAIL in codes:
            return FAIL
        return PASS if codes == {PASS} and self.shared and not self.absent else PROVED_NOTHING

    @property
    def sentence(self) -> str:
        """Who agrees with the derivative, in one sentence."""
        if not self.shared:
            return f"Nothing is compared: no case was judged on all of {_listed(self.labels)}."
        parts = [f"{b.label} {b.failure}" for b in self.backends if b.failure]
        right = [b for b in self.backends if not b.failure and b.exit == PASS]
        nothing = [b.label for b in self.backends if not b.failure and b.exit != PASS]
        if right:
            known = [f"{b.label} in {count(b.of(KNOWN))}" for b in right if b.of(KNOWN)]
            but = f", but for known disagreements: {', '.join(known)}" if known else ""
            verb = "agrees" if len(right) == 1 else "agree"
            parts.append(f"{_listed([b.label for b in right])} {verb} with the derivative{but}")
        if nothing:
            parts.append(f"the {'run' if len(nothing) == 1 else 'runs'} of {_listed(nothing)} proved nothing")
        who = (
            f"{'all of ' if len(self.labels) > 1 else ''}{_listed(self.labels)}"
            if self.absent
            else "all backends"
        )
        return f"Of {several(self.shared, 'case')} that {who} judged: {'; '.join(parts)}."

    @property
    def notes(self) -> tuple[str, ...]:
        """Restrictions of the comparison: partial runs, failures that are not new, cases that not all judged."""
        notes = [f"The results of {_listed(self.absent)} are missing."] if self.absent else []
        notes += [
            f"The run of {b.label} is partial; its own page says why." for b in self.backends if b.run.partial
        ]
        notes += [
            f"The failures of {b.label} are not new against its baseline."
            for b in self.backends
            if b.failure and b.exit != FAIL
        ]
        if self.differences:
            cases = several(self.partly, "further case was", "further cases were")
            notes.append(
                f"The runs were made apart and differ in {', '.join(self.differences)}: {cases} judged on some of the backends only. "
                "One command for all backends draws from the ops that all of them have."
            )
        return tuple(notes)

    @property
    def left_out_by_backend(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The backends that lack an op, as they are named together, and the ops that they lack."""
        found: dict[str, list[str]] = defaultdict(list)
        for op in sorted(self.left_out):
            found[self.left_out[op]].append(op)
        return tuple(
            (names, tuple(ops)) for names, ops in sorted(found.items(), key=lambda x: (-len(x[1]), x[0]))
        )


def compare_backends(runs: Mapping[str, Run], exits: Mapping[str, int] | None = None) -> BackendComparison:
    """Compare the runs of several backends, given by their labels. ``exits`` are their exit codes, by default those of the runs."""
    exits = exits or {label: exit_code(run) for label, run in runs.items()}
    drawn = {label: _drawn(run) for label, run in runs.items()}
    everywhere = set.intersection(*map(set, drawn.values())) if drawn else set()
    anywhere = set().union(*drawn.values())
    backends = tuple(
        _compared(label, run, exits[label], drawn[label], everywhere) for label, run in runs.items()
    )
    left_out: dict[str, str] = {}
    for run in runs.values():
        left_out |= run.header.left_out
    return BackendComparison(
        backends=backends,
        shared=len(everywhere),
        partly=len(anywhere) - len(everywhere),
        differences=_differences([run.header for run in runs.values()]),
        rows=_rows(backends, list(drawn.values())),
        left_out=left_out,
        absent=tuple(
            dict.fromkeys(name for run in runs.values() for name in run.header.beside if name not in runs)
        ),
    )


def _differences(headers: Sequence[Header]) -> tuple[str, ...]:
    """The options in which runs differ, so that their cases do; none where one command made them all."""
    if headers[0].beside and all(
        h.beside == headers[0].beside and h.seed == headers[0].seed for h in headers
    ):
        return ()
    fields = (
        "refgrad",
        "seed",
        "families",
        "dtypes",
        "devices",
        "examples",
        "budget",
        "shard",
        "ops",
        "left_out",
    )
    found = [name.replace("_", " ") for name in fields if len({str(getattr(h, name)) for h in headers}) > 1]
    return tuple(found) or ("the ops of their backends",)


def _drawn(run: Run) -> dict[str, Entries]:
    """The results of each case that is part of the set: of those made by shrinking, none."""
    found = {}
    for case, entries in run.tally.cases.items():
        kept = tuple(e for e in entries if not e.shrunk)
        if kept:
            found[case] = kept
    return found


def _compared(
    label: str, run: Run, code: int, drawn: Mapping[str, Entries], shared: set[str]
) -> ComparedBackend:
    cases: Counter[str] = Counter()
    judged = 0
    for case in shared:
        statuses = {e.status for e in drawn[case]}
        judged += bool(statuses & JUDGED)
        cases.update(statuses & {*_COUNTED})
    common = tuple(r for r in run.results if r.id in shared and not r.shrunk)
    return ComparedBackend(label, run, replace(run, results=common), code, judged, cases)


def _rows(backends: Sequence[ComparedBackend], drawn: Sequence[Mapping[str, Entries]]) -> tuple[CaseRow, ...]:
    failing: dict[tuple[str, str], dict[int, Result]] = defaultdict(dict)
    ops: dict[tuple[str, str], list[str]] = defaultdict(list)
    for k, backend in enumerate(backends):
        blame = Blame(backend.run.results)
        for r in backend.common.results:
            if r.status in _LISTED:
                failing[r.id, r.mode].setdefault(k, r)
                ops[r.id, r.mode].append(blame.op(r) if r.status in FAILURES else r.op)
    rows = []
    for (case, mode), found in failing.items():
        if found.keys() == failing.get((case, END_TO_END.get(mode, "")), {}).keys():
            continue  # the row of the same direction node by node says more
        first = next(iter(found.values()))
        statuses = tuple(_status(entries.get(case, ()), mode) for entries in drawn)
        op = " / ".join(dict.fromkeys(filter(None, ops[case, mode])))
        rows.append(CaseRow(case, first.family, first.dtype, first.device, mode, op, statuses, found))
    return tuple(
        sorted(
            rows,
            key=lambda row: (all(r.status == KNOWN for r in row.failing.values()), row.op, row.id, row.mode),
        )
    )


def _status(entries: Entries, mode: str) -> str:
    """The status of a case in a mode; NOT_JUDGED where there is no result."""
    return next((e.status for e in entries if e.mode == mode), NOT_JUDGED)


def _listed(names: Sequence[str]) -> str:
    """Names as part of a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
