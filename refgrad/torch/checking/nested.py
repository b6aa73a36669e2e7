"""gradgradcheck in one dtype: compares second derivatives in several orders of nesting with the reference.

The orders are independent: an exception in one of them does not end the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.formula import by_each
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.testing.checks.array_verdict import Question
from refgrad.testing.judging.alternative_formulas import Reach, apart, largest, widened
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.nested_orders import Nested
from refgrad.testing.judging.verdict import ERROR, UNDECIDED, UNSUPPORTED, Comparison, Verdict
from refgrad.testing.power.array_mutations import planted
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.memory import wrote_into
from refgrad.torch.checking.mixed_dtypes import dtypes_of
from refgrad.torch.checking.orders import REVERSE_OVER_REVERSE, Answer, Answers, NotOfferedError, Order, Seeds
from refgrad.torch.checking.roundings import counted_while
from refgrad.torch.checking.seeding import Draw, Placed, draws
from refgrad.torch.checking.subject import Subject
from refgrad.torch.processor import keep_subnormals
from refgrad.torch.program import as_array, as_array_or_none
from refgrad.torch.refusal import described, fails_inside_torch, refuses
from refgrad.tracing.ball import Ball

_REFERENCE = Hidden()  # the bounds of the reference's formula, without allowance for another one
_STREAM = 2  # distinguishes the generator from one with the same seed that made the user's inputs


def verdicts(
    subject: Subject,
    orders: Sequence[Order],
    *,
    repeats: int = 1,
    seed: int = 0,
    alone: bool = False,
    cotangents: Sequence[Tensor | None] | None = None,
    nondet_tol: float = 0.0,
    demanded: bool = True,
) -> list[Verdict]:
    """A verdict for each order, in the dtype of the subject.

    repeats      number of random sets of seeds, each in another layout
    alone        whether each tangent and each cotangent is also tried without the others
    cotangents   one for each output of func; None: random ones
    nondet_tol   largest admissible difference of two answers to the first question
    demanded     whether the user requested these derivatives. Otherwise an exception, a missing derivative of a backward or of the
                 reference, and an undecided bound make an order unsupported; a wrong number is a disagreement in either case
    """
    checks = [
        _Check(
            subject,
            order,
            Aggregation(order.name, subject.fmt, subject.device, subject.plain),
            nondet_tol,
            demanded,
        )
        for order in orders
    ]
    for check in checks:
        check.aggregation.shapes_decide = True
    try:
        subject.run()
    except Raised as raised:
        for check in checks:
            check.failed(raised)
        return [check.verdict() for check in checks]
    subject.compare_shapes()
    all_draws = draws(
        subject,
        np.random.default_rng((seed, _STREAM)),
        repeats=repeats,
        alone=alone,
        batch=max(order.batch for order in orders),
        cotangents=None if cotangents is None else subject.cotangents(cotangents),
    )
    for check in checks:
        check.ordinary = [draw for draw in all_draws if draw.ordinary]
    for turn, draw in enumerate(all_draws):
        derivatives = cache(subject.derivatives)  # the orders share the reference's derivatives
        for check in checks:
            check.evaluate(draw, derivatives, first=turn == 0)
    return [check.verdict() for check in checks]


@dataclass
class _Check:
    """One order: answers of torch, compared with the reference. An exception of torch or func becomes its verdict.

    loss       the relative error of the roundings of torch's operations, once computed
    ordinary   the draws of the whole significand without a missing seed
    most       by which seeds are missing: for each of these without them, its seeds and the largest element of each array
    """

    subject: Subject
    order: Order
    aggregation: Aggregation
    nondet_tol: float
    demanded: bool
    loss: float | None = None
    ordinary: list[Draw] = field(default_factory=list)
    most: dict[tuple[bool, ...], list[tuple[tuple[Seeds, ...], list[float]]]] = field(default_factory=dict)

    def evaluate(self, draw: Draw, derivatives: Callable[[Seeds], Nested], *, first: bool) -> None:
        """Evaluate one question, the first one twice, and add the answers."""
        if self.aggregation.failure is not None or len(draw.many) < self.order.batch:
            return
        if draw.seeds.of_double_backward and self.order is not REVERSE_OVER_REVERSE:
            return
        many, question = self._batch(draw), self._question(draw)
        try:
            found = self._answers(draw, many, question)
            again = self._answers(draw, many, question) if first else None
        except Exception as error:  # noqa: BLE001  it is the verdict of this order; the others go on
            self.failed(error, question, first=first)
            return
        lost = [answer.why for answer in found if answer is not None and answer.why]
        if lost and not self.demanded:
            self.aggregation.failed(UNSUPPORTED, lost[0])
            return
        try:
            self._judge(found, [derivatives(s) for s in many], draw, many, question)
        except Exception as error:
            if self.demanded:
                raise
            self.aggregation.failed(UNSUPPORTED, f"the reference raised {described(error)}")
            return
        for one, other in zip(found, again or [], strict=False):
            if one is not None and other is not None:
                self._repeated(one, other, question)

    def _judge(
        self, found: Answers, nested: list[Nested], draw: Draw, many: tuple[Seeds, ...], question: Question
    ) -> None:
        keep_subnormals()
        seeds = tuple(as_array_or_none(t) for s in many for group in s.groups_of_moving() for t in group)
        # Computed only where the bound of this order is too narrow: the widest bounds of all orders, and the
        # derivatives by the alternative formulas that the records of the reference's ops name.
        wide = cache(lambda: self.order.expected(nested, True))
        named = cache(lambda: by_each(lambda: self.order.expected([n.anew() for n in nested], True)))
        for k, (answer, ball) in enumerate(zip(found, self.order.expected(nested, False), strict=True)):
            if answer is None:
                continue
            what, index = self._named(answer)
            compared = self._compared(answer, ball, what)
            if compared.wrong or compared.note or compared.skipped:
                ball = wide()[k]
                compared = self._reconsidered(answer, ball, what, k, draw, many)
            if compared.wrong and answer.got is not None:
                reaches = [Reach(apart(balls[k], ball), blind) for balls, blind in named()]
                if reaches:
                    before, ball = compared, widened(ball, as_array(answer.got), reaches, zeros=True)
                    compared = self._reconsidered(
                        answer, ball, what, k, draw, many, largest([r.bound for r in reaches])
                    ).with_bitless(before)
            if answer.got is not None and not compared.note:
                compared = planted(as_array(answer.got), ball, self.subject.fmt, compared)
            more = partial(dtypes_of, self.subject.arguments, self.subject.torch_dtype, answer.like.dtype)
            self.aggregation.add(what, compared, question, seeds, index, partial(_array, answer), ball, more)

    def verdict(self) -> Verdict:
        """The verdict over all questions."""
        found = self.aggregation.verdict()
        if found.status == UNDECIDED and not self.demanded:
            found.status = UNSUPPORTED
        return found

    def failed(self, error: Exception, question: Question | None = None, *, first: bool = True) -> None:
        """Record an exception of torch or func."""
        cause = error.error if isinstance(error, Raised) else error
        words = str(cause) if isinstance(cause, NotOfferedError) else described(cause)
        # func ran before, so without a Function only torch's own formulas can have failed.
        fails_in_torch = (
            question is not None and not self.subject.has_functions and isinstance(cause, RuntimeError)
        )
        if (
            fails_in_torch
            or isinstance(cause, NotOfferedError)
            or refuses(cause)
            or fails_inside_torch(cause)
        ):
            self.aggregation.failed(UNSUPPORTED, words)
        elif question is not None and isinstance(error, Raised) and not first:  # func refuses a layout
            self.subject.note(
                f"{self.order.name} is not judged with {question.description()}: func raised {words}"
            )
        else:
            self.aggregation.failed(ERROR if self.demanded else UNSUPPORTED, words)

    def _batch(self, draw: Draw) -> tuple[Seeds, ...]:
        """As many sets of seeds as the order takes at once. They differ only in the group that the order names."""
        varied = self.order.varied
        return tuple(
            replace(draw.seeds, **{varied: getattr(s, varied)}) if varied else s
            for s in draw.many[: self.order.batch]
        )

    def _question(self, draw: Draw) -> Question:
        used = [k for k, y_bar in zip(self.subject.used, draw.seeds.y_bars, strict=True) if y_bar is not None]
        active = draw.seeds.of_moving(self.subject.active)
        return Question(self.order.name, draw.kind, active, tuple(used), draw.layout, draw.seed_layout)

    def _answers(self, draw: Draw, many: tuple[Seeds, ...], question: Question) -> Answers:
        placed = Placed(self.subject, draw.layout, many)
        found = self.order.evaluate(self.subject.in_torch, placed.xs, placed.many)
        for name in placed.written():
            what = f"second gradient of input {self.subject.active[0]}"
            self.aggregation.add(what, Comparison(note=wrote_into(name)), question)
        return found

    def _named(self, answer: Answer) -> tuple[str, int]:
        """The name of the array with the user's index of its input or output, and that index."""
        of_input = "input" in answer.what
        index = self.subject.active[answer.index] if of_input else self.subject.used[answer.index]
        return answer.what.format(index), index

    def _compared(
        self,
        answer: Answer,
        ball: Ball,
        what: str,
        hidden: Hidden = _REFERENCE,
        reach: PlainArray | None = None,
    ) -> Comparison:
        got, like = answer.got, answer.like
        if got is None:
            found = compare(np.zeros(ball.shape), ball, self.subject.fmt, what)
            why = f": {answer.why}" if answer.why else ""
            return Comparison(note=f"{what}: none came, one is due{why}") if found.wrong else found
        if got.dtype != like.dtype:
            return Comparison(note=f"{what} has dtype {got.dtype}, expected {like.dtype}")
        if got.device.type != like.device.type:
            return Comparison(note=f"{what} is on device {got.device}, expected {like.device}")
        return compare(as_array(got), ball, self.subject.fmt, what, hidden=hidden, reach=reach)

    def _reconsidered(
        self,
        answer: Answer,
        ball: Ball,
        what: str,
        k: int,
        draw: Draw,
        many: tuple[Seeds, ...],
        reach: PlainArray | None = None,
    ) -> Comparison:
        """The comparison with a bound for torch's formula, which may have larger intermediate results than the reference.

        reach   bounds of alternative formulas
        """
        found = self._compared(answer, ball, what, reach=reach)
        if not found.wrong or found.sharpness is None:
            return found
        loss, (typical, _) = self._loss(draw, many), found.sharpness.typical_and_largest()
        usual = loss if typical >= 1 else math.inf
        return self._compared(answer, ball, what, Hidden(loss, usual, self._largest(k, answer, many)), reach)

    def _largest(self, k: int, answer: Answer, many: tuple[Seeds, ...]) -> float:
        """The largest element of the k-th array in any draw without the seeds that are missing here, scaled to seeds of this size.

        Intermediate results are proportional to the products of the seeds. A second derivative depends on two seeds, so the largest
        element of a single draw is a poor estimate.
        """
        missing = tuple(t is None for group in many[0].groups() for t in group)
        if missing not in self.most:
            self.most[missing] = []
            for draw in self.ordinary:
                some = tuple(_without_missing(seeds, many[0]) for seeds in self._batch(draw))
                balls = self.order.expected([self.subject.derivatives(s) for s in some], False)
                self.most[missing].append((some, [_greatest(ball) for ball in balls]))
        units = [(size, sizes[k]) for some, sizes in self.most[missing] if (size := _size(answer, some))]
        return _size(answer, many) * max((most / size for size, most in units), default=0.0)

    def _loss(self, draw: Draw, many: tuple[Seeds, ...]) -> float:
        """The relative error that the roundings of torch's operations for this order can add up to."""
        if self.loss is None:
            placed = Placed(self.subject, draw.layout, many)
            count = counted_while(lambda: self.order.evaluate(self.subject.in_torch, placed.xs, placed.many))
            self.loss = self.subject.fmt.u * count
        return self.loss

    def _repeated(self, one: Answer, other: Answer, question: Question) -> None:
        if one.got is None or other.got is None:
            return
        first, second = as_array(one.got), as_array(other.got)
        with np.errstate(invalid="ignore"):
            same = (first == second) | (np.isnan(first) & np.isnan(second))
            apart = np.where(same, 0.0, np.abs(first - second))
        if apart.size and not np.max(apart) <= self.nondet_tol:
            what, index = self._named(one)
            note = f"{what}: asked twice, the answers differ by up to {np.max(apart):.3g}; nondet_tol allows {self.nondet_tol:.3g}"
            self.aggregation.add(what, Comparison(note=note), question, (), index, partial(_array, other))


def _array(answer: Answer) -> PlainArray | None:
    return as_array_or_none(answer.got)


def _without_missing(seeds: Seeds, given: Seeds) -> Seeds:
    """The seeds without those that are missing in the given ones."""
    y_bars, x_dots, y_bar_dots, x_dots_again = (
        tuple(None if g is None else t for t, g in zip(all_, some, strict=True))
        for all_, some in zip(seeds.groups(), given.groups(), strict=True)
    )
    return Seeds(y_bars, x_dots, y_bar_dots, x_dots_again)


def _size(answer: Answer, many: tuple[Seeds, ...]) -> float:
    return max(seeds.size(answer.what) for seeds in many)


def _greatest(ball: Ball) -> float:
    size = np.abs(ball.value[np.isfinite(ball.value)])
    return float(size.max()) if size.size else 0.0
