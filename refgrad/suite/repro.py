"""The command ``refgrad repro``: judges one recorded case again."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from refgrad import backends, console
from refgrad.errors import ArgumentError, CaseFileError, DtypeError
from refgrad.exit_codes import FAIL, PASS, PROVED_NOTHING
from refgrad.modes import VALUE
from refgrad.records import CaseRecord
from refgrad.report.storage.details import each_case, each_result
from refgrad.report.storage.load import holds_results, load
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import DISAGREE, ERROR, UNSUPPORTED, Verdict

_LISTED = 6  # ids that a message names


def repro(
    path: str,
    device: str | None,
    *,
    name: str = "",
    script: bool = False,
    backend: str = "",
    expected: Path | None = None,
    recorded: Path | None = None,
) -> int:
    """Judge one case; print it node by node, then every verdict and every wrong element. Returns the exit code.

    ``path`` is a case file, or a results file and ``name`` the beginning of the id of a case in it.

    With ``script``, the script of the first failure is printed instead. ``backend`` names the framework to judge; by default it is that of
    the results file, or torch. ``expected`` is the folder of the lists of expected refusals; without it, every refusal is accepted.
    ``recorded`` is the suite's file of recorded disagreements, which are named where they explain a verdict. They are disagreements all
    the same: the exit code is 1.

    Raises CaseFileError, ArgumentError, DtypeError and DeviceMissingError.
    """
    from refgrad.testing.deviations.expected_refusals import list_of
    from refgrad.testing.deviations.expected_refusals import load as load_refusals
    from refgrad.testing.deviations.file import all_of, concerning
    from refgrad.testing.judging.node_by_node_text import trace
    from refgrad.testing.runs.deviation_evidence import applicable
    from refgrad.testing.runs.item import examine
    from refgrad.testing.runs.scripts import script_of

    case = find(path, name)
    framework = backends.load(backend or _recorded(path))
    if device:
        case = case.on(device)
    if not framework.computes(case.dtype, case.device):
        raise DtypeError(
            f"{path}: its dtype is {case.dtype!r}, in which device {case.device!r} does not compute"
        )
    size = len(case.graph.order())
    if not script:  # printed first: the case may crash the process
        about = f"case {case.id}: family {case.family}, {case.dtype} on {case.device}, {size} nodes"
        print(console.printable_line(about), flush=True)
    framework.settle()
    refusals = list_of(expected, framework.name) if expected else None
    kinds, release = framework.known_devices, framework.build.release
    support = load_refusals(refusals, release, framework.replaced, kinds) if refusals else None
    seen: list[Observation] = []

    def observe(case: Case) -> Observation:
        seen.append(framework.judged(case, support))
        return seen[0]

    entries = []
    if recorded is not None:
        own = concerning(all_of(recorded, (), framework.name), framework.replaced)
        entries = applicable(own, framework.build, framework.judged)
    verdicts = examine(case, observe, entries)
    if script:
        print(_script(path, script_of(framework), case, verdicts), end="")
    else:
        no_values = any(v.mode == VALUE and v.status in (ERROR, UNSUPPORTED) for v in verdicts)
        lines = [] if no_values else trace(case, seen[0])
        lines += _lines(verdicts, {d.id: d.link for d in entries})
        print("\n".join(map(console.printable, lines)))  # a case file may hold control characters
    if any(v.status in (DISAGREE, ERROR) for v in verdicts):
        return FAIL
    return PASS if any(v.elements for v in verdicts) else PROVED_NOTHING


def _script(path: str, write: Callable[[Case, Verdict], str], case: Case, verdicts: Sequence[Verdict]) -> str:
    """The script of the first failure for which there is one. Raises ArgumentError where there is none."""
    for v in verdicts:
        if v.status in (DISAGREE, ERROR) and (text := write(case, v)):
            return text
    found = ", ".join(f"{v.mode}: {v.status}" for v in verdicts)
    raise ArgumentError(f"{path}: there is no failure to write a script of ({found})")


def _lines(verdicts: Sequence[Verdict], links: Mapping[str, str]) -> list[str]:
    """Every verdict, the recorded disagreements that explain it, and every wrong element. ``links`` are those of the records by id."""
    lines = []
    for v in verdicts:
        reason = f", {v.reason}" if v.reason else ""
        lines.append(f"{v.mode}: {v.status}, {v.elements} elements compared{reason}")
        known = v.known.split(", ") if v.known else []
        lines += [f"  recorded disagreement: {name} ({links[name]})" for name in known]
        if v.message:
            lines.append(textwrap.indent(v.message, "  "))
        lines += [
            f"    {e.what}{list(e.element)}: got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g}"
            for e in v.wrong
        ]
    return lines


def _recorded(path: str) -> str:
    """The backend that a results file names; torch for a case file.

    Raises ArgumentError where no known backend has that name. A module or a command that a file names is never run.
    """
    if not holds_results(path):
        return "torch"
    header = load(path).header
    if "?" in header.address:
        raise ArgumentError(
            f"{path}: the backend that was judged is {header.address!r}, which imports modules; if you trust them, name it with --backend"
        )
    if header.backend not in backends.known():
        worker = header.environment.get("worker", "")
        started = f", started by {worker}" if worker else ""
        raise ArgumentError(
            f"{path}: the backend that was judged is {header.backend!r}{started}, and known are {', '.join(backends.known())}; name it "
            "with --backend: module:attribute, or the file or the command of a worker"
        )
    return header.backend


def find(path: str, name: str = "") -> Case:
    """The case in a case file, or the case in a results file whose id begins with ``name``.

    Raises CaseFileError where the file cannot be read, ArgumentError where it does not hold exactly one such case.
    """
    if not holds_results(path):
        case = Case.load(path)
        if not case.id.startswith(name):
            raise ArgumentError(f"{path}: holds case {case.id}, and none whose id begins with {name!r}")
        return case
    run = load(path)
    recorded: set[str] = set()
    # The last case that matches: no other is needed where it is the only one.
    kept: dict[str, CaseRecord] = {}
    for record in each_case(run):
        recorded.add(record.id)
        kept = {record.id: record} if record.id.startswith(name) else kept
    found = sorted(key for key in recorded if key.startswith(name))
    if len(found) == 1:
        try:
            return Case.from_dict(kept[found[0]].case)
        except CaseFileError as error:
            raise CaseFileError(f"{path}: case {found[0]}: {error}") from error
    command = next((r.again for r in each_result(run) if name and r.id.startswith(name) and r.again), "")
    if command:
        raise ArgumentError(f"{path}: of {name!r} no case is kept; this judges it again: {command}")
    if not recorded:
        raise ArgumentError(f"{path}: holds no case: only those are kept of which a result does not agree")
    among = found or sorted(recorded)
    listed = ", ".join(among[:_LISTED]) + (" ..." if len(among) > _LISTED else "")
    of = f" whose id begins with {name!r}" if name else ""
    if found:
        raise ArgumentError(f"{path}: holds {len(found)} cases{of}; give --id one of: {listed}")
    raise ArgumentError(f"{path}: holds no case{of}; its {len(recorded)} cases are: {listed}")
