"""Runs the conformance suite: finds it, starts pytest with workers, shows progress, renders the report."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib.util
import os
import platform
import secrets
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refgrad import __version__, console
from refgrad.errors import ArgumentError, DeviceMissingError, DtypeError, RefgradError, ResultsWriteError
from refgrad.formats import DTYPES
from refgrad.testing import running
from refgrad.testing.alone import alone
from refgrad.testing.case import Case
from refgrad.testing.deviations import Deviation, load
from refgrad.testing.results import SCHEMA, ResultsFile, died_over, now, unfinished
from refgrad.testing.shards import Shard
from refgrad.testing.verdict import DISAGREE, ERROR

if TYPE_CHECKING:
    from refgrad.progress import Progress

SINGLE = "ops"  # the family of single ops
TEXTBOOK = "textbook"  # the family whose items are written down, not generated
GENERATED, WRITTEN = ("test_families.py", "test_mutants.py"), ("test_textbook.py",)  # the parts of a run
PROVED_NOTHING = 3  # the exit code of a run without a verdict
PROFILES = {"dev": 100, "ci": 400, "nightly": 8000}


def location() -> tuple[str, Path]:
    """Package name and folder of the suite: refgrad._suite in an installed wheel, conformance beside refgrad in a checkout."""
    if importlib.util.find_spec("refgrad._suite") is not None:
        import refgrad._suite as suite  # type: ignore[import-not-found]  # there in a wheel only

        return "refgrad._suite", Path(suite.__path__[0])
    beside = Path(__file__).resolve().parent.parent / "conformance"
    if (beside / "test_families.py").is_file():
        if str(beside.parent) not in sys.path:
            sys.path.insert(0, str(beside.parent))
        return "conformance", beside
    raise RefgradError(
        "the conformance suite is neither installed (refgrad._suite) nor beside the package (conformance/): reinstall refgrad"
    )


def families() -> dict[str, Any]:
    """The families of generated cases by name."""
    return dict(_families().FAMILIES)


def _families() -> Any:
    package, _ = location()
    return importlib.import_module(f"{package}.families")


def run(args: argparse.Namespace) -> int:
    """The command ``refgrad conformance``."""
    from refgrad import report
    from refgrad.torch import observe

    generated = families()
    known = [*generated, TEXTBOOK]
    among = list(dict.fromkeys(args.op or ()))
    wanted = list(dict.fromkeys(args.family or ([SINGLE] if among else known)))
    if set(wanted) - set(known):
        raise ArgumentError(f"no family named {sorted(set(wanted) - set(known))}; there are {sorted(known)}")
    _check_ops(among, wanted)
    shard = Shard.read(args.shard) if args.shard else None
    missing = _missing(observe, args.require_device or ())
    devices = args.device or _present(observe)
    devices = list(dict.fromkeys([*devices, *(d for d in args.require_device or () if d not in missing)]))
    asked = list(dict.fromkeys(args.dtype or (_formats() if wanted == [TEXTBOOK] else DTYPES)))
    dtypes = [d for d in asked if _judged(observe, d, devices, asked=bool(args.dtype))]
    dtypes = _having(among, dtypes)
    if wanted == [TEXTBOOK] and not any({*item.dtypes} & {*dtypes} for item in _textbook().ITEMS):
        raise ArgumentError(f"the family {TEXTBOOK} is for {' and '.join(_formats())}, not for {dtypes}")
    profile = args.profile or _profile(os.environ)
    examples = args.examples or PROFILES[profile]
    seed = args.seed if args.seed is not None else secrets.randbelow(2**31) if profile == "nightly" else 0
    workers = min(_cores(), 8) if args.workers is None else args.workers

    out = Path(args.out)
    path = out / "results.jsonl"
    outputs = report.Outputs.wanted(
        (out / "report.html").resolve(), [str(path)], args.baseline, args.junit, args.gitlab, args.github
    )  # before the results of the run before are put aside: they may be the baseline
    header = {
        "type": "run", "schema": SCHEMA, "refgrad": __version__, "started": now(), "command": ["refgrad", *sys.argv[1:]],
        "seed": seed, "profile": profile, "families": wanted, "dtypes": dtypes, "devices": devices, "examples": examples,
        "workers": workers, "modes": _modes(wanted), "shard": str(shard or ""), "missing": missing,
        "deviations": [{"id": d.id, "reason": d.reason, "link": d.link} for d in _deviations(observe.VERSION)],
        "environment": environment(observe),
    }  # fmt: skip
    arguments = _pytest_arguments(out, wanted, dtypes, devices, examples, seed, workers)
    arguments += [f"--refgrad-op={name}" for name in among]
    arguments += [f"--refgrad-shard={shard}"] if shard else []
    arguments += [f"--refgrad-time-limit={args.time_limit}"] if args.time_limit else []
    with alone(out):
        try:
            _judge(path, header, arguments, examples)
            return report.publish(report.load(path), outputs)
        except KeyboardInterrupt:
            where = (
                f"; what was judged is in {path}, and `refgrad report` makes a page of it"
                if path.exists()
                else ""
            )
            print(f"refgrad: interrupted{where}", file=sys.stderr)
            return PROVED_NOTHING


def _judge(path: Path, header: dict[str, Any], arguments: list[str], examples: int) -> None:
    """Run the suite into a new results file. However pytest ends, the file is a report: whole, or partial."""
    import pytest

    from refgrad.progress import Progress

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


def _check_ops(among: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise ArgumentError for ops that are not drawn, and for families that do not draw single ops."""
    names = _families().NAMES
    unknown = [name for name in among if name not in names]
    if unknown:
        like = difflib.get_close_matches(unknown[0], names, 3)
        raise ArgumentError(
            f"no op named {unknown[0]!r} is drawn by the family {SINGLE}{'; did you mean ' + ' or '.join(like) + '?' if like else ''} "
            "`refgrad ops` lists those that have a derivative and a counterpart in torch"
        )
    if among and set(wanted) != {SINGLE}:
        others = sorted(set(wanted) - {SINGLE})
        raise ArgumentError(
            f"--op chooses among single ops, and the families {others} draw programs of many: leave them out"
        )


def _having(among: Sequence[str], dtypes: list[str]) -> list[str]:
    """Of the dtypes those in which torch has one of the ops. Raises DtypeError where there is none."""
    there = [d for d in dtypes if _families().names_in(d, among)]
    if not there:
        raise DtypeError(f"torch has none of the ops {list(among)} in {' or '.join(dtypes)}")
    return there


def _conclude(results: ResultsFile, progress: Progress, status: int, seconds: float) -> None:
    """Record the cases that processes died over, and the end; a run that was interrupted has none."""
    import pytest

    from refgrad import report

    died = {name for name, _ in progress.lost}
    lines = [
        died_over(case) if case.overdue or f"test_family[{case.item}]" in died else unfinished(case)
        for case in running.left(results.path)
    ]
    lines += [{"type": "crash", "worker": "", "item": name, "reason": why} for name, why in progress.lost]
    if status in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR):
        reason = f"pytest ended with exit code {status}; what it said stands on standard error"
        lines.append({"type": "crash", "worker": "main", "item": "pytest", "reason": reason})
    results.write(*lines)
    if progress.unwritten:
        raise ResultsWriteError(progress.unwritten)
    if status != pytest.ExitCode.INTERRUPTED:
        code = report.exit_code(report.load(results.path), complete=True)
        results.write({"type": "end", "exit": code, "finished": now(), "seconds": seconds})
    running.clear(results.path)


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


def _cores() -> int:
    """The cores that this process may use: a container has fewer than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _profile(environ: Mapping[str, str]) -> str:
    """The profile where none is named. HYPOTHESIS_PROFILE counts as far as it is one of ours: a project may have its own."""
    wanted = environ.get("HYPOTHESIS_PROFILE", "")
    return wanted if wanted in PROFILES else "ci"


def _missing(observe: Any, required: Sequence[str]) -> dict[str, str]:
    """Of the devices that a run may not do without, those that are not there, with the reason."""
    missing = {}
    for name in required:
        try:
            observe.device(name)
        except DeviceMissingError as error:
            missing[name] = str(error)
    return missing


def _pytest_arguments(
    out: Path,
    wanted: list[str],
    dtypes: list[str],
    devices: list[str],
    examples: int,
    seed: int,
    workers: int,
) -> list[str]:
    _, folder = location()
    arguments = [
        *[str(folder / name) for name in _parts(wanted)],
        "-p", "refgrad.pytest_plugin", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-c", os.devnull,
        f"--confcutdir={folder}",  # the suite may lie in an environment inside somebody's project, and that has a conftest.py
        "-W", "ignore",  # whatever python -W and PYTHONWARNINGS say: a warning is no verdict
        f"--rootdir={folder}", "--import-mode=importlib" if folder.name == "_suite" else "--import-mode=prepend",
        f"--refgrad-results={(out / 'results.jsonl').resolve()}", f"--refgrad-examples={examples}", f"--refgrad-seed={seed}",
        *[f"--refgrad-family={f}" for f in wanted], *[f"--refgrad-dtype={d}" for d in dtypes], *[f"--refgrad-device={d}" for d in devices],
    ]  # fmt: skip
    if workers:  # even a single one: should it die, the run does not
        alone = any(d != "cpu" for d in devices)  # one process at a time owns a GPU
        arguments += ["-p", "xdist.plugin", "-n", str(1 if alone else workers), "--max-worker-restart=100"]
    return arguments


def _judged(observe: Any, dtype: str, devices: list[str], *, asked: bool) -> bool:
    """Whether a device has the dtype. Raises DeviceMissingError, and DtypeError for a dtype that was asked for and none has."""
    there = [name for name in devices if observe.supported(name, dtype)]
    if asked and not there:
        raise DtypeError(f"dtype {dtype!r} was asked for, but none of the devices {devices} computes in it")
    return bool(there)


def _present(observe: Any) -> list[str]:
    try:
        observe.device("cuda")
    except DeviceMissingError:
        return ["cpu"]
    return ["cpu", "cuda"]


def _deviations(torch: str) -> list[Deviation]:
    return load(location()[1] / "deviations.toml", torch)


def _modes(wanted: list[str]) -> list[str]:
    """What is compared in these families, in the order of a report."""
    from refgrad.testing import MODES

    generated = MODES if set(wanted) - {TEXTBOOK} else ()
    return [*generated, *(_textbook().MODES if TEXTBOOK in wanted else ())]


def _parts(wanted: list[str]) -> tuple[str, ...]:
    """The files of the suite that these families need. The items of the textbook come first: one of them is long."""
    return (*(WRITTEN if TEXTBOOK in wanted else ()), *(GENERATED if set(wanted) - {TEXTBOOK} else ()))


def _textbook() -> Any:
    """The package with the items of the textbook."""
    package, _ = location()
    return importlib.import_module(f"{package}.textbook")


def _formats() -> list[str]:
    """The formats that items of the textbook are for."""
    return list(dict.fromkeys(d for item in _textbook().ITEMS for d in item.dtypes))


def environment(observe: Any) -> dict[str, Any]:
    """What a reader needs to know about the machine and the versions."""
    import hypothesis

    return {
        "python": platform.python_version(), "numpy": np.__version__, "torch": observe.VERSION, "hypothesis": hypothesis.__version__,
        "platform": f"{platform.system()}-{platform.machine()}", "processor": platform.processor() or platform.machine(),
        "devices": {name: observe.describe(name) for name in ("cpu", "cuda")},
    }  # fmt: skip


def repro(path: str, device: str | None, *, script: bool = False) -> int:
    """The command ``refgrad repro``: one case, node by node, then every verdict and every wrong element.

    With ``script``, the program that shows the first disagreement without refgrad is printed instead.
    """
    from refgrad.testing.anchored_trace import trace
    from refgrad.testing.session import examine
    from refgrad.torch.observe import observe, plain_arithmetic, supported
    from refgrad.torch.script import script as standalone

    case = Case.load(path)
    if device:
        case = case.on(device)
    if not supported(case.device, case.dtype):
        raise DtypeError(
            f"{path}: its dtype is {case.dtype!r}, in which device {case.device!r} does not compute"
        )
    size = len(case.graph.order())
    if not script:  # said first: the case may be one that ends the process
        about = f"case {case.id}: family {case.family}, {case.dtype} on {case.device}, {size} nodes"
        print(console.told(about), flush=True)
    plain_arithmetic()
    verdicts = examine(case, observe)
    code = 1 if any(v.status in (DISAGREE, ERROR) for v in verdicts) else 0
    if script:
        text = next((t for v in verdicts if v.status == DISAGREE and (t := standalone(case, v))), "")
        print(text, end="")
        if not text:
            found = ", ".join(f"{v.mode}: {v.status}" for v in verdicts)
            raise ArgumentError(f"{path}: there is no disagreement to write a script of ({found})")
        return code
    lines = [] if any(v.status == ERROR for v in verdicts) else trace(case, observe(case))
    for v in verdicts:
        reason = f", {v.reason}" if v.reason else ""
        lines.append(f"{v.mode}: {v.status}, {v.elements} elements compared{reason}")
        if v.message:
            lines.append(textwrap.indent(v.message, "  "))
        lines += [
            f"    {e.what}{list(e.element)}: got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g}"
            for e in v.wrong
        ]
    print("\n".join(map(console.shown, lines)))  # names and parameters in a case come from anywhere
    return code
