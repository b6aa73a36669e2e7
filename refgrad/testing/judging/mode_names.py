"""The names of a framework's further modes, and what it answers in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refgrad.testing.judging.node_by_node import FORWARD, REVERSE
from refgrad.testing.judging.observation import NoAnswer
from refgrad.testing.judging.unanswered import NOT_ASKED

Array = Any
Answer = Sequence[Array]

PLAIN = "plain backward"
CREATE_GRAPH, FUNC_VJP, FUNC_JVP = "create_graph backward", "func.vjp", "func.jvp"
REVERSE_OF_REVERSE, JVP_OF_VJP, VJP_OF_JVP = "double backward", "jvp of vjp", "vjp of jvp"
PUSHED = "double backward in the cotangent"
AGREEMENT, REPEAT = "agreement of modes", "second run"
SECOND = (REVERSE_OF_REVERSE, JVP_OF_VJP, VJP_OF_JVP)
FURTHER = (CREATE_GRAPH, FUNC_VJP, FUNC_JVP, PUSHED, AGREEMENT, *SECOND, REPEAT)
# Where a further way repeats what the first one says, the same finding covers it.
BASE = {CREATE_GRAPH: REVERSE, FUNC_VJP: REVERSE, FUNC_JVP: FORWARD, PUSHED: REVERSE}


@dataclass
class Modes:
    """What a framework said, by mode: an array (or None for zeros) for each floating-point input; one for the tangents.

    again        plain backward asked a second time
    unavailable  by mode, why there is no answer; under REPEAT, why there was none the second time
    """

    names: list[str]
    answers: dict[str, Answer] = field(default_factory=dict)
    again: Answer | None = None
    unavailable: dict[str, NoAnswer] = field(default_factory=dict)

    def why(self, *modes: str) -> NoAnswer:
        """Why there is no answer: of the first of these modes that has a reason."""
        return next((self.unavailable[mode] for mode in modes if mode in self.unavailable), NOT_ASKED)


def or_zeros(x_bar: Array, x: Array) -> Array:
    """A gradient, zeros where the framework gave None."""
    return np.zeros(np.shape(x)) if x_bar is None else x_bar
