"""The command ``refgrad conformance``: plans a run, judges, writes the report."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from refgrad import __version__, backends, console
from refgrad.backends import Backend
from refgrad.errors import ArgumentError, CaseFileError, ResultsWriteError
from refgrad.exit_codes import PROVED_NOTHING
from refgrad.records import Crash, End, Header, Plan, Record, Rounding
from refgrad.suite.address import address
from refgrad.suite.announced_exit import announced_exit
from refgrad.suite.machine import environment
from refgrad.suite.resumption import Interrupted, check_same, interrupted, prepare
from refgrad.suite.scope import Scope, location, scope
from refgrad.suite.selection import Failures, check_repeats, last_failures
from refgrad.suite.session import Lists, measured_seconds, one_session, rounds
from refgrad.suite.several import addresses, labels, shared_scopes
from refgrad.suite.summary import comparison_line, summary_line
from refgrad.testing.deviations.file import all_of, concerning
from refgrad.testing.runs import in_flight
from refgrad.testing.runs.folder_lock import locked
from refgrad.testing.runs.item import BLOCK
from refgrad.testing.runs.plan import name_of_test
from refgrad.testing.runs.results import ResultsFile, crash_records, now, running_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refgrad.report import Outputs, Run
    from refgrad.suite.progress import Progress


def run(args: argparse.Namespace) -> int:
    """The command ``refgrad conformance``. Returns the exit code: 0 agree, 1 disagree or error, 3 the run proved nothing."""
    from refgrad import report

    found = [backends.load(address(args, name)) for name in addresses(args.backend)]
    if len(found) > 1:
        return _run_several(args, found)
    out = Path(args.out)
    path = out / "results.jsonl"
    plan = _plan(args, found[0], path)
    # Read before the previous results are renamed, because they may be the baseline.
    outputs = report.Outputs.wanted(
        (out / "report.html").resolve(),
        [str(path)],
        args.baseline,
        args.junit,
        args.gitlab,
        args.github,
        fail_on=args.fail_on,
    )
    judged = _run_one(path, plan, outputs)
    return PROVED_NOTHING if judged is None else judged[1]


def _run_one(path: Path, plan: _Planned, outputs: Outputs) -> tuple[Run, int] | None:
    """Judge what is planned, and write the outputs. Returns the run and its exit code; None where it was interrupted before its report."""
    from refgrad import report

    began = time.monotonic() - (plan.earlier.seconds if plan.earlier else 0.0)
    with locked(path.parent), announced_exit(path):
        try:
            complete = plan.earlier is not None and plan.earlier.complete
            found = (None if complete else _judge(path, plan)) or _written(path)
            seconds = time.monotonic() - began
            code = report.publish(found, outputs)
        except KeyboardInterrupt:
            where = (
                f"; what was judged is in {path}. `refgrad report` makes a page of it, and --resume goes on"
                if path.exists()
                else ""
            )
            print(f"refgrad: interrupted{where}", file=sys.stderr)
            return None
        return found, report.print_last(summary_line(found, code, outputs.page, seconds), code)


def _run_several(args: argparse.Namespace, found: Sequence[Backend]) -> int:
    """Judge the same cases on several backends, one after the other, and compare them. Returns the exit code of the comparison."""
    from refgrad import report

    out = Path(args.out).resolve()
    folders = report.folder_names(labels(found))
    paths = {label: out / folder / "results.jsonl" for label, folder in folders.items()}
    if args.resume and args.seed is None:
        begun = [path for path in paths.values() if path.exists()]
        args.seed = int(report.header_of(begun[0]).seed or 0) if begun else None
    scopes = zip(paths.items(), found, shared_scopes(args, found), strict=True)
    plans = {label: _plan(args, backend, path, wanted) for (label, path), backend, wanted in scopes}
    outputs = report.outputs_by_backend(
        out / "report.html",
        {label: [str(path)] for label, path in paths.items()},
        args.baseline,
        args.junit,
        args.gitlab,
        args.github,
        fail_on=args.fail_on,
    )
    runs: dict[str, Run] = {}
    codes: dict[str, int] = {}
    for label, plan in plans.items():
        print(
            console.printable_line(f"refgrad: {label}, {len(runs) + 1} of {len(plans)} backends"),
            file=sys.stderr,
        )
        judged = _run_one(paths[label], plan, outputs[label])
        if judged is not None:
            runs[label], codes[label] = judged
        if judged is None or judged[0].end is None:
            break  # interrupted: --resume goes on with this backend
    if not runs:
        return PROVED_NOTHING
    code = report.publish_comparison(runs, codes, out / "report.html")
    return report.print_last(comparison_line(runs, codes, code, out / "report.html"), code)


@dataclass(frozen=True, slots=True)
class _Planned:
    """What a command runs.

    scope         the families, dtypes, devices and numbers of cases
    header        the first line of the results
    failures      the failures of the last run, where these are to be judged again
    earlier       the interrupted run that is resumed
    options       further options of pytest
    max_failures  the number of failures after which no item begins; None: no limit
    """

    scope: Scope
    header: Header
    failures: Failures | None
    earlier: Interrupted | None
    options: list[str]
    max_failures: int | None


def _plan(args: argparse.Namespace, backend: Backend, path: Path, wanted: Scope | None = None) -> _Planned:
    """What the options ask for. ``wanted`` is the scope that a backend shares with others.

    Raises ArgumentError where options exclude each other, or do not fit the run that is resumed.
    """
    if args.last_failed and (
        args.resume or args.family or args.op or args.examples or args.shard or args.budget
    ):
        raise ArgumentError(
            "--last-failed judges the failures of the last run, whatever they are: leave out --resume, --family, --op, --examples, --shard "
            "and --for"
        )
    earlier = interrupted(path) if args.resume else None
    if args.resume and earlier is None:
        print(f"refgrad: --resume: there is no {path}: the run begins anew", file=sys.stderr)
    if earlier is not None and args.seed is None:
        args.seed = int(earlier.header.seed or 0)
    failures = last_failures(path) if args.last_failed else None
    if failures is not None:
        check_repeats(failures.header, backend, args.device or (), args.dtype or ())
    wanted = wanted or scope(args, backend)
    if failures is not None:
        wanted = wanted.of_failures(failures)
    elif wanted.left_out:
        families = ", ".join(wanted.left_out)
        who = "one of the backends" if wanted.beside else backend.name
        print(
            f"refgrad: {who} lacks the ops of the families {families}: they are left out",
            file=sys.stderr,
        )
    entries = concerning(
        all_of(location()[1] / "deviations.toml", args.deviations, backend.name), backend.replaced
    )
    header = Header(
        refgrad=__version__,
        started=now(),
        command=("refgrad", *sys.argv[1:]),
        seed=str(wanted.seed),
        profile=wanted.profile,
        families=tuple(wanted.families),
        dtypes=tuple(wanted.dtypes),
        devices=tuple(wanted.devices),
        modes=tuple(wanted.modes),
        examples="" if wanted.budget or failures else str(wanted.examples),
        workers=str(wanted.workers),
        shard=str(wanted.shard or ""),
        missing=tuple(wanted.missing.items()),
        deviations=tuple((d.id, d.reason, d.link) for d in entries),
        environment=environment(backend),
        backend=backend.name,
        calls=backend.calls(),
        present={name: backend.describe(name) for name in sorted({*backend.known_devices, *wanted.devices})},
        ops=tuple(wanted.ops),
        budget=f"{wanted.budget:g}" if wanted.budget else "",
        beside=wanted.beside,
        left_out=wanted.lacking,
        rounding={device: Rounding.of(backend.profile(device)) for device in wanted.devices},
        address=backend.address,
    )
    if earlier is not None:
        check_same(earlier.header, header)
    limit = backend.time_limit if args.time_limit is None else args.time_limit
    options = [f"--refgrad-time-limit={limit}"] if limit else []
    options += [f"--refgrad-deviations={Path(file).resolve()}" for file in args.deviations]
    return _Planned(wanted, header, failures, earlier, options, args.max_failures)


def _judge(path: Path, plan: _Planned) -> Run | None:
    """Run the suite into a results file. Returns the run in it.

    If pytest ends early, the file has no end line and is to be read as a partial run: None.
    """
    from refgrad.suite.progress import Progress

    wanted, earlier = plan.scope, plan.earlier
    if wanted.workers:
        wanted.backend.suspend()
    order = measured_seconds(path)
    if earlier is not None:
        prepare(path, earlier)
    results = ResultsFile(path, fresh=earlier is None)
    before = 0.0 if earlier is None else earlier.seconds
    try:
        if earlier is None:
            results.write(plan.header)
        start = time.monotonic()
        ended = earlier.ended if earlier else frozenset()
        lists = Lists(path, order, ended, plan.failures, wanted.shared)
        planned = bool(wanted.budget or (earlier and earlier.planned))
        progress = Progress(wanted.cases, results, plan.max_failures, wanted.budget, planned, ended, before)
        if wanted.budget:
            status, done = rounds(path, wanted, plan.options, lists, progress, before)
            _write_rounds(results, wanted, progress, ended, done)
        else:
            status = one_session(path, wanted, plan.options, lists, progress)
        progress.finish()
        seconds = round(before + time.monotonic() - start, 1)
        return _conclude(results, progress, wanted.backend, status, seconds)
    except ResultsWriteError as error:  # the results so far are reported as a partial run
        if not path.exists() or not path.stat().st_size:
            raise
        print(f"refgrad: {error}", file=sys.stderr)
        return None
    finally:
        results.close()


def _write_rounds(
    results: ResultsFile, wanted: Scope, progress: Progress, ended: frozenset[str], done: int
) -> None:
    """Record the items of the rounds that were opened as the plan of a run with a budget, and say how many they were."""
    blocks = progress.blocks
    results.write(Plan(tuple(sorted(name for name in progress.names | ended if blocks.get(name, -1) < done))))
    print(
        f"refgrad: {done} rounds of {BLOCK} cases in {wanted.budget:g} s: {done * BLOCK} cases of each family, dtype and device, "
        f"the same as --seed {wanted.seed} --examples {done * BLOCK} judges",
        file=sys.stderr,
    )


def _conclude(
    results: ResultsFile, progress: Progress, backend: Backend, status: int, seconds: float
) -> Run | None:
    """Record the cases during which processes died, and the end line. Returns the run.

    An interrupted run has no end line, and is to be read as a partial one: None.
    """
    import pytest

    from refgrad import report

    died = {name for name, _ in progress.lost}
    records: list[Record] = []
    for case in in_flight.unfinished_cases(results.path):
        failed = case.overdue or bool(died & {case.item, name_of_test(case.item)})
        records += crash_records(case, backend.address) if failed else [running_record(case)]
    records += [Crash("", name, why) for name, why in progress.lost]
    if status in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR):
        reason = f"pytest ended with exit code {status}; what it said stands on standard error"
        records.append(Crash("main", "pytest", reason))
    results.write(*records)
    if progress.unwritten:
        raise ResultsWriteError(progress.unwritten)
    in_flight.clear_cases(results.path)  # they are recorded; the journals stay until the end is
    if status == pytest.ExitCode.INTERRUPTED:
        return None
    found = _written(results.path)
    end = End(report.exit_code(found, complete=True), now(), seconds)
    results.write(end)
    in_flight.clear(results.path)
    return report.ended(found, end)


def _written(path: Path) -> Run:
    """The run in its own results file. Raises ResultsWriteError where somebody removed or changed the file during the run."""
    from refgrad import report

    try:
        return report.load(path)
    except CaseFileError as error:
        raise ResultsWriteError(f"{error}; it was removed or changed during the run") from error
