"""A failing program made short: statements, results and arguments are left out as long as it fails in the same way."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import numpy as np

from tests.programs.judging import Outcome, judge
from tests.programs.program import Program, as_traced, function


def shrunk(program: Program, outcome: Outcome, most: int = 600) -> tuple[Program, Outcome]:
    """The shortest program found, with what came of it, in at most ``most`` trials."""
    again = True
    while again:
        again = False
        for shorter in _shorter(program):
            most -= 1
            if most < 0:
                return program, outcome
            found = _fails(shorter)
            if found is not None and found.what == outcome.what:
                program, outcome, again = shorter, found, True
                break
    return program, outcome


def _fails(program: Program) -> Outcome | None:
    try:
        with np.errstate(all="ignore"):
            plain = function(program)(*map(as_traced, program.values()))
        if not all(isinstance(y, (np.ndarray, np.generic)) and y.dtype.kind == "f" for y in plain):
            return None
        found = judge(program)
    except Exception:  # noqa: BLE001 - what was left out is needed
        return None
    return found if found.failed else None


def _shorter(program: Program) -> Iterator[Program]:
    for k in range(len(program.results)):
        if len(program.results) > 1:
            yield dataclasses.replace(program, results=program.results[:k] + program.results[k + 1 :])
    for count in (4, 2, 1):
        for k in range(len(program.statements) - count, -1, -1):
            yield dataclasses.replace(
                program, statements=program.statements[:k] + program.statements[k + count :]
            )
    yield from _renamed(program)
    for k, statement in enumerate(program.statements):
        lines = statement.splitlines()
        for j in range(1, len(lines)):
            kept = "\n".join(lines[:j] + lines[j + 1 :])
            yield dataclasses.replace(
                program, statements=(*program.statements[:k], kept, *program.statements[k + 1 :])
            )
    for k in range(len(program.arguments)):
        if len(program.arguments) > 1:
            yield dataclasses.replace(program, arguments=program.arguments[:k] + program.arguments[k + 1 :])


def _renamed(program: Program) -> Iterator[Program]:
    """A statement that sets a variable is left out, and a variable that was there before stands in its place."""
    for k in range(len(program.statements) - 1, -1, -1):
        match = re.match(r"([vwim]\d+) = ", program.statements[k])
        if match is None:
            continue
        before = re.findall(r"^([vwim]\d+) = ", "\n".join(program.statements[:k]), re.MULTILINE)
        for other in dict.fromkeys([*reversed(before), *(name for name, _ in program.arguments)]):
            rest = [
                re.sub(rf"\b{match[1]}\b", other, text)
                for text in (*program.statements[k + 1 :], *program.results)
            ]
            count = len(program.results)
            yield dataclasses.replace(
                program,
                statements=(*program.statements[:k], *rest[:-count]),
                results=tuple(dict.fromkeys(rest[-count:])),
            )


def kind_of(program: Program, outcome: Outcome) -> str:
    """What short programs that fail in one way have in common: the answer, and the statements without names and numbers."""
    text = re.sub(r"\b[vxyzwim]\d*\b", "v", "; ".join(program.statements))
    text = re.sub(r"\d+\.\d+", "c", text)
    return f"{outcome.what} | {text[:160]}"
