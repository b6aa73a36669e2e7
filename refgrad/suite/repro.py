"""The command ``refgrad repro``: a case judged again, by itself."""

from __future__ import annotations

import textwrap
from pathlib import Path

from refgrad import console
from refgrad.errors import ArgumentError, CaseFileError, DtypeError
from refgrad.report.storage.load import holds_results, load
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.node_by_node import VALUE
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import DISAGREE, ERROR, UNSUPPORTED

_LISTED = 6  # ids that a message names


def repro(
    path: str, device: str | None, *, name: str = "", script: bool = False, unsupported: str | Path = ""
) -> int:
    """The command ``refgrad repro``: one case, node by node, then every verdict and every wrong element.

    ``path`` is a case file, or a results file and ``name`` the beginning of the id of a case in it.

    With ``script``, the program that shows the first failure is printed instead. ``unsupported`` is the file that lists what torch is
    expected to refuse; without it, every refusal is accepted.
    """
    from refgrad.testing.deviations.expected_refusals import held
    from refgrad.testing.deviations.expected_refusals import load as listed
    from refgrad.testing.judging.node_by_node_text import trace
    from refgrad.testing.runs.item import examine
    from refgrad.torch.case_script import script as standalone
    from refgrad.torch.devices import VERSION, plain_arithmetic, supported
    from refgrad.torch.observe import observe

    case = find(path, name)
    if device:
        case = case.on(device)
    if not supported(case.device, case.dtype):
        raise DtypeError(
            f"{path}: its dtype is {case.dtype!r}, in which device {case.device!r} does not compute"
        )
    size = len(case.graph.order())
    if not script:  # said first: the case may be one that ends the process
        about = f"case {case.id}: family {case.family}, {case.dtype} on {case.device}, {size} nodes"
        print(console.printable_line(about), flush=True)
    plain_arithmetic()
    asked = held(observe, listed(unsupported, VERSION)) if unsupported else observe
    seen: list[Observation] = []

    def once(case: Case) -> Observation:
        seen.append(asked(case))
        return seen[0]

    verdicts = examine(case, once)
    code = 1 if any(v.status in (DISAGREE, ERROR) for v in verdicts) else 0
    if script:
        failing = [v for v in verdicts if v.status in (DISAGREE, ERROR)]
        text = next((t for v in failing if (t := standalone(case, v))), "")
        print(text, end="")
        if not text:
            found = ", ".join(f"{v.mode}: {v.status}" for v in verdicts)
            raise ArgumentError(f"{path}: there is no failure to write a script of ({found})")
        return code
    untold = any(v.mode == VALUE and v.status in (ERROR, UNSUPPORTED) for v in verdicts)
    lines = [] if untold else trace(case, seen[0])
    for v in verdicts:
        reason = f", {v.reason}" if v.reason else ""
        lines.append(f"{v.mode}: {v.status}, {v.elements} elements compared{reason}")
        if v.message:
            lines.append(textwrap.indent(v.message, "  "))
        lines += [
            f"    {e.what}{list(e.element)}: got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g}"
            for e in v.wrong
        ]
    print("\n".join(map(console.printable, lines)))  # names and parameters in a case come from anywhere
    return code


def find(path: str, name: str = "") -> Case:
    """The case in a case file, or the one in a results file whose id begins with ``name``; a sole case needs none.

    Raises CaseFileError where the file cannot be read, ArgumentError where it does not hold exactly one such case.
    """
    if not holds_results(path):
        case = Case.load(path)
        if not case.id.startswith(name):
            raise ArgumentError(f"{path}: holds case {case.id}, and none whose id begins with {name!r}")
        return case
    run = load(path)
    asked = run.case_records
    found = sorted(key for key in asked if key.startswith(name))
    if len(found) == 1:
        try:
            return Case.from_dict(asked[found[0]].case)
        except CaseFileError as error:
            raise CaseFileError(f"{path}: case {found[0]}: {error}") from error
    if not asked:
        raise ArgumentError(f"{path}: holds no case: only those are kept of which a result does not agree")
    again = next((r.again for r in run.results if name and r.id.startswith(name) and r.again), "")
    if again:
        raise ArgumentError(f"{path}: of {name!r} no case is kept; this judges it again: {again}")
    among = found or sorted(asked)
    listed = ", ".join(among[:_LISTED]) + (" ..." if len(among) > _LISTED else "")
    of = f" whose id begins with {name!r}" if name else ""
    if found:
        raise ArgumentError(f"{path}: holds {len(found)} cases{of}; give --id one of: {listed}")
    raise ArgumentError(f"{path}: holds no case{of}; its {len(asked)} cases are: {listed}")
