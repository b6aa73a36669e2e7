"""Writes a failing case as a script that needs torch alone.

The script contains the recorded calls of torch, the exact inputs, and the observed value, expected value and bound of each wrong element.
It exits with 1 while the failure is there, and with 0 once it is gone. Where no such script can be written, the script holds the case and
runs refgrad.
"""

from __future__ import annotations

import contextlib
import functools
import io
import keyword
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.bounds.formats import format_of
from refgrad.errors import OUTSIDE
from refgrad.modes import (
    AGREEMENT,
    FORWARD,
    PLAIN_REVERSE,
    REVERSE,
    REVERSE_END_TO_END,
    TRANSPOSED_REVERSE,
    VALUE,
)
from refgrad.testing.cases.case import CHANNELS_LAST, EXPANDED, Case
from refgrad.testing.judging.observation import Place
from refgrad.testing.judging.verdict import ERROR, Element, Verdict
from refgrad.testing.runs.fallback_script import fallback
from refgrad.torch.devices import device, short_operands
from refgrad.torch.environment import THREADS
from refgrad.torch.foreign_code import Callee, file_of, functions_of, kernels, module_of
from refgrad.torch.program import Program, order_in_memory, tensor
from refgrad.torch.recording import HELPERS, Recording, UnwritableError, constant
from refgrad.torch.replacement import Namespaces, Replacement
from refgrad.torch.script_calls import CALLS, calls_of, sum_along

NONE: Mapping[str, Replacement] = MappingProxyType({})
MOST = 10  # elements in one script

_CHECK = """\
wrong = got is None or (got.is_floating_point() and got.dtype != dtype)
if wrong:
    print({what}, "is", "missing" if got is None else got.dtype, "WRONG")
for element, expected, bound in {elements}:
    g = nan if got is None else got[element].item()
    same = g == expected or abs(g - expected) <= bound < inf or (g != g and expected != expected)
    wrong = wrong or not same
    print({what}, list(element), "got", g, "expected", expected, "+-", bound, "" if same else "WRONG")
raise SystemExit(int(wrong))
"""
_RAISING = """\
try:
{calls}except BaseException as error:
    print(f"{{type(error).__name__}}: {{error}}")
    raise SystemExit(1) from None
print("nothing was raised")
raise SystemExit(0)
"""


def script(
    case: Case, verdict: Verdict, replaced: Mapping[str, Replacement] = NONE, address: str = "torch"
) -> str:
    """The script of a failure; empty where the verdict is no failure.

    ``replaced`` are the functions that were judged in place of torch's; a script imports and calls them. ``address`` names the backend
    in a script that runs refgrad. The script ran once before it is returned, and exited with 1.
    """
    if verdict.status != ERROR and verdict.evidence is None:
        return ""
    about = f"{verdict.mode}, {case.dtype} on {case.device}"
    if not verdict.repeatable:
        return fallback(
            case.id, case.content, about, "torch gave no answer in the time that a case has", backend=address
        )
    recording: Recording | None = None
    why = "torch does not raise when it is asked again" if verdict.status == ERROR else ""
    for mode in _modes(case, verdict):
        recording = Recording(_dtype(case))
        try:
            text = (
                _raising(case, mode, recording, replaced)
                if verdict.status == ERROR
                else written(case, verdict, recording, replaced)
            )
        except OUTSIDE:
            raise
        except BaseException as error:  # noqa: BLE001 - the script that runs refgrad names the reason
            why = f"{type(error).__name__}: {error}"
            continue
        if _exit_code(text) == 1:
            return text
        why = why or "the calls of torch that were recorded do not show it"
    return fallback(case.id, case.content, about, why, _third_party_modules(case, recording), address)


def _modes(case: Case, verdict: Verdict) -> list[str]:
    """The modes in which the failure may occur. An error in no particular mode may occur in each of them."""
    if verdict.status != ERROR or verdict.mode != VALUE:
        return [verdict.mode]
    return [
        VALUE,
        REVERSE,
        FORWARD,
        *([m for m in CALLS if m not in (VALUE, REVERSE, FORWARD, PLAIN_REVERSE)] if case.order > 1 else []),
    ]


def _exit_code(text: str) -> int | None:
    """The exit code of the script when it runs in this process; None where it raises anything but SystemExit."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            exec(compile(text, "script", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own text, all names and numbers in it are quoted
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else None
        except OUTSIDE:
            raise
        except BaseException:  # noqa: BLE001 - see above
            return None
    return 0


def _third_party_modules(case: Case, recording: Recording | None) -> list[str]:
    """The modules outside torch and refgrad that took part in the run."""
    registered = [name for file in kernels(device(case.device).type) if (name := module_of(file))]
    return sorted({*registered, *(recording.foreign_modules if recording else ())} - {"", "__main__"})


def _dtype(case: Case) -> torch.dtype:
    found: torch.dtype = getattr(torch, format_of(case.dtype, case.device).storage)
    return found


def written(
    case: Case,
    verdict: Verdict,
    recording: Recording | None = None,
    replaced: Mapping[str, Replacement] = NONE,
) -> str:
    """The script of a disagreement, before its first run. Raises UnwritableError, and what torch raises."""
    evidence, recording = verdict.evidence, recording or Recording(_dtype(case))
    assert evidence is not None
    place, wrong, note = evidence.place, evidence.wrong[:MOST], evidence.note
    where, dtype = device(case.device), recording.dtype
    program = Program(case, where, dtype, _recorded(replaced, recording))
    names, active = _named(case, program, recording)
    with recording:
        values = program.run(program.leaves)
    output, judged = values[case.graph.outputs[0]], _judged_tensor(case, program, values, place)
    if output is None or judged is None:
        raise UnwritableError("the program has no such tensor")
    unknown = functions_of(output) - recording.applied
    if unknown:
        raise UnwritableError(f"{', '.join(sorted(unknown))} cannot be imported by a script")
    returned = f"return {recording.of(output)}, {recording.of(judged)}"
    node = place[1] if place is not None and place[0] == "cotangents" else wrong[0].node if wrong else -1
    index = next((k for k, n in enumerate(active) if case.graph.inputs[n] == node), 0)
    what = wrong[0].what if wrong else note
    if evidence.along is None:
        calls = calls_of(verdict.mode, what).format(place=-1 if verdict.mode == TRANSPOSED_REVERSE else index)
    else:
        directions = [torch.from_numpy(np.array(evidence.along[n], float)) for n in active]
        calls = sum_along(", ".join(constant(v.to(where), v.dtype) for v in directions))
    lines = [
        *_beginning(case, verdict.mode, "disagrees", recording),
        *_data(case, program, names, active, calls),
        *_program(names, active, [*recording.lines, returned], calls),
        calls,
        *([f"# {' '.join(note.split())}"] if note else []),
        _CHECK.format(what=ascii(what), elements=_elements(wrong)),
    ]
    return "\n".join(lines)


def _raising(case: Case, mode: str, recording: Recording, replaced: Mapping[str, Replacement] = NONE) -> str:
    """The script of an exception: the program up to the call that raises, or the derivative that raises."""
    where, dtype = device(case.device), recording.dtype
    program = Program(case, where, dtype, _recorded(replaced, recording))
    names, active = _named(case, program, recording)
    try:
        with recording:
            output = program.run(program.leaves)[case.graph.outputs[0]]
        returned = [
            "return None, None"
            if output is None
            else f"return {recording.of(output)}, {recording.of(output)}"
        ]
    except UnwritableError:
        raise
    except OUTSIDE:
        raise
    except BaseException:  # noqa: BLE001 - the script shows this exception: its call is the last line
        returned = ["return None, None"]
    # The other modes are compared with plain reverse mode. The agreement of modes is an error where that raises.
    reverse = mode in (REVERSE, REVERSE_END_TO_END, AGREEMENT)
    calls = calls_of(PLAIN_REVERSE if reverse else mode).format(place=0)
    body = "".join(f"    {line}\n" if line else "\n" for line in calls.splitlines())
    lines = [
        *_beginning(case, mode, "raises", recording),
        *_data(case, program, names, active, calls),
        *_program(names, active, [*recording.lines, *returned], calls),
        _RAISING.format(calls=body),
    ]
    return "\n".join(lines)


def program_of(case: Case, replaced: Mapping[str, Replacement] = NONE) -> Callable[..., Tensor]:
    """The case as a function of its floating-point inputs that consists of the recorded calls of torch. Raises what torch raises."""
    recording = Recording(_dtype(case))
    where = device(case.device)
    program = Program(case, where, recording.dtype, _recorded(replaced, recording))
    names, active = _named(case, program, recording)
    with recording:
        output = program.run(program.leaves)[case.graph.outputs[0]]
    assert output is not None
    text = "\n".join(
        [
            *_beginning(case, VALUE, "", recording),
            *[
                f"{names[n]} = {_laid_out(x, '', False)}"
                for n, x in program.leaves.items()
                if n not in active
            ],
            *_program(names, active, [*recording.lines, f"return {recording.of(output)}"], ""),
        ]
    )
    made: dict[str, Any] = {}
    exec(compile(text, f"case {case.id}", "exec"), made)  # noqa: S102 - our own text, all names and numbers in it are quoted
    found: Callable[..., Tensor] = made["program"]
    return found


def _recorded(replaced: Mapping[str, Replacement], recording: Recording) -> Namespaces:
    """The torch modules with replaced functions, whose calls are recorded by name."""
    return {op: one.calling(functools.partial(_called, one, recording)) for op, one in replaced.items()}


def _called(one: Replacement, recording: Recording, *args: Any, **kwargs: Any) -> Any:
    return recording.call(
        one.function, Callee(one.module, one.name.partition(".")[0], one.name, args, kwargs)
    )


def _named(case: Case, program: Program, recording: Recording) -> tuple[dict[str, str], list[str]]:
    """A Python name for each input, and the inputs that carry gradients."""
    names = _identifiers(case)
    for name, leaf in program.leaves.items():
        recording.name(leaf, names[name])
    return names, [n for n, leaf in program.leaves.items() if leaf.is_floating_point()]


def _beginning(case: Case, mode: str, what: str, recording: Recording) -> list[str]:
    """The comment, imports and settings at the beginning of the script."""
    where = device(case.device)
    registered = kernels(where.type)
    alone = (
        "Needs torch alone"
        if not (recording.imports or registered)
        else "Needs torch and what is imported below"
    )
    lines = [
        f"# refgrad case {case.id}: {mode}, {case.dtype} on {where.type}. {alone}; exits with 1 while torch {what}."
    ]
    lines += [
        f"# {module} ({file_of(module)}) is called in the place of functions of torch."
        for module in sorted(set(recording.imports.values()))
    ]
    for file, ops in registered.items():
        shown = ", ".join(ops[:6]) + (", ..." if len(ops) > 6 else "")
        known = (
            f"{module_of(file) or 'A module'} ({Path(file).name})" if file else "A module that cannot be told"
        )
        lines.append(f"# {known} registers kernels: {shown}.")
        lines += [] if module_of(file) else ["# Import it first: by what name cannot be told."]
    lines += ["from math import inf, nan\n", "import torch"]
    lines += [f"import {name}" for name in sorted({module_of(f) for f in registered} - {""})]
    lines += [f"from {module} import {name}" for name, module in sorted(recording.imports.items())]
    lines.append(f"\ntorch.set_num_threads({THREADS})")
    lines += [line.format(short_operands(case.dtype)) for line in _ARITHMETIC] if where.type == "cuda" else []
    return [*lines, f"device, dtype = {where.type!r}, {recording.dtype}\n\n", HELPERS + "\n"]


_ARITHMETIC = (
    "torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = {}",
    "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False",
    "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False",
)


def _data(case: Case, program: Program, names: dict[str, str], active: list[str], calls: str) -> list[str]:
    """The inputs, and the tangents and the cotangent where the calls use them."""
    where, dtype = device(case.device), program.dtype
    x_dots = ", ".join(constant(tensor(case.tangents[n], where, dtype), dtype) for n in active)
    return [
        *[
            f"{names[n]} = {_laid_out(leaf, case.layouts.get(n, ''), n in active)}"
            for n, leaf in program.leaves.items()
        ],
        f"xs = [{', '.join(names[n] for n in active)}]",
        *([f"x_dots = [{x_dots}]"] if "x_dots" in calls else []),
        *([f"y_bar = {_laid_out(program.cotangent, case.cotangent_layout)}"] if "y_bar" in calls else []),
    ]


def _program(names: dict[str, str], active: list[str], lines: list[str], calls: str) -> list[str]:
    """The program as a function; where the calls use it, also as a function that returns the output alone."""
    text = [
        f"\n\ndef program({', '.join(names[n] for n in active)}):",
        *[f"    {line}" for line in lines],
        "\n",
    ]
    return text + (
        ["def f(*xs):", "    return program(*xs)[0]\n\n"] if "f(*xs)" in calls or "(f, " in calls else []
    )


def _judged_tensor(
    case: Case, program: Program, values: list[Tensor | None], place: Place | None
) -> Tensor | None:
    """The tensor at a place of the observation; the output where there is no place."""
    if place is None:
        return values[case.graph.outputs[0]]
    part, key = place
    if part == "parts":
        return program.uses.get(key)
    name = case.graph.nodes[key].name  # also for an input without users
    return program.leaves[name] if name else values[key]


def _identifiers(case: Case) -> dict[str, str]:
    """A Python name for each input: its own, unless it is no identifier or the script uses it."""
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


def _laid_out(leaf: Tensor, layout: str, active: bool = False) -> str:
    """The expression of an input or a cotangent in its memory layout."""
    text = constant(leaf, leaf.dtype)
    if layout in ("transposed", CHANNELS_LAST) and leaf.ndim >= 1:
        before = (*(0, 0) * (leaf.ndim - 1), 2, 0)  # two rows in front
        order = order_in_memory(layout, leaf.ndim)
        back = sorted(range(leaf.ndim), key=order.__getitem__)
        text = f"torch.nn.functional.pad({text}.permute({order}), {before})[2:].permute({back})"
        text += f".view(-1).view({list(leaf.shape)})" if leaf.ndim > 1 and leaf.is_contiguous() else ""
    if layout == "strided" and leaf.ndim >= 1:
        text = f"torch.nn.functional.pad({text}.unsqueeze(-1), (1, 0)).flatten(-2)[..., 1::2]"
    if layout == EXPANDED and leaf.numel():
        text = f"torch.nn.functional.pad({constant(leaf.flatten()[:1], leaf.dtype)}, (2, 0))[2:].expand({tuple(leaf.shape)})"
    return text + (".requires_grad_()" if active else "")


def _elements(wrong: list[Element]) -> str:
    rows = [f"    ({e.element!r}, {_number(e.expected)}, {_number(e.bound)}),\n" for e in wrong]
    return "[\n" + "".join(rows) + "]"


def _number(x: float) -> str:
    return repr(float(x)) if math.isfinite(x) else str(float(x))
