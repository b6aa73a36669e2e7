"""Runs the conformance suite: starts pytest with workers, shows the progress, writes the report."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np

from refgrad import __version__, backends
from refgrad.backends import Backend
from refgrad.errors import ResultsWriteError
from refgrad.records import Crash, End, Header, Record
from refgrad.suite.scope import TEXTBOOK, Scope, location, scope
from refgrad.testing.deviations.file import all_of
from refgrad.testing.runs import in_flight
from refgrad.testing.runs.folder_lock import locked
from refgrad.testing.runs.plan import name_of_test
from refgrad.testing.runs.results import ResultsFile, crash_records, now, running_record

if TYPE_CHECKING:
    from refgrad.suite.progress import Progress

GENERATED, WRITTEN = ("test_families.py", "test_mutants.py"), ("test_textbook.py",)  # the parts of a run
_PLUGINS = ("refgrad.pytest_plugin", "no:terminal", "no:cacheprovider", "no:faulthandler")
PROVED_NOTHING = 3  # the exit code of a run without a verdict


def run(args: argparse.Namespace) -> int:
    """The command ``refgrad conformance``. Returns the exit code: 0 agree, 1 disagree or error, 3 the run proved nothing."""
    from refgrad import report

    backend = backends.load(args.backend)
    wanted = scope(args, backend)
    entries = all_of(location()[1] / "deviations.toml", args.deviations, backend.name)
    out = Path(args.out)
    path = out / "results.jsonl"
    outputs = report.Outputs.wanted(
        (out / "report.html").resolve(),
        [str(path)],
        args.baseline,
        args.junit,
        args.gitlab,
        args.github,
        fail_on=args.fail_on,
    )  # read before the previous results are renamed, because they may be the baseline
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
        examples=str(wanted.examples),
        workers=str(wanted.workers),
        shard=str(wanted.shard or ""),
        missing=tuple(wanted.missing.items()),
        deviations=tuple((d.id, d.reason, d.link) for d in entries),
        environment=environment(backend),
        backend=backend.name,
        calls=backend.calls(),
        present={name: backend.describe(name) for name in sorted({*backend.known_devices, *wanted.devices})},
    )
    arguments = _pytest_arguments(path, wanted)
    arguments += [f"--refgrad-time-limit={args.time_limit}"] if args.time_limit else []
    arguments += [f"--refgrad-deviations={Path(path).resolve()}" for path in args.deviations]
    with locked(out):
        try:
            _judge(path, header, arguments, wanted)
            return report.publish(report.load(path), outputs)
        except KeyboardInterrupt:
            where = (
                f"; what was judged is in {path}, and `refgrad report` makes a page of it"
                if path.exists()
                else ""
            )
            print(f"refgrad: interrupted{where}", file=sys.stderr)
            return PROVED_NOTHING


def _judge(path: Path, header: Header, arguments: list[str], wanted: Scope) -> None:
    """Run the suite into a new results file. If pytest ends early, the file has no end line and is read as a partial run."""
    import pytest

    from refgrad.suite.progress import Progress

    results = ResultsFile(path, fresh=True)
    try:
        results.write(header)
        start = time.monotonic()
        progress = Progress(wanted.cases, results)
        with _signals_interrupt(), _no_other_plugins():
            try:
                status = int(pytest.main(arguments, plugins=[progress]))
            except KeyboardInterrupt:  # a second Ctrl-C, while pytest stops the workers
                status = int(pytest.ExitCode.INTERRUPTED)
        progress.finish()
        _conclude(results, progress, wanted.backend, status, round(time.monotonic() - start, 1))
    except ResultsWriteError as error:  # the results so far are reported as a partial run
        if not path.exists() or not path.stat().st_size:
            raise
        print(f"refgrad: {error}", file=sys.stderr)
    finally:
        results.close()


def _conclude(
    results: ResultsFile, progress: Progress, backend: Backend, status: int, seconds: float
) -> None:
    """Record the cases during which processes died, and the end line. An interrupted run has no end line."""
    import pytest

    from refgrad import report

    died = {name for name, _ in progress.lost}
    records: list[Record] = []
    for case in in_flight.unfinished_cases(results.path):
        failed = case.overdue or name_of_test(case.item) in died
        records += crash_records(case, backend.address) if failed else [running_record(case)]
    records += [Crash("", name, why) for name, why in progress.lost]
    if status in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR):
        reason = f"pytest ended with exit code {status}; what it said stands on standard error"
        records.append(Crash("main", "pytest", reason))
    results.write(*records)
    if progress.unwritten:
        raise ResultsWriteError(progress.unwritten)
    if status != pytest.ExitCode.INTERRUPTED:
        code = report.exit_code(report.load(results.path), complete=True)
        results.write(End(code, now(), seconds))
    in_flight.clear(results.path)


@contextlib.contextmanager
def _no_other_plugins() -> Iterator[None]:
    """Exclude installed pytest plugins and PYTEST_ADDOPTS from the run, because they could change it or deselect items.

    The plugin of refgrad is passed by -p. REFGRAD_PYTEST_ADDOPTS replaces PYTEST_ADDOPTS; the tests use it to shorten runs.
    """
    settings = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": os.environ.get("REFGRAD_PYTEST_ADDOPTS", ""),
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Treat SIGTERM, by which CI systems cancel jobs, as Ctrl-C: the results so far are reported.

    The same applies to SIGHUP (the terminal was closed), unless the signal is ignored (nohup).
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, before[number])


def _pytest_arguments(path: Path, wanted: Scope) -> list[str]:
    """The command line of pytest for a run whose results file is ``path``."""
    _, folder = location()
    options: dict[str, Sequence[object]] = {
        "backend": [wanted.backend.address],
        "family": wanted.families,
        "op": wanted.ops,
        "dtype": wanted.dtypes,
        "device": wanted.devices,
        "examples": [wanted.examples],
        "seed": [wanted.seed],
        "shard": [wanted.shard] if wanted.shard else [],
        "results": [path.resolve()],
    }
    arguments = [
        *[str(folder / name) for name in _parts(wanted.families)],
        *[f"-p{name}" for name in _PLUGINS],
        f"-c{os.devnull}",
        "-Wignore",  # overrides python -W and PYTHONWARNINGS, which could turn warnings into failures
        f"--confcutdir={folder}",  # an environment may be inside a project whose conftest.py must not apply
        f"--rootdir={folder}",
        "--import-mode=importlib" if folder.name == "_suite" else "--import-mode=prepend",
        *[f"--refgrad-{name}={value}" for name, values in options.items() for value in values],
    ]
    if wanted.workers:  # also for one worker, so that its crash does not end the run
        sole = any(d != "cpu" for d in wanted.devices)  # one process at a time uses a GPU
        arguments += ["-p", "xdist.plugin", "-n", str(1 if sole else wanted.workers)]
        arguments += ["--max-worker-restart=100"]
    return arguments


def _parts(wanted: list[str]) -> tuple[str, ...]:
    """The test files of these families. The textbook comes first, because one of its items takes long."""
    return (*(WRITTEN if TEXTBOOK in wanted else ()), *(GENERATED if set(wanted) - {TEXTBOOK} else ()))


def environment(backend: Backend) -> dict[str, str]:
    """Versions, libraries and hardware on which the numbers depend, for the header of the results file."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numpy BLAS": _numpy_blas(),
        backend.name: backend.build.release,
        **backend.environment(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "processor": _processor(),
    }


def _numpy_blas() -> str:
    """The BLAS of NumPy, which computes the matrix products of the reference."""
    built = np.show_config(mode="dicts") or {}
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)) or "not told"


def _processor() -> str:
    """The name of the processor from /proc/cpuinfo; on other systems, the one that Python reports."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
