"""End-to-end judging: the reference's own forward and reverse mode over Balls, from inputs to gradients.

For code whose intermediates are hidden, and the check that the two engines themselves (not single rules) give torch's numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.bounds import FORMATS
from refgrad.rounding import exact
from refgrad.testing.case import Case
from refgrad.testing.compare import compare
from refgrad.testing.observation import Observation
from refgrad.testing.summary import Tally
from refgrad.testing.verdict import Comparison, Verdict
from refgrad.transforms import jvp, vjp

WHOLE_REVERSE, WHOLE_FORWARD = "reverse end to end", "forward end to end"


def whole(case: Case, seen: Observation) -> list[Verdict]:
    """Verdicts of reverse and forward mode from end to end."""
    return [_reverse(case, seen), _forward(case, seen)]


def _inputs(case: Case, inputs: dict[str, Any]) -> tuple[Any, ...]:
    fmt = FORMATS[case.dtype]
    return tuple(exact(inputs[name], fmt) for name in case.graph.inputs)


def _reverse(case: Case, seen: Observation) -> Verdict:
    tally = Tally(WHOLE_REVERSE, case.dtype, case.device)
    if "reverse" in seen.unavailable:
        return tally.unsupported(seen.unavailable["reverse"])
    fmt, names = FORMATS[case.dtype], case.graph.inputs
    _, pullback = vjp(case.graph, *_inputs(case, case.inputs))
    op = _name(case)
    for (name, k), x_bar in zip(names.items(), pullback(exact(case.cotangent, fmt)), strict=True):
        what, got = f"gradient of input {name!r}", seen.cotangents[k]
        if got is None:
            due = bool(np.any(np.asarray(getattr(x_bar, "value", x_bar)) != 0))
            if due:
                tally.add(k, op, Comparison(note=f"{what}: the framework gave none, one is due"))
            continue
        tally.add(k, op, compare(got, x_bar, fmt, what))
    return tally.verdict()


def _forward(case: Case, seen: Observation) -> Verdict:
    tally = Tally(WHOLE_FORWARD, case.dtype, case.device)
    if "forward" in seen.unavailable:
        return tally.unsupported(seen.unavailable["forward"])
    fmt, k = FORMATS[case.dtype], case.graph.outputs[0]
    _, y_dot = jvp(case.graph, _inputs(case, case.inputs), _inputs(case, case.tangents))
    what, got = "tangent of the output", seen.tangents[k]
    tally.add(k, _name(case), Comparison(note=f"{what}: the framework gave none, one is due") if got is None else compare(got, y_dot, fmt, what))
    return tally.verdict()


def _name(case: Case) -> str:
    """The op of the output: what an end-to-end disagreement is filed under."""
    return str(case.graph.nodes[case.graph.outputs[0]])


__all__ = ["WHOLE_FORWARD", "WHOLE_REVERSE", "whole"]
