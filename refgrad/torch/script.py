"""A failing case as a script that needs torch alone: the program as torch was told it, exact inputs, got, expected, bound.

It exits with 1 while torch gives what it gave, and with 0 once the disagreement is gone.
"""

from __future__ import annotations

import keyword
import math
from typing import Any

import torch
from torch import Tensor

from refgrad.formats import format_of
from refgrad.testing.anchored import FORWARD, REVERSE, VALUE
from refgrad.testing.case import Case
from refgrad.testing.modes import (
    AGREEMENT,
    CREATE_GRAPH,
    FUNC_JVP,
    FUNC_VJP,
    JVP_OF_VJP,
    PLAIN,
    PUSHED,
    REPEAT,
    REVERSE_OF_REVERSE,
    VJP_OF_JVP,
)
from refgrad.testing.verdict import Element, Verdict
from refgrad.testing.whole import WHOLE_FORWARD, WHOLE_REVERSE
from refgrad.torch.observe import Program, device, tensor
from refgrad.torch.recording import HELPERS, Recording, UnwritableError, constant

MOST = 10  # elements in one script

_FORWARD = """\
with torch.no_grad(), torch.autograd.forward_ad.dual_level():
    duals = [torch.autograd.forward_ad.make_dual(x.detach(), t) for x, t in zip(xs, x_dots)]
    _, seen = program(*duals)
    got = torch.autograd.forward_ad.unpack_dual(seen).tangent
"""
_DOUBLE = """\
y_bar.requires_grad_()
x_bars = torch.autograd.grad(f(*xs), xs, y_bar, create_graph=True, allow_unused=True)
pairs = [(g, t) for g, t in zip(x_bars, x_dots) if g is not None and g.requires_grad]
got = torch.autograd.grad([g for g, _ in pairs], [*xs, y_bar], [t for _, t in pairs], allow_unused=True)[{place}]
"""
# How each mode is asked, as refgrad.torch.observe and refgrad.torch.modes ask it. {place}: which input.
ASK = {
    VALUE: "_, got = program(*xs)\n",
    REVERSE: "y, seen = program(*xs)\n(got,) = torch.autograd.grad(y, [seen], y_bar, allow_unused=True)\n",
    PLAIN: "got = torch.autograd.grad(f(*xs), xs, y_bar, allow_unused=True)[{place}]\n",
    FORWARD: _FORWARD,
    CREATE_GRAPH: "got = torch.autograd.grad(f(*xs), xs, y_bar, create_graph=True, allow_unused=True)[{place}]\n",
    FUNC_VJP: "_, pullback = torch.func.vjp(f, *[x.detach() for x in xs])\ngot = pullback(y_bar)[{place}]\n",
    FUNC_JVP: "with torch.no_grad():\n    _, got = torch.func.jvp(f, tuple(x.detach() for x in xs), tuple(x_dots))\n",
    PUSHED: _DOUBLE,
    REVERSE_OF_REVERSE: _DOUBLE,
    JVP_OF_VJP: (
        "def gradients(*xs):\n    return tuple(torch.func.vjp(f, *xs)[1](y_bar))\n\n\n"
        "got = torch.func.jvp(gradients, tuple(x.detach() for x in xs), tuple(x_dots))[1][{place}]\n"
    ),
    VJP_OF_JVP: (
        "def tangent(*xs):\n    return torch.func.jvp(f, xs, tuple(x_dots))[1]\n\n\n"
        "got = torch.func.vjp(tangent, *[x.detach() for x in xs])[1](y_bar)[{place}]\n"
    ),
}  # fmt: skip
_PAIRING = _FORWARD + "got = (y_bar.double() * got.double()).sum()\n"
_CHECK = """\
wrong = got is None or (got.is_floating_point() and got.dtype != dtype)
if wrong:
    print({what}, "is", "missing" if got is None else got.dtype)
for element, expected, bound in {elements}:
    g = nan if got is None else got[element].item()
    same = g == expected or abs(g - expected) <= bound < inf or (g != g and expected != expected)
    wrong = wrong or not same
    print({what}, list(element), "got", g, "expected", expected, "+-", bound, "" if same else "WRONG")
raise SystemExit(int(wrong))
"""


def script(case: Case, verdict: Verdict) -> str:
    """The script of a disagreement; empty where there is none, or where it cannot be written."""
    evidence = verdict.evidence
    if evidence is None:
        return ""
    try:
        return _script(case, verdict.mode, evidence.place, evidence.wrong[:MOST], evidence.note)
    except (UnwritableError, RuntimeError, NotImplementedError):
        return ""


def _script(case: Case, mode: str, place: Any, wrong: list[Element], note: str) -> str:
    where, dtype = device(case.device), getattr(torch, format_of(case.dtype, case.device).storage)
    program, recording = Program(case, where, dtype), Recording(dtype)
    names = _identifiers(case)
    active = [n for n, leaf in program.leaves.items() if leaf.is_floating_point()]
    for name, leaf in program.leaves.items():
        recording.name(leaf, names[name])
    with recording:
        values = program.run(program.leaves)
    output, looked_at = values[case.graph.outputs[0]], _looked_at(case, program, values, place)
    if output is None or looked_at is None:
        raise UnwritableError("the program has no such tensor")
    returned = f"return {recording.of(output)}, {recording.of(looked_at)}"
    node = place[1] if place is not None and place[0] == "cotangents" else wrong[0].node if wrong else -1
    index = next((k for k, n in enumerate(active) if case.graph.inputs[n] == node), 0)
    what = wrong[0].what if wrong else note
    ask = _asked(mode, what).format(place=-1 if mode == PUSHED else index)
    x_dots = ", ".join(constant(tensor(case.tangents[n], where, dtype), dtype) for n in active)
    lines = [
        f"# refgrad case {case.id}: {mode}, {case.dtype} on {where.type}. Needs torch alone; exits with 1 while torch disagrees.",
        "from math import inf, nan\n", "import torch\n", "torch.set_num_threads(1)",
        *(_PLAIN_ARITHMETIC if where.type == "cuda" else ()),
        f"device, dtype = {where.type!r}, {dtype}\n\n", HELPERS + "\n",
        *[f"{names[n]} = {_laid_out(leaf, case.layouts.get(n, ''), n in active)}" for n, leaf in program.leaves.items()],
        f"xs = [{', '.join(names[n] for n in active)}]",
        *([f"x_dots = [{x_dots}]"] if "x_dots" in ask else []),
        *([f"y_bar = {constant(program.cotangent, dtype)}"] if "y_bar" in ask else []),
        f"\n\ndef program({', '.join(names[n] for n in active)}):", *[f"    {line}" for line in [*recording.lines, returned]], "\n",
        *(["def f(*xs):", "    return program(*xs)[0]\n\n"] if "f(*xs)" in ask or "(f, " in ask else []),
        ask, *([f"# {' '.join(note.split())}"] if note else []), _CHECK.format(what=ascii(what), elements=_elements(wrong)),
    ]  # fmt: skip
    return "\n".join(lines)


_PLAIN_ARITHMETIC = (
    "torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False",
    "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False",
    "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False",
)


def _asked(mode: str, what: str) -> str:
    if mode == AGREEMENT:
        named = [m for m in (CREATE_GRAPH, FUNC_VJP) if what.startswith(m)]
        return ASK[named[0]] if named else _PAIRING
    return ASK[{WHOLE_REVERSE: REVERSE, WHOLE_FORWARD: FORWARD, REPEAT: PLAIN}.get(mode, mode)]


def _looked_at(case: Case, program: Program, values: list[Tensor | None], place: Any) -> Tensor | None:
    if place is None:
        return values[case.graph.outputs[0]]
    part, key = place
    if part == "parts":
        return program.uses.get(key)
    name = case.graph.nodes[key].name  # of an input that nothing uses, too
    return program.leaves[name] if name else values[key]


def _identifiers(case: Case) -> dict[str, str]:
    """A Python name for each input: its own where it is one that the script does not use."""
    taken = {
        "torch",
        "tensor",
        "device",
        "dtype",
        "program",
        "xs",
        "x_dots",
        "y_bar",
        "y",
        "f",
        "got",
        "seen",
        "wrong",
        "inf",
        "nan",
        "g",
    }
    names: dict[str, str] = {}
    for k, name in enumerate(case.inputs):
        fine = (
            name.isidentifier()
            and name.isascii()
            and not keyword.iskeyword(name)
            and name not in taken
            and name[0] != "v"
        )
        names[name] = name if fine else f"x{k}_"
    return names


def _laid_out(leaf: Tensor, layout: str, active: bool) -> str:
    """The expression of an input, as it lies in memory."""
    text = constant(leaf, leaf.dtype)
    if layout == "transposed" and leaf.ndim >= 2:
        text += ".transpose(0, -1).contiguous().transpose(0, -1)"
    if layout == "strided" and leaf.ndim >= 1:
        text = f"{text}.repeat_interleave(2, dim=-1)[..., ::2]"
    return text + (".requires_grad_()" if active else "")


def _elements(wrong: list[Element]) -> str:
    rows = [f"    ({e.element!r}, {_number(e.expected)}, {_number(e.bound)}),\n" for e in wrong]
    return "[\n" + "".join(rows) + "]"


def _number(x: float) -> str:
    return repr(float(x)) if math.isfinite(x) else str(float(x))
