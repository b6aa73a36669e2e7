"""Tally: combines the comparisons of single arrays into the verdict on a case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad.testing.judging.concatenated import Segment
from refgrad.testing.judging.sharpness import RelativeBounds, SampledSharpness, Sharpness, median
from refgrad.testing.judging.verdict import (
    AGREE,
    DISAGREE,
    IMPRECISE,
    UNDECIDED,
    Comparison,
    Element,
    Verdict,
    digits,
)

_LISTED = 10


def place(node: int, op: str) -> str:
    """The first wrong node in the words of a message; empty where there is no graph (node -1)."""
    return f"first wrong at op {op} (node {node}), " if node >= 0 else ""


class Tally:
    """Combines comparisons into one verdict. They are added in the order in which a wrong one would be the first wrong node."""

    def __init__(self, mode: str, dtype: str, device: str) -> None:
        self.result = Verdict(mode)
        self.dtype, self.device = dtype, device
        self.least_precise: list[Element] = []
        self.sharpness: list[Sharpness | SampledSharpness | RelativeBounds] = []
        self.notes: list[tuple[int, str, str]] = []
        self.wrong_nodes: list[tuple[int, list[str], Comparison]] = []
        # ratio, node, op, and what makes the element
        self.worst: tuple[float, int, str, Callable[[], Element]] | None = None

    def add(self, node: int, op: str, c: Comparison, users: list[str] | None = None) -> None:
        """Add the comparison of one array. ``users`` are the ops that may be to blame (in reverse mode all that contributed to the sum)."""
        v = self.result
        suspects = users or [op]
        self.count(op, users, c)
        v.imprecise += c.imprecise
        if c.sharpness is not None:
            self.sharpness.append(c.sharpness)
        for e in (*c.wrong, *c.least_precise):
            e.node, e.op = node, op
        self.least_precise += c.least_precise
        if c.make_worst is not None and (self.worst is None or c.ratio > self.worst[0]):
            self.worst = c.ratio, node, op, c.make_worst
        if c.note:
            self.notes.append((node, op, c.note))
        if c.wrong or c.note:
            self.wrong_nodes.append((node, suspects, c))
            v.wrong_nodes.append((node, op, c))
            v.wrong.extend(c.wrong)

    def count(self, op: str, users: list[str] | None, found: Segment | Comparison) -> None:
        """Add the counts of one array; they are all there is to add where no element is out of bounds."""
        v = self.result
        for name in users or (op,):
            row = v.ops.setdefault(name, [0, 0, 0.0])
            row[0] += 1
            row[1] += found.elements
            row[2] = max(row[2], found.ratio)
        v.elements += found.elements
        v.loose += found.loose
        v.blind += found.blind
        v.skipped += found.skipped

    def verdict(self) -> Verdict:
        """The verdict on all comparisons added so far."""
        v = self.result
        v.sensitivity = self._sensitivity()
        if self.worst is not None:
            _, node, op, make = self.worst
            v.worst = make()
            v.worst.node, v.worst.op = node, op
        if self.wrong_nodes:
            v.status = DISAGREE
            v.suspects = [users for _, users, _ in self.wrong_nodes]
            v.wrong.sort(key=lambda e: -e.ratio if e.ratio == e.ratio else -np.inf)
            v.wrong = v.wrong[:_LISTED]
            v.name_first_wrong = self._name_first_wrong
            self._name_first_wrong(0)
        elif v.imprecise:
            self._imprecise()
        elif v.elements == 0:
            v.status = UNDECIDED
            v.reason = "non-finite" if v.skipped else "nothing to compare (no differentiable elements)"
        elif v.blind == v.elements:
            v.status, v.reason = UNDECIDED, "blind bound"
        else:
            v.status = AGREE
        return v

    def _imprecise(self) -> None:
        v = self.result
        v.wrong = sorted(self.least_precise, key=digits)[:_LISTED]
        e = v.wrong[0]
        v.status, v.digits, v.first_wrong = IMPRECISE, digits(e), (e.node, e.op)
        index = f"[{', '.join(map(str, e.element))}]" if e.element else ""
        v.message = (
            f"{v.mode}: {v.imprecise} of {v.elements} elements have fewer correct digits than {self.dtype} allows, and rounding explains "
            f"it; {v.digits:.1f} are left of {e.what}{index}: got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g}"
        )

    def _sensitivity(self) -> float | None:
        """The smallest relative error that would have been caught: the median over the nonzero elements."""
        return median(self.sharpness)

    def _name_first_wrong(self, k: int) -> None:
        """Name the k-th wrong node as the first one, where the nodes before it are known disagreements."""
        node, suspects, self.result.evidence = self.wrong_nodes[k]
        self.result.first_wrong = (node, self._culprit(suspects))
        self.result.message = self._message()

    def _culprit(self, suspects: list[str]) -> str:
        """The op to name: among several suspects, one that is the only suspect at another wrong node."""
        alone = {users[0] for _, users, _ in self.wrong_nodes if len(users) == 1}
        sure = [op for op in suspects if op in alone]
        return sure[0] if sure else " or ".join(suspects)

    def _message(self) -> str:
        v = self.result
        assert v.first_wrong is not None
        node, op = v.first_wrong
        head = f"{v.mode}: {place(node, op)}{self.dtype} on {self.device}"
        notes = [note for k, _, note in self.notes if k == node] or [note for _, _, note in self.notes]
        evidence = [] if v.evidence is None else v.evidence.wrong
        here = [e for e in v.wrong if e.node == node] or evidence or v.wrong
        if not here:
            return f"{head}: {notes[0]}"
        e = here[0]
        index = f"[{', '.join(map(str, e.element))}]" if e.element else ""
        return f"{head}: {e.what}{index}: got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g} ({e.ratio:.3g} times the bound)"
