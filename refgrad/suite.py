"""Runs the conformance suite: finds it, starts pytest with workers, shows progress, renders the report."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from refgrad import __version__
from refgrad.errors import ArgumentError, DeviceMissingError, DtypeError, RefgradError
from refgrad.formats import DTYPES
from refgrad.testing.case import Case
from refgrad.testing.deviations import Deviation, load
from refgrad.testing.results import SCHEMA, ResultsFile, now
from refgrad.testing.verdict import AGREE, DISAGREE, ERROR

TEXTBOOK = "textbook"  # the family whose items are written down, not generated
GENERATED, WRITTEN = ("test_families.py", "test_mutants.py"), ("test_textbook.py",)  # the parts of a run
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
    package, _ = location()
    return dict(importlib.import_module(f"{package}.families").FAMILIES)


def run(args: argparse.Namespace) -> int:
    """The command ``refgrad conformance``."""
    import pytest

    from refgrad import report
    from refgrad.torch import observe

    generated = families()
    known = [*generated, TEXTBOOK]
    wanted = args.family or known
    if set(wanted) - set(known):
        raise ArgumentError(f"no family named {sorted(set(wanted) - set(known))}; there are {sorted(known)}")
    devices = args.device or _present(observe)
    default = _formats() if wanted == [TEXTBOOK] else DTYPES
    dtypes = [d for d in args.dtype or default if _judged(observe, d, devices, asked=bool(args.dtype))]
    items = sum(bool({*item.dtypes} & {*dtypes}) for item in _textbook().ITEMS) if TEXTBOOK in wanted else 0
    if wanted == [TEXTBOOK] and not items:
        raise ArgumentError(f"the family {TEXTBOOK} is for {' and '.join(_formats())}, not for {dtypes}")
    examples = args.examples or PROFILES[args.profile]
    seed = (
        args.seed if args.seed is not None else secrets.randbelow(2**31) if args.profile == "nightly" else 0
    )
    workers = args.workers or min(os.cpu_count() or 1, 8)

    out = Path(args.out)
    results = ResultsFile(out / "results.jsonl", fresh=True)
    results.write(
        {
            "type": "run", "schema": SCHEMA, "refgrad": __version__, "started": now(), "command": ["refgrad", *sys.argv[1:]],
            "seed": seed, "profile": args.profile, "families": wanted, "dtypes": dtypes, "devices": devices, "examples": examples,
            "workers": workers, "modes": _modes(wanted),
            "deviations": [{"id": d.id, "reason": d.reason, "link": d.link} for d in _deviations()], "environment": environment(observe),
        }
    )  # fmt: skip
    start = time.monotonic()
    drawn = sum(name in generated for name in wanted) * examples
    total = items + drawn * sum(observe.supported(name, d) for name in devices for d in dtypes)
    progress = Progress(total)
    # Only the plugins named: what else is installed must not change a run, and ours may be registered as an entry point or not.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    status = pytest.main(
        _pytest_arguments(out, wanted, dtypes, devices, examples, seed, workers), plugins=[progress]
    )
    progress.finish()
    seconds = round(time.monotonic() - start, 1)
    for name, reason in progress.lost:
        results.write({"type": "crash", "worker": "", "item": name, "reason": reason})
    interrupted = status == pytest.ExitCode.INTERRUPTED
    if status in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR):
        results.write(
            {
                "type": "crash",
                "worker": "main",
                "item": "pytest",
                "reason": f"pytest ended with exit code {int(status)}",
            }
        )
    if not interrupted or progress.lost:
        results.write(
            {
                "type": "end",
                "exit": report.exit_code(report.load(out / "results.jsonl"), complete=True),
                "finished": now(),
                "seconds": seconds,
            }
        )
    results.close()
    loaded = report.load(out / "results.jsonl")
    report.write(loaded, out / "report.html")
    print(report.table(loaded, color=sys.stdout.isatty()))
    print(f"report: {(out / 'report.html').resolve()}")
    return int(report.exit_code(loaded))


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
        "-p", "refgrad.pytest_plugin", "-p", "no:terminal", "-p", "no:cacheprovider", "-c", os.devnull,
        f"--rootdir={folder}", "--import-mode=importlib" if folder.name == "_suite" else "--import-mode=prepend",
        f"--refgrad-results={(out / 'results.jsonl').resolve()}", f"--refgrad-examples={examples}", f"--refgrad-seed={seed}",
        *[f"--refgrad-family={f}" for f in wanted], *[f"--refgrad-dtype={d}" for d in dtypes], *[f"--refgrad-device={d}" for d in devices],
    ]  # fmt: skip
    if workers > 1 and not any(d != "cpu" for d in devices):  # one process at a time owns a GPU
        arguments += ["-p", "xdist.plugin", "-n", str(workers)]
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


def _deviations() -> list[Deviation]:
    return load(location()[1] / "deviations.toml")


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


class Progress:
    """Shows how far the run is: a bar on a terminal, a line every tenth otherwise."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed, self.shown, self.start = total, 0, 0, -1, time.monotonic()
        self.lost: list[tuple[str, str]] = []  # items that never ran or whose worker died, with the reason

    def pytest_collectreport(self, report: Any) -> None:
        """A suite that cannot be collected has judged nothing: keep the reason."""
        if report.failed:
            self.lost.append((str(report.nodeid), str(report.longrepr)[-2000:]))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count the cases of a finished item (pytest calls this in the main process)."""
        from refgrad.pytest_plugin import cases_of

        if report.when == "call" or report.failed:
            self.done += cases_of(report)
            self.failed += int(report.failed)
            if report.failed and "crashed while running" in str(report.longrepr):
                self.lost.append((str(report.nodeid), str(report.longrepr)))
            self._show()

    def _show(self) -> None:
        elapsed = time.monotonic() - self.start
        left = elapsed / self.done * (self.total - self.done) if self.done else 0.0
        failed = f", {self.failed} items failing" if self.failed else ""
        text = f"{self.done:,} of {self.total:,} cases, {elapsed:.0f} s, about {left:.0f} s left{failed}"
        if sys.stderr.isatty():
            filled = min(24, 24 * self.done // max(self.total, 1))
            print(f"\r[{'#' * filled}{'.' * (24 - filled)}] {text}   ", end="", file=sys.stderr, flush=True)
        elif 10 * self.done // max(self.total, 1) > self.shown:
            self.shown = 10 * self.done // max(self.total, 1)
            print(text, file=sys.stderr, flush=True)

    def finish(self) -> None:
        """End the line of the bar."""
        if sys.stderr.isatty():
            print(file=sys.stderr)


def repro(path: str, device: str | None) -> int:
    """The command ``refgrad repro``: one case, every verdict, every wrong element."""
    from refgrad.testing.session import examine
    from refgrad.torch.observe import observe, plain_arithmetic

    case = Case.load(path)
    if device:
        case = case.on(device)
    plain_arithmetic()
    print(
        f"case {case.id}: family {case.family}, {case.dtype} on {case.device}, {len(case.graph.nodes)} nodes"
    )
    for k in case.graph.order():
        node = case.graph.nodes[k]
        print(
            f"  node {k:>3}  {node}"
            + (f"  of {', '.join(map(str, node.of))}  {node.params or ''}" if node.op else "")
        )
    worst = 0
    for v in examine(case, observe):
        print(f"{v.mode}: {v.status}, {v.elements} elements compared" + (f", {v.reason}" if v.reason else ""))
        if v.message:
            print(f"  {v.message}")
        for e in v.wrong:
            print(f"    {e.what}{list(e.element)}: got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g}")
        worst = max(worst, {AGREE: 0, DISAGREE: 2, ERROR: 2}.get(v.status, 1))
    return 1 if worst == 2 else 0
