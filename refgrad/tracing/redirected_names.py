"""Code in which some loads of global names load others: the same instructions, lines and constants, with other entries among the names."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Sequence
from dis import Instruction
from types import CodeType

# The instructions of a function and the place of a LOAD_GLOBAL among them: the name to load there instead, or None.
Choice = Callable[[Sequence[Instruction], int], str | None]
_NO_STEPS = frozenset({"EXTENDED_ARG", "PRECALL"})


def redirected(code: CodeType, choose: Choice) -> CodeType:
    """The same code with the names that ``choose`` gives, in the code of inner functions too; the code itself where there are none.

    A load stays as it is where its new name has a number above 127 and the instruction has no room for it.
    """
    constants = tuple([redirected(c, choose) if isinstance(c, CodeType) else c for c in code.co_consts])
    if any(a is not b for a, b in zip(constants, code.co_consts, strict=True)):
        code = code.replace(co_consts=constants)
    steps = [step for step in dis.get_instructions(code) if step.opname not in _NO_STEPS]
    wanted = {
        step.offset: (step.argval, name)
        for k, step in enumerate(steps)
        if step.opname == "LOAD_GLOBAL" and (name := choose(steps, k)) is not None
    }
    if not wanted:
        return code
    uses = [step for step in steps if step.opcode in dis.hasname]
    names, text = list(code.co_names), bytearray(code.co_code)
    for old, new in sorted(set(wanted.values())):
        if all(wanted.get(step.offset) == (old, new) for step in uses if step.argval == old):
            names[names.index(old)] = new  # the name has no other use
            continue
        if new not in names:
            names.append(new)
        for place in [place for place, pair in wanted.items() if pair == (old, new)]:
            _write(text, place, names.index(new))
    return code.replace(co_code=bytes(text), co_names=tuple(names))


def _write(text: bytearray, place: int, number: int) -> None:
    """Let the LOAD_GLOBAL at ``place`` load the name of this number. The lowest bit of its argument says that a call follows."""
    argument = number << 1 | text[place + 1] & 1
    if place >= 2 and text[place - 2] == dis.opmap["EXTENDED_ARG"]:
        if argument <= 0xFFFF:
            text[place - 1], text[place + 1] = argument >> 8, argument & 0xFF
    elif argument <= 0xFF:
        text[place + 1] = argument


def calls(steps: Sequence[Instruction], first: int, last: int) -> bool:
    """Whether what the instructions from ``first``, a LOAD_GLOBAL, to ``last`` load is called next."""
    # Before Python 3.13 a PUSH_NULL that follows belongs to another call, in an argument: g(float, h(x)).
    after = steps[last + 1].opname if last + 1 < len(steps) and sys.version_info >= (3, 13) else ""
    return (
        "NULL" in steps[first].argrepr
        or steps[last].opname == "LOAD_METHOD"
        or "NULL" in steps[last].argrepr
        or after == "PUSH_NULL"
    )


def arguments(steps: Sequence[Instruction], first: int, last: int) -> Sequence[Instruction] | None:
    """The instructions that compute the arguments of the call of what ``first`` to ``last`` load; None where it cannot be told.

    The call stands at the same place of the text as what is called. There may be a copy of it for each branch of a conditional argument.
    """
    began = _start(steps[first])
    ends = [
        k
        for k in range(last + 1, len(steps))
        if steps[k].opname.startswith("CALL") and _start(steps[k]) == began
    ]
    return steps[last + 1 : ends[-1]] if ends and began is not None else None


def unpacks(steps: Sequence[Instruction], first: int, last: int) -> bool:
    """Whether the call of what ``first`` to ``last`` load has starred arguments."""
    began = _start(steps[first])
    return any(step.opname == "CALL_FUNCTION_EX" and _start(step) == began for step in steps[last + 1 :])


def displays_list(steps: Sequence[Instruction]) -> bool:
    """Whether instructions make a list, or end with a tuple: by a display or a comprehension."""
    ends = [step.opname for step in steps if step.opname not in {"KW_NAMES", "CACHE"}][-1:]
    return ends == ["BUILD_TUPLE"] or any(
        step.opname == "BUILD_LIST" or getattr(step.argval, "co_name", "") == "<listcomp>" for step in steps
    )


def computes_one_value(steps: Sequence[Instruction]) -> bool:
    """Whether the instructions of one argument end with an operator on numbers, and have neither a list nor a branch."""
    branches = any(step.opcode in _JUMPS for step in steps)
    if not steps or steps[-1].opname not in _OPERATORS or branches or displays_list(steps):
        return False
    return not any("CONST" in step.opname and isinstance(step.argval, (str, bytes)) for step in steps)


_JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
_OPERATORS = frozenset({"BINARY_OP", "UNARY_NEGATIVE", "COMPARE_OP", "UNARY_INVERT"})


def _start(step: Instruction) -> tuple[int, int] | None:
    at = step.positions
    if at is None or at.lineno is None or at.col_offset is None:
        return None
    return at.lineno, at.col_offset
