"""The command ``refgrad repro``: a case file judged again, by itself."""

from __future__ import annotations

import textwrap

from refgrad import console
from refgrad.errors import ArgumentError, DtypeError
from refgrad.testing.case import Case
from refgrad.testing.verdict import DISAGREE, ERROR


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
