"""What the users of a value send to it in reverse mode, and the sum of it by other formulas and for finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refgrad.testing.judging.alternative_formulas import Reach
from refgrad.testing.judging.judge import AlternativeBounds, Judge, WithNumbersOf
from refgrad.testing.judging.shared_sums import total
from refgrad.tracing.ball import Ball, parts


class Contribution(NamedTuple):
    """What one user sends to a value: the op, the cotangent, and the fields of Expectation of these names.

    x_bar    the expected cotangent, a Ball; the observed one, a plain array, where it is judged by itself
    """

    op: str
    x_bar: Any
    with_numbers: WithNumbersOf | None
    alternatives: AlternativeBounds | None


def sum_bounds(judge: Judge, *, sent: Sequence[Contribution]) -> list[Reach]:
    """The bounds of that sum by the other formulas of the users' ops: by all first formulas, by all second ones, and so on."""
    each = [[] if alternatives is None else alternatives(judge) for *_, alternatives in sent]
    found = []
    for n in range(max(map(len, each))):
        some = [reaches[min(n, len(reaches) - 1)] if reaches else None for reaches in each]
        balls = [
            x if r is None else Ball(parts(x)[0], r.bound, judge.fmt)
            for (_, x, *_), r in zip(sent, some, strict=True)
        ]
        found.append(Reach(parts(total(judge.fmt, balls))[1], all(r is None or r.blind for r in some)))
    return found


def sum_with_numbers(judge: Judge, sign: float, *, sent: Sequence[Contribution]) -> Any:
    """The sum with finite numbers in place of arriving infinities."""
    return total(
        judge.fmt,
        [
            with_numbers(judge, sign) if with_numbers is not None else x_bar
            for _, x_bar, with_numbers, _ in sent
        ],
    )


__all__ = ["Contribution", "sum_bounds", "sum_with_numbers"]
