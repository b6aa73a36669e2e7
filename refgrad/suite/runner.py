"""Runs the conformance suite: starts pytest with workers, shows progress, renders the report."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refgrad import __version__
from refgrad.errors import ResultsWriteError
from refgrad.records import Crash, End, Header, Record
from refgrad.suite.scope import TEXTBOOK, Scope, location, scope
from refgrad.testing.deviations.file import all_of
from refgrad.testing.runs import in_flight
from refgrad.testing.runs.folder_lock import alone
from refgrad.testing.runs.results import ResultsFile, died_over, now, unfinished

if TYPE_CHECKING:
    from refgrad.suite.progress import Progress

GENERATED, WRITTEN = ("test_families.py", "test_mutants.py"), ("test_textbook.py",)  # the parts of a run
PROVED_NOTHING = 3  # the exit code of a run without a verdict


def run(args: argparse.Namespace) -> int:
    """The command ``refgrad conformance``."""
    from refgrad import report
    from refgrad.torch import devices

    wanted = scope(args, devices)
    entries = all_of(location()[1] / "deviations.toml", args.deviations)
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
    )  # before the results of the run before are put aside: they may be the baseline
    header = Header(
        refgrad=__version__, started=now(), command=("refgrad", *sys.argv[1:]), seed=str(wanted.seed), profile=wanted.profile,
        families=tuple(wanted.families), dtypes=tuple(wanted.dtypes), devices=tuple(wanted.devices), modes=tuple(wanted.modes),
        examples=str(wanted.examples), workers=str(wanted.workers), shard=str(wanted.shard or ""), missing=tuple(wanted.missing.items()),
        deviations=tuple((d.id, d.reason, d.link) for d in entries),
        environment=environment(devices), present={name: devices.describe(name) for name in sorted({"cpu", "cuda", *wanted.devices})},
    )  # fmt: skip
    arguments = _pytest_arguments(path, wanted)
    arguments += [f"--refgrad-time-limit={args.time_limit}"] if args.time_limit else []
    arguments += [f"--refgrad-deviations={Path(path).resolve()}" for path in args.deviations]
    with alone(out):
        try:
            _judge(path, header, arguments, wanted.examples)
            return report.publish(report.load(path), outputs)
        except KeyboardInterrupt:
            where = (
                f"; what was judged is in {path}, and `refgrad report` makes a page of it"
                if path.exists()
                else ""
            )
            print(f"refgrad: interrupted{where}", file=sys.stderr)
            return PROVED_NOTHING


def _judge(path: Path, header: Header, arguments: list[str], examples: int) -> None:
    """Run the suite into a new results file. However pytest ends, the file is a report: whole, or partial."""
    import pytest

    from refgrad.suite.progress import Progress

    results = ResultsFile(path, fresh=True)
    try:
        results.write(header)
        start = time.monotonic()
        progress = Progress(examples, results)
        with _ended_by_the_system(), _no_options_of_others():
            try:
                status = int(pytest.main(arguments, plugins=[progress]))
            except KeyboardInterrupt:  # once more, while pytest took its leave of the workers
                status = int(pytest.ExitCode.INTERRUPTED)
        progress.finish()
        _conclude(results, progress, status, round(time.monotonic() - start, 1))
    except ResultsWriteError as error:  # what is there is a partial run, and is shown as one
        if not path.exists() or not path.stat().st_size:
            raise
        print(f"refgrad: {error}", file=sys.stderr)
    finally:
        results.close()


def _conclude(results: ResultsFile, progress: Progress, status: int, seconds: float) -> None:
    """Record the cases that processes died over, and the end; a run that was interrupted has none."""
    import pytest

    from refgrad import report

    died = {name for name, _ in progress.lost}
    records: list[Record] = []
    for case in in_flight.left(results.path):
        over = case.overdue or f"test_family[{case.item}]" in died
        records += died_over(case) if over else [unfinished(case)]
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
def _no_options_of_others() -> Iterator[None]:
    """What else is installed, and what a project tells its own pytest, must not change a run, let alone leave a part of it out.

    Ours may be registered as an entry point or not. Its tests shorten a run by REFGRAD_PYTEST_ADDOPTS.
    """
    ours = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": os.environ.get("REFGRAD_PYTEST_ADDOPTS", ""),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _ended_by_the_system() -> Iterator[None]:
    """SIGTERM, by which a CI system ends what it no longer wants, is taken like Ctrl-C: what is there is reported.

    So is the end of the terminal, SIGHUP, unless the run was told not to care (nohup).
    """

    def interrupt(_number: int, _frame: Any) -> None:
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
    _, folder = location()
    options: dict[str, list[Any]] = {
        "family": wanted.families, "op": wanted.ops, "dtype": wanted.dtypes, "device": wanted.devices,
        "examples": [wanted.examples], "seed": [wanted.seed], "shard": [wanted.shard] if wanted.shard else [], "results": [path.resolve()],
    }  # fmt: skip
    arguments = [
        *[str(folder / name) for name in _parts(wanted.families)],
        "-p", "refgrad.pytest_plugin", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-c", os.devnull,
        f"--confcutdir={folder}",  # the suite may lie in an environment inside somebody's project, and that has a conftest.py
        "-W", "ignore",  # whatever python -W and PYTHONWARNINGS say: a warning is no verdict
        f"--rootdir={folder}", "--import-mode=importlib" if folder.name == "_suite" else "--import-mode=prepend",
        *[f"--refgrad-{name}={value}" for name, values in options.items() for value in values],
    ]  # fmt: skip
    if wanted.workers:  # even a single one: should it die, the run does not
        sole = any(d != "cpu" for d in wanted.devices)  # one process at a time owns a GPU
        arguments += [
            "-p",
            "xdist.plugin",
            "-n",
            str(1 if sole else wanted.workers),
            "--max-worker-restart=100",
        ]
    return arguments


def _parts(wanted: list[str]) -> tuple[str, ...]:
    """The files of the suite that these families need. The items of the textbook come first: one of them is long."""
    return (*(WRITTEN if TEXTBOOK in wanted else ()), *(GENERATED if set(wanted) - {TEXTBOOK} else ()))


def environment(devices: Any) -> dict[str, str]:
    """What a reader needs to know about the machine, the versions and what else the numbers depend on."""
    import hypothesis

    from refgrad.torch.environment import environment as of_torch

    return {
        "python": platform.python_version(), "numpy": np.__version__, "numpy BLAS": _numpy_blas(), "torch": devices.VERSION,
        **of_torch(), "hypothesis": hypothesis.__version__,
        "platform": f"{platform.system()}-{platform.machine()}", "processor": _processor(),
    }  # fmt: skip


def _numpy_blas() -> str:
    """The BLAS that NumPy was built with: the reference's own matrix products run in it."""
    built = np.show_config(mode="dicts") or {}
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)) or "not told"


def _processor() -> str:
    """The name of the processor, where the system tells it."""
    path = Path("/proc/cpuinfo")
    told = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in told if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
