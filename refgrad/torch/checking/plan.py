"""The questions of a check: a basic one, then one for each kind of cotangent, layout, subset of inputs, and output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from torch import Tensor

from refgrad.testing.checks.array_verdict import Question
from refgrad.testing.checks.seeds import (
    CONSTANT,
    DRAWS,
    EQUAL_FIRST,
    EQUAL_LAST,
    EQUAL_SECOND,
    ONES,
    WHOLE,
    ZERO,
)
from refgrad.torch.checking import layouts
from refgrad.torch.checking.layouts import (
    ALONG_FIRST,
    ALONG_LAST,
    ALONG_SECOND,
    CHANNELS_LAST,
    CONTIGUOUS,
    EXPANDED,
    GAPS,
    GIVEN,
    HEADS,
    MATRICES,
    OFFSET,
    ORDERS,
    PERMUTED,
    ROWS_APART,
    SWAPPED,
)

MOST_SUBSETS = 16  # subsets of the inputs that require a gradient, at most
MOST_ORDERS = 3  # pairs of two orders of the axes in memory, one of the inputs and another one of the cotangents, at most
_EQUAL = {ALONG_FIRST: EQUAL_FIRST, ALONG_SECOND: EQUAL_SECOND, ALONG_LAST: EQUAL_LAST}  # draws by layout
MOST_ALONE = 8  # outputs, or inputs, that are judged (outputs also left out) one by one, at most


@dataclass(frozen=True)
class Request:
    """A question with the details that its description leaves out.

    draw      number of the draw: requests with equal kind and number have equal cotangents
    layouts   memory layout of each input; "" for an input that is no tensor
    seeded    outputs (reverse mode) with a cotangent, or inputs (forward mode) with a tangent
    zeros     whether the other outputs get zeros; otherwise they get no cotangent
    lazily    the variant of func with lazily conjugated or negated tensors, see complex_tensors.py; "" for func itself
    """

    question: Question
    draw: int
    layouts: tuple[str, ...]
    seeded: tuple[int, ...]
    zeros: bool = False
    lazily: str = ""


def reverse(
    arguments: Sequence[object],
    active: tuple[int, ...],
    outputs: Sequence[Tensor],
    used: tuple[int, ...],
    *,
    repeats: int,
    fast: bool,
    undefined: bool,
    lazily: Sequence[str] = (),
) -> Iterator[Request]:
    """The questions of reverse mode, the basic one first.

    arguments   the inputs, tensors in the judged dtype
    active      positions of the differentiated inputs
    outputs     the outputs of func
    used        positions of the outputs that require a gradient
    repeats     number of draws of the basic kind
    fast        whether the basic question is the only one
    undefined   whether outputs are also left without a cotangent
    lazily      the variants of func with lazily conjugated or negated tensors
    """
    given = _same_layout(arguments, GIVEN)
    first = Request(Question("reverse", WHOLE, active, used, "", CONTIGUOUS), 0, given, used)
    yield first
    if fast:
        return
    seed_layouts = _distinct_layouts([outputs[k] for k in used])
    for k in range(max(repeats, 1 + len(seed_layouts))):
        if k:
            layout = (CONTIGUOUS, *seed_layouts)[k % (1 + len(seed_layouts))]
            yield replace(
                first, draw=k if k < repeats else 0, question=replace(first.question, seed_layout=layout)
            )
    for layouts_, description in _arrangements(arguments):
        yield replace(first, layouts=layouts_, question=replace(first.question, layout=description))
    for of_inputs, of_seeds in _pairs(_distinct_layouts(arguments), seed_layouts):
        question = replace(first.question, layout=of_inputs, seed_layout=of_seeds)
        yield replace(first, layouts=_where_distinct(arguments, of_inputs), question=question)
    for kind in DRAWS:
        if kind not in (WHOLE, ZERO):
            layout = EXPANDED if kind in (CONSTANT, ONES) else CONTIGUOUS
            yield replace(first, question=replace(first.question, draw=kind, seed_layout=layout))
    yield replace(first, question=replace(first.question, draw=ZERO))
    if len(used) > 1:
        for k in used[:MOST_ALONE]:
            alone = replace(first, seeded=(k,), zeros=True)
            if undefined:
                yield replace(alone, zeros=False, question=replace(first.question, used=(k,)))
            yield alone
        if len(used) > 2 and undefined:
            for k in used[:MOST_ALONE]:
                others = tuple(j for j in used if j != k)
                yield replace(first, seeded=others, question=replace(first.question, used=others))
    for some in subsets(active):
        yield replace(first, question=replace(first.question, active=some))
    for name in lazily:
        yield replace(
            first,
            lazily=name,
            question=replace(first.question, layout=name, seed_layout=f"{name} and contiguous"),
        )
    for layout in dict.fromkeys(name for k in used for name in layouts.expanded_axes(outputs[k])):
        yield replace(first, question=replace(first.question, draw=_EQUAL[layout], seed_layout=layout))


def forward(arguments: Sequence[object], active: tuple[int, ...], *, fast: bool) -> Iterator[Request]:
    """The questions of forward mode, the basic one first."""
    given = _same_layout(arguments, GIVEN)
    first = Request(Question("forward", WHOLE, active, (), "", CONTIGUOUS), 0, given, active)
    yield first
    if fast:
        return
    for kind in DRAWS:
        if kind != WHOLE:
            yield replace(first, question=replace(first.question, draw=kind))
    for layout in (PERMUTED, SWAPPED, GAPS, ROWS_APART):
        if layout in _distinct_layouts([arguments[k] for k in active]):
            yield replace(first, question=replace(first.question, seed_layout=layout))
    for layouts_, description in _arrangements(arguments, alone=False):
        yield replace(first, layouts=layouts_, question=replace(first.question, layout=description))
    if len(active) > 1:
        for k in active[:MOST_ALONE]:
            yield replace(first, seeded=(k,), question=replace(first.question, active=(k,)))


def subsets(active: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The proper subsets of the inputs: all if they are at most MOST_SUBSETS, else each input alone and all but each."""
    proper = 2 ** len(active) - 2
    sizes = range(1, len(active)) if proper <= MOST_SUBSETS else sorted({1, len(active) - 1})
    return [some for size in sizes for some in combinations(active, size)][:MOST_SUBSETS]


def _same_layout(arguments: Sequence[object], layout: str) -> tuple[str, ...]:
    return tuple(layout if isinstance(x, Tensor) else "" for x in arguments)


def _distinct_layouts(tensors: Sequence[object]) -> tuple[str, ...]:
    """The layouts that are distinct from the contiguous one for at least one of the tensors."""
    found = {layout for x in tensors if isinstance(x, Tensor) for layout in layouts.distinct_layouts(x)}
    return tuple(
        layout
        for layout in (PERMUTED, SWAPPED, GAPS, ROWS_APART, CHANNELS_LAST, OFFSET, MATRICES, HEADS)
        if layout in found
    )


def _pairs(of_inputs: Sequence[str], of_seeds: Sequence[str]) -> list[tuple[str, str]]:
    """Orders of the axes in which neither inputs nor cotangents are contiguous: equal ones once, and different ones."""
    first, second = ([order for order in ORDERS if order in some] for some in (of_inputs, of_seeds))
    different = [(a, second[(k + 1) % len(second)]) for k, a in enumerate(first) if len(second) > 1]
    return [(a, a) for a in first if a in second][:1] + [(a, b) for a, b in different if a != b][:MOST_ORDERS]


def _where_distinct(arguments: Sequence[object], layout: str) -> tuple[str, ...]:
    """The layout for the tensors for which it is distinct, and the contiguous one for the others."""
    return tuple(
        "" if not isinstance(x, Tensor) else layout if layout in _distinct_layouts([x]) else CONTIGUOUS
        for x in arguments
    )


def _arrangements(
    arguments: Sequence[object], *, alone: bool = True
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Layouts of the inputs with descriptions: one layout for all inputs, and one for a single input where there are several."""
    tensors = [k for k, x in enumerate(arguments) if isinstance(x, Tensor)]
    if any(not arguments[k].is_contiguous() for k in tensors):  # type: ignore[attr-defined]
        yield _same_layout(arguments, CONTIGUOUS), CONTIGUOUS
    distinct_layouts = _distinct_layouts(arguments)
    for layout in distinct_layouts:
        yield _where_distinct(arguments, layout), layout
    if alone and 1 < len(tensors) <= MOST_ALONE:
        for k in tensors:
            layout = next(iter(_distinct_layouts([arguments[k]])), "")
            if layout:
                yield (
                    tuple(
                        layout if j == k else CONTIGUOUS if j in tensors else ""
                        for j in range(len(arguments))
                    ),
                    f"contiguous, input {k} {layout}",
                )
