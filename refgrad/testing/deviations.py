"""Known disagreements: what was seen, where, why, and the evidence. They are shown in every report and do not fail the gate.

An entry covers disagreements of its ops, modes, dtypes and devices; ``families``, ``got`` and ``operand`` narrow it further. In which
releases of torch it excuses anything, ``evidence.py`` decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from refgrad.testing.anchored import FORWARD, REVERSE
from refgrad.testing.modes import BASE
from refgrad.testing.releases import Releases
from refgrad.testing.verdict import DISAGREE, Element, Verdict
from refgrad.testing.whole import WHOLE_FORWARD, WHOLE_REVERSE

_ANCHORED = {WHOLE_FORWARD: FORWARD, WHOLE_REVERSE: REVERSE, **BASE}


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Deviation:
    """One entry of a deviations file.

    kernels   what torch calls the CPU's vector unit (AVX2, AVX512) where it was seen; empty: it does not depend on that
    families  empty: all
    got       what the framework gives instead: nan, inf, zero, number; empty: anything
    operand   least and greatest magnitude of an elementwise op's operand; empty: any
    stands    whether the disagreement is there in the torch at hand
    """

    id: str
    ops: frozenset[str]
    modes: frozenset[str]
    dtypes: frozenset[str]
    devices: frozenset[str]
    releases: Releases
    reason: str
    link: str
    case: Path  # the evidence
    kernels: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    got: frozenset[str] = frozenset()
    operand: tuple[float, ...] = ()
    stands: Callable[[], bool] = field(default=_always, compare=False, repr=False)

    def applies(self, mode: str, dtype: str, device: str, family: str, wrong: list[Element]) -> bool:
        """Whether the entry speaks of this mode, dtype and device, of this family and of such wrong elements."""
        here = mode in self.modes and dtype in self.dtypes and device in self.devices
        return (
            here
            and (not self.families or family in self.families)
            and (not self.got or all(kind(e.got) in self.got for e in wrong))
            and (not self.operand or all(self.operand[0] <= e.operand <= self.operand[1] for e in wrong))
        )


def kind(x: float) -> str:
    """What a wrong element is, in a word."""
    return "nan" if math.isnan(x) else "inf" if math.isinf(x) else "zero" if x == 0 else "number"


def mark(
    verdicts: list[Verdict], deviations: list[Deviation], dtype: str, device: str, family: str = ""
) -> None:
    """Mark the disagreements that are known: every wrong node is covered by an entry that stands.

    A disagreement from end to end, or of a further mode that repeats the first derivative, is known where the node-by-node verdict
    on the same case is.
    """
    known = {}
    for v in verdicts:
        if v.status != DISAGREE or not v.accused:
            continue
        covering = []
        for ops in v.accused:
            wrong = [e for e in v.wrong if e.op == " or ".join(ops)]
            entries = (d for d in deviations if set(ops) <= d.ops)
            covering.append(
                next(
                    (d.id for d in entries if d.applies(v.mode, dtype, device, family, wrong) and d.stands()),
                    "",
                )
            )
        if all(covering):
            v.known = known[v.mode] = ", ".join(dict.fromkeys(covering))
    for v in verdicts:
        if v.status == DISAGREE and not v.known:
            v.known = known.get(_ANCHORED.get(v.mode, ""), "")
