"""Which questions a check asks: an ordinary one, then each kind of cotangent, layout, subset and output in its turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from torch import Tensor

from refgrad.testing.checks.part import Question
from refgrad.testing.checks.seeds import CONSTANT, DRAWS, SINGLE, SPARSE, WHOLE, ZERO
from refgrad.torch.checking import layouts
from refgrad.torch.checking.layouts import (
    CHANNELS_LAST,
    CONTIGUOUS,
    EXPANDED,
    GAPS,
    GIVEN,
    OFFSET,
    PERMUTED,
    ROWS_APART,
    SWAPPED,
)

MOST_SUBSETS = 16  # of the inputs that require a gradient
MOST_ALONE = 8  # outputs, or inputs, that are asked for one by one


@dataclass(frozen=True)
class Ask:
    """A question, and what it leaves to the words of it.

    draw      which of the draws of its kind: equal kinds and numbers are the same cotangents
    layouts   how each input lies in memory
    seeded    the outputs (reverse mode) or inputs (forward mode) that have a cotangent or tangent other than zero
    zeros     whether the others carry zeros, in place of nothing
    """

    question: Question
    draw: int
    layouts: tuple[str, ...]
    seeded: tuple[int, ...]
    zeros: bool = False


def reverse(
    arguments: Sequence[object],
    active: tuple[int, ...],
    outputs: Sequence[Tensor],
    used: tuple[int, ...],
    *,
    repeats: int,
    fast: bool,
    undefined: bool,
) -> Iterator[Ask]:
    """The questions of reverse mode, an ordinary one first.

    arguments   as given, tensors in the judged dtype; ``active`` are the positions of those that are differentiated
    outputs     what func returned; ``used`` are the positions of those that require a gradient
    """
    given = _everywhere(arguments, GIVEN)
    first = Ask(Question("reverse", WHOLE, active, used, "", CONTIGUOUS), 0, given, used)
    yield first
    if fast:
        return
    seed_layouts = _offered([outputs[k] for k in used])
    for k in range(max(repeats, 1 + len(seed_layouts))):
        if k:
            layout = (CONTIGUOUS, *seed_layouts)[k % (1 + len(seed_layouts))]
            yield replace(
                first, draw=k if k < repeats else 0, question=replace(first.question, seed_layout=layout)
            )
    for layouts_, told in _arrangements(arguments):
        yield replace(first, layouts=layouts_, question=replace(first.question, layout=told))
    for kind in DRAWS:
        if kind not in (WHOLE, ZERO):
            layout = EXPANDED if kind == CONSTANT else CONTIGUOUS
            yield replace(first, question=replace(first.question, draw=kind, seed_layout=layout))
    yield replace(first, question=replace(first.question, draw=ZERO))
    if len(used) > 1:
        for k in used[:MOST_ALONE]:
            alone = replace(first, seeded=(k,), zeros=True)
            if undefined:
                yield replace(alone, zeros=False, question=replace(first.question, used=(k,)))
            yield alone
    for some in subsets(active):
        yield replace(first, question=replace(first.question, active=some))


def forward(arguments: Sequence[object], active: tuple[int, ...], *, fast: bool) -> Iterator[Ask]:
    """The questions of forward mode, an ordinary one first."""
    given = _everywhere(arguments, GIVEN)
    first = Ask(Question("forward", WHOLE, active, (), "", CONTIGUOUS), 0, given, active)
    yield first
    if fast:
        return
    for kind in (SINGLE, SPARSE):
        yield replace(first, question=replace(first.question, draw=kind))
    for layout in (PERMUTED, SWAPPED, GAPS, ROWS_APART):
        if layout in _offered([arguments[k] for k in active]):
            yield replace(first, question=replace(first.question, seed_layout=layout))
    for layouts_, told in _arrangements(arguments, alone=False):
        yield replace(first, layouts=layouts_, question=replace(first.question, layout=told))
    if len(active) > 1:
        for k in active[:MOST_ALONE]:
            yield replace(first, seeded=(k,), question=replace(first.question, active=(k,)))


def subsets(active: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The proper subsets of the inputs: all of them up to MOST_SUBSETS, else each input alone and each left out."""
    proper = 2 ** len(active) - 2
    sizes = range(1, len(active)) if proper <= MOST_SUBSETS else sorted({1, len(active) - 1})
    return [some for size in sizes for some in combinations(active, size)][:MOST_SUBSETS]


def _everywhere(arguments: Sequence[object], layout: str) -> tuple[str, ...]:
    return tuple(layout if isinstance(x, Tensor) else "" for x in arguments)


def _offered(tensors: Sequence[object]) -> tuple[str, ...]:
    """The layouts in which any of the tensors differs from a contiguous one."""
    found = {layout for x in tensors if isinstance(x, Tensor) for layout in layouts.offered(x)}
    return tuple(
        layout for layout in (PERMUTED, SWAPPED, GAPS, ROWS_APART, CHANNELS_LAST, OFFSET) if layout in found
    )


def _arrangements(
    arguments: Sequence[object], *, alone: bool = True
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Layouts for all inputs at once, and for one input alone where there are several; each with its words."""
    tensors = [k for k, x in enumerate(arguments) if isinstance(x, Tensor)]
    if any(not arguments[k].is_contiguous() for k in tensors):  # type: ignore[attr-defined]
        yield _everywhere(arguments, CONTIGUOUS), CONTIGUOUS
    offered = _offered(arguments)
    for layout in offered:
        yield (
            tuple(
                layout if layout in _offered([x]) else CONTIGUOUS if k in tensors else ""
                for k, x in enumerate(arguments)
            ),
            layout,
        )
    if alone and 1 < len(tensors) <= MOST_ALONE:
        for k in tensors:
            layout = next(iter(_offered([arguments[k]])), "")
            if layout:
                yield (
                    tuple(
                        layout if j == k else CONTIGUOUS if j in tensors else ""
                        for j in range(len(arguments))
                    ),
                    f"contiguous, input {k} {layout}",
                )
