"""Several backends judged on the same cases: which of them agree with the derivative, case by case and op by op.

Each backend has a run of its own. A case's id is a hash of its content, so equal ids mean equal cases.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refgrad.records import DISAGREE, ERROR, FAILURES, IMPRECISE, KNOWN, UNDECIDED, UNSUPPORTED, Result
from refgrad.report.analysis.blame import Blame
from refgrad.report.analysis.case_tally import Entries
from refgrad.report.analysis.findings import JUDGED, Finding, findings
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import count, several
from refgrad.report.analysis.verdict import FAIL, NOTHING, PASS, exit_code

NOT_JUDGED = ""  # the status of a backend in a mode that it does not have, or on a case that it did not judge
_LISTED = (DISAGREE, ERROR, KNOWN)  # a case with one of these statuses has a row
_COUNTED = (DISAGREE, ERROR, KNOWN, IMPRECISE, UNDECIDED, UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class ComparedBackend:
    """One backend among several.

    label     what reports call it
    exit      the exit code of its run
    judged    cases of the set that it judged in at least one mode; those made by shrinking are not in the set
    cases     by status, the cases of the set with such a result
    findings  of its run
    """

    label: str
    run: Run
    exit: int
    judged: int
    cases: Mapping[str, int]
    findings: tuple[Finding, ...]

    def of(self, status: str) -> int:
        """Number of cases with a result of one status."""
        return self.cases.get(status, 0)


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

    shared    cases that every backend has a result for
    partly    cases that only some of them have a result for
    rows      sorted by op, then by case and mode
    left_out  by op, the backends that lack it; no case was drawn from these ops
    """

    backends: tuple[ComparedBackend, ...]
    shared: int
    partly: int
    rows: tuple[CaseRow, ...]
    left_out: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """What reports call the backends."""
        return tuple(b.label for b in self.backends)

    @property
    def exit(self) -> int:
        """1 where a backend disagrees or fails, 3 where one of them proved nothing or no case is common to all, else 0."""
        codes = {b.exit for b in self.backends}
        if FAIL in codes:
            return FAIL
        return PASS if codes == {PASS} and self.shared else NOTHING

    @property
    def sentence(self) -> str:
        """Who agrees with the derivative, in one sentence."""
        if not self.shared:
            return f"Nothing is compared: no case was judged on all of {_listed(self.labels)}."
        failing = [_failing(b) for b in self.backends if _failing(b)]
        agreeing = [b.label for b in self.backends if not _failing(b) and b.exit == PASS]
        nothing = [b.label for b in self.backends if not _failing(b) and b.exit != PASS]
        parts = list(failing)
        if agreeing:
            known = [
                f"{b.label} in {count(b.of(KNOWN))}"
                for b in self.backends
                if b.label in agreeing and b.of(KNOWN)
            ]
            but = f", but for known disagreements: {', '.join(known)}" if known else ""
            verb = "agrees" if len(agreeing) == 1 else "agree"
            parts.append(f"{_listed(agreeing)} {verb} with the derivative{but}")
        if nothing:
            parts.append(f"the {'run' if len(nothing) == 1 else 'runs'} of {_listed(nothing)} proved nothing")
        return f"Of {several(self.shared, 'case')} judged on all backends: {'; '.join(parts)}."

    @property
    def notes(self) -> tuple[str, ...]:
        """Restrictions of the comparison: partial runs, cases that not all judged, ops that were left out."""
        notes = [
            f"The run of {b.label} is partial; its own page says why." for b in self.backends if b.run.partial
        ]
        if self.partly:
            why = "the runs were made with other options, or one of them is partial"
            notes.append(
                f"{several(self.partly, 'case was', 'cases were')} judged on some of the backends only: {why}."
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


def compare_backends(runs: Mapping[str, Run]) -> BackendComparison:
    """Compare the runs of several backends, given by their labels."""
    drawn = {label: _drawn(run) for label, run in runs.items()}
    everywhere = set.intersection(*map(set, drawn.values())) if drawn else set()
    anywhere = set().union(*drawn.values())
    backends = tuple(_compared(label, run, drawn[label], everywhere) for label, run in runs.items())
    left_out: dict[str, str] = {}
    for run in runs.values():
        left_out |= run.header.left_out
    return BackendComparison(
        backends,
        len(everywhere),
        len(anywhere) - len(everywhere),
        _rows(backends, list(drawn.values())),
        left_out,
    )


def _drawn(run: Run) -> dict[str, Entries]:
    """The results of each case that is part of the set: of those made by shrinking, none."""
    found = {}
    for case, entries in run.tally.cases.items():
        kept = tuple(e for e in entries if not e.shrunk)
        if kept:
            found[case] = kept
    return found


def _compared(label: str, run: Run, drawn: Mapping[str, Entries], shared: set[str]) -> ComparedBackend:
    cases: Counter[str] = Counter()
    judged = 0
    for case in shared:
        statuses = {e.status for e in drawn[case]}
        judged += bool(statuses & JUDGED)
        cases.update(statuses & {*_COUNTED})
    return ComparedBackend(label, run, exit_code(run), judged, cases, findings(run))


def _rows(backends: Sequence[ComparedBackend], drawn: Sequence[Mapping[str, Entries]]) -> tuple[CaseRow, ...]:
    failing: dict[tuple[str, str], dict[int, Result]] = defaultdict(dict)
    ops: dict[tuple[str, str], list[str]] = defaultdict(list)
    for k, backend in enumerate(backends):
        blame = Blame(backend.run.results)
        for r in backend.run.results:
            if r.status in _LISTED and not r.shrunk:
                failing[r.id, r.mode].setdefault(k, r)
                ops[r.id, r.mode].append(blame.op(r) if r.status in FAILURES else r.op)
    rows = []
    for (case, mode), found in failing.items():
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


def _failing(backend: ComparedBackend) -> str:
    """How a backend fails, in words; empty where it does not."""
    if backend.exit != FAIL:
        return ""
    wrong, errors, crashes = backend.of(DISAGREE), backend.of(ERROR), len(backend.run.crashes)
    words = [f"disagrees in {count(wrong)}"] if wrong else []
    words += [f"has an error in {count(errors)}"] if errors else []
    words += [f"crashed in {several(crashes, 'test item')}"] if crashes else []
    return f"{backend.label} {' and '.join(words or ['fails beyond these cases'])}"


def _listed(names: Sequence[str]) -> str:
    """Names as part of a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
