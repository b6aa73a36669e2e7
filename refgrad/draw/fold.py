"""Folding of repeated layers of a long graph into one gate with their number."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import NamedTuple

from refgrad.draw.picture import Gate, Picture, Wire

LEAST = 3  # repetitions that are folded
LONGEST = 48  # gates of a layer, at most
LINE = 28  # characters in a line of a block


class Repetition(NamedTuple):
    """``times`` consecutive equal layers of ``length`` gates, from position ``start`` among the operations."""

    start: int
    length: int
    times: int

    @property
    def saved(self) -> int:
        """Number of gates that folding removes."""
        return self.length * (self.times - 1)


def fold(picture: Picture, most: int) -> Picture:
    """Fold repetitions, those that save most gates first, until at most ``most`` gates are left or nothing repeats."""
    while len(picture.gates) > most:
        longest = _longest(picture)
        if longest is None:
            return picture
        picture = _folded(picture, longest)
    return picture


def _operations(picture: Picture) -> list[int]:
    return [i for i, g in enumerate(picture.gates) if g.kind in {"op", "block"}]


def _longest(picture: Picture) -> Repetition | None:
    """The repetition that saves most gates; of equal ones that with the shortest layer, then the first."""
    ops = _operations(picture)
    place = {i: p for p, i in enumerate(ops)}
    sources: list[tuple[int | None, ...]] = [() for _ in ops]  # places of a gate's operands, None for a leaf
    for w in picture.wires:
        if w.target in place:
            sources[place[w.target]] += (place.get(w.source),)

    def repeats(a: int, b: int, length: int) -> bool:
        """Whether layer b repeats layer a: equal gates with equal edges, and an operand from the previous layer."""
        connected = False
        for t in range(length):
            if picture.gates[ops[a + t]].key != picture.gates[ops[b + t]].key:
                return False
            if len(sources[a + t]) != len(sources[b + t]):
                return False
            for j, k in zip(sources[a + t], sources[b + t], strict=True):
                if (j is not None and j >= a) != (k is not None and k >= b):
                    return False
                if k is not None and k >= b and k - b != (j or 0) - a:
                    return False
                connected |= k is not None and b - length <= k < b
        return connected

    best: Repetition | None = None
    for length in range(1, min(LONGEST, len(ops) // LEAST) + 1):
        start = 0
        while start + LEAST * length <= len(ops):
            times = 1
            while start + (times + 1) * length <= len(ops) and repeats(start, start + times * length, length):
                times += 1
            run = Repetition(start, length, times)
            if times >= LEAST and (best is None or run.saved > best.saved):
                best = run
            start += max(1, (times - 1) * length)  # repetitions that begin inside this one are not longer
    return best


def _folded(picture: Picture, run: Repetition) -> Picture:
    """The picture with one gate for the repetition, and one leaf for the leaves with the same role in each layer."""
    ops = _operations(picture)[run.start : run.start + run.length * run.times]
    part = {i: p % run.length for p, i in enumerate(ops)}
    uses: dict[int, int] = defaultdict(int)
    for w in picture.wires:
        uses[w.source] += 1
    # Leaves by their role, a gate of the layer and an operand of it. Leaves with further users are not folded.
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    seen: dict[int, int] = defaultdict(int)
    for w in picture.wires:
        if w.target in part:
            if picture.gates[w.source].kind in {"input", "constant"} and uses[w.source] == 1:
                groups[part[w.target], seen[w.target]].append(w.source)
            seen[w.target] += 1
    stands_for = dict.fromkeys(ops, ops[0])
    gates = dict(enumerate(picture.gates))
    for leaves in groups.values():
        stands_for.update(dict.fromkeys(leaves, leaves[0]))
        if len(leaves) > 1:
            gates[leaves[0]] = _leaves([picture.gates[i] for i in leaves])
    gates[ops[0]] = _block([picture.gates[i] for i in ops], run)
    # The block takes the position of its last gate, so that all its operands precede it.
    rank = {i: ops[-1] if i == ops[0] else i for i in gates if stands_for.get(i, i) == i}
    kept = sorted(rank, key=rank.__getitem__)
    new = {i: n for n, i in enumerate(kept)}
    joined: dict[tuple[int, int, int], Wire] = {}
    for n, w in enumerate(picture.wires):
        source, target = stands_for.get(w.source, w.source), stands_for.get(w.target, w.target)
        if source == target:
            continue
        # Wires from one source into the block become one wire; wires between other gates stay.
        key = (source, target, 0 if target == ops[0] else n)
        wire = replace(w, source=new[source], target=new[target])
        joined[key] = _merged(joined[key], wire) if key in joined else wire
    wires = sorted(joined.values(), key=lambda w: w.target)
    return replace(picture, gates=tuple(gates[i] for i in kept), wires=tuple(wires))


def _leaves(leaves: list[Gate]) -> Gate:
    first, last = leaves[0], leaves[-1]
    names = (first.text[0], f"… {last.text[0]}") if first.kind == "input" else first.text
    return replace(first, text=names, about=f"{len(leaves)} {first.kind}s, one for each layer", total=())


def _block(gates: list[Gate], run: Repetition) -> Gate:
    lines = [""]
    names = [g.text[-1] for g in gates[: run.length]]
    shown = names if len(names) <= 12 else [*names[:11], "…"]
    for i, name in enumerate(shown):
        step = name if i == 0 else f" → {name}"
        if len(lines[-1] + step) > LINE:
            lines.append("")
        lines[-1] += step
    about = f"{run.times} repetitions of {', '.join(names)}"
    total = gates[-1].total
    marked = any(g.marked for g in gates)
    return Gate(
        (f"× {run.times}", *lines), "block", about, ("block", about), total=total, marked=marked, fixed=True
    )


def _merged(a: Wire, b: Wire) -> Wire:
    """One wire for two with the same ends. Gradients of one value are added."""
    if a.values and b.values and a.values[0] is b.values[0]:
        back = (
            (a.gradients[0] + b.gradients[0],) if a.gradients and b.gradients else a.gradients or b.gradients
        )
        return replace(a, gradients=back, notes=(), product=())
    return replace(a, values=a.values + b.values, gradients=a.gradients + b.gradients, notes=(), product=())
