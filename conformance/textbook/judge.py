"""Puts one gradient before the judge four times: reference forward, reference reverse, the formula written out, torch.

Each way is run in the format that is judged, as anybody would run it, and again over Balls, which say how far rounding may take
that very program. The reference's reverse mode over Balls is the centre of all comparisons; nothing is chosen by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

import refgrad as rg
from refgrad.bounds.formats import format_of
from refgrad.bounds.rules import reference_slack
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.verdict import Comparison
from refgrad.tracing.ball import Ball, exact, parts

from .outcome import CLOSED, FORWARD, OTHER, REVERSE, TORCH, Outcome
from .record import Array, Formula, Item, Problem, in_format, lifted


def examine(
    item: Item, dtypes: Sequence[str], devices: Sequence[str] = ("cpu",), *, full: bool = False
) -> Outcome:
    """Judge an item in those of the formats that it is for; runs and measurements are the CPU's.

    With ``full``, long items judge every step and block, not a sample of them.
    """
    outcome = Outcome(item.id, full)
    for dtype in item.dtypes:
        for device in devices if dtype in dtypes else ():
            for problem in item.problems:
                Trial(problem, dtype, device).judge(outcome)
    if item.more is not None and "cpu" in devices:
        item.more(outcome)
    return outcome


class Trial:
    """One problem in one format on one device."""

    def __init__(self, problem: Problem, dtype: str, device: str = "cpu") -> None:
        self.problem, self.dtype, self.device = problem, dtype, device
        self.fmt = format_of(dtype, device)
        self.wrt = problem.differentiated()
        self.args = problem.arrays(dtype)
        self.balls = lifted(self.args, dtype, device)
        self.upstream = None if problem.upstream is None else in_format(problem.upstream, dtype)
        self.centres = [parts(x) for x in self.reverse(self.balls)]
        self.radii = [radius for _, radius in self.centres]

    # --- four ways ---

    def forward(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Forward mode, one tangent an element."""
        f, y_bar = self.problem.f, self._above(args)
        found: tuple[Any, ...] = rg.jacfwd(
            f if y_bar is None else lambda *xs: np.sum(y_bar * f(*xs)), self.wrt
        )(*args)
        return found

    def reverse(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Reverse mode, one pullback an element of the result, or one alone for the upstream gradient."""
        f = self.problem.f
        if self.upstream is None:
            found: tuple[Any, ...] = rg.jacrev(f, self.wrt)(*args)
            return found
        _, pullback = rg.vjp(lambda *xs: f(*_placed(args, self.wrt, xs)), *[args[k] for k in self.wrt])
        return pullback(self._above(args))

    def written(self, formula: Formula, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """A formula for the gradient."""
        found = formula(*args) if self.upstream is None else formula(self._above(args), *args)
        return tuple(found) if isinstance(found, (tuple, list)) else (found,)

    def _above(self, args: tuple[Any, ...]) -> Any:
        """The upstream gradient, as a Ball where the arguments are Balls: sums of it round, too."""
        if self.upstream is None or args is not self.balls:
            return self.upstream
        return exact(self.upstream, self.fmt)

    def torch(self) -> tuple[Array, list[Array]]:
        """torch's value and gradients."""
        tensors = [torch.from_numpy(np.array(x)).to(self.device) for x in self.args]
        leaves = [tensors[k].requires_grad_() for k in self.wrt]
        y = self.problem.torch(*tensors)
        y, asked = y if isinstance(y, tuple) else (y, leaves)
        seeds: Iterator[Tensor]
        if self.upstream is None:
            units = torch.eye(y.numel(), dtype=y.dtype, device=y.device)
            seeds = (unit.reshape(y.shape) for unit in units)
        else:
            seeds = iter([torch.from_numpy(self.upstream.copy()).to(y)])
        rows = [torch.autograd.grad(y, asked, seed, retain_graph=True, allow_unused=True) for seed in seeds]
        stacked = []
        for k, x in enumerate(asked):
            whole = torch.stack([torch.zeros_like(x) if row[k] is None else row[k] for row in rows])
            shape = x.shape if self.upstream is not None else (*y.shape, *x.shape)
            stacked.append(_array(whole.reshape(shape)))
        return _array(y), stacked

    # --- comparing ---

    def judge(self, outcome: Outcome) -> None:
        """Compare all ways and the value, then plant errors in the formula and in what torch said."""
        p = self.problem
        value = p.f(*self.balls)
        self._value(outcome, REVERSE, p.f(*self.args), value)
        self._gradients(outcome, FORWARD, self.forward(self.args), self.forward(self.balls))
        self._gradients(outcome, REVERSE, self.reverse(self.args), None)
        for mode, name, formula in ((CLOSED, CLOSED, p.closed), *((OTHER, n, f) for n, f in p.also.items())):
            got, reach = self.written(formula, self.args), self.written(formula, self.balls)
            self._gradients(outcome, mode, got, reach, name)
            if mode == CLOSED:
                self._plant(outcome, mode, got, reach)
        y, gradients = self.torch()
        self._value(outcome, TORCH, y, value)
        self._gradients(outcome, TORCH, gradients, None)
        self._plant(outcome, TORCH, gradients, None)

    def compared(self, got: Sequence[Any], reach: Sequence[Any] | None, what: str) -> list[Comparison]:
        """Gradients of one way against the reference's, within what rounding does to that way (None: to the reference's program)."""
        if len(got) != len(self.centres):
            return [Comparison(note=f"{what} gives {len(got)} gradients, {len(self.centres)} are due")]
        found = []
        radii = self.radii if reach is None else [parts(x)[1] for x in reach]
        rest = reference_slack(self.fmt) - 1  # the centre rounds, too, in the wide format
        for k, (x_bar, (centre, own), radius) in enumerate(zip(got, self.centres, radii, strict=True)):
            name = f"{what}: gradient {k}" if len(got) > 1 else f"{what}: gradient"
            if np.shape(x_bar) != np.shape(centre) or np.shape(radius) != np.shape(centre):
                found.append(
                    Comparison(note=f"{name} has shape {np.shape(x_bar)}, expected {np.shape(centre)}")
                )
                continue
            found.append(compare(x_bar, Ball(centre, radius + rest * own, self.fmt), self.fmt, name))
        return found

    def _gradients(
        self, outcome: Outcome, mode: str, got: Sequence[Any], reach: Sequence[Any] | None, name: str = ""
    ) -> None:
        for c in self.compared(got, reach, name or mode):
            outcome.add(mode, c, self.dtype, self.device)

    def _value(self, outcome: Outcome, mode: str, got: Any, expected: Any) -> None:
        outcome.add(
            mode, compare(np.asarray(got), expected, self.fmt, f"{mode}: value"), self.dtype, self.device
        )

    # --- planting ---

    def _plant(self, outcome: Outcome, mode: str, got: Sequence[Any], reach: Sequence[Any] | None) -> None:
        for name, wrong in PLANTED.items():
            for k, x_bar in enumerate(got):
                made = wrong(np.asarray(x_bar))
                count = outcome.planted[f"{mode}: {name}", self.dtype]
                count[0] += 1
                count[1] += bool(np.array_equal(made, x_bar))
                planted = [*got[:k], made, *got[k + 1 :]]
                count[2] += any(c.wrong or c.note for c in self.compared(planted, reach, mode))


def one_element(x: Array) -> Array:
    """The largest element wrong by a thousandth of itself."""
    x = np.array(x)
    k = np.unravel_index(np.argmax(np.abs(x)), x.shape)
    x[k] = x[k] * x.dtype.type(1.001)
    return x


PLANTED: dict[str, Callable[[Array], Array]] = {"sign": np.negative, "one element by 1e-3": one_element}


def _placed(args: tuple[Any, ...], wrt: tuple[int, ...], xs: tuple[Any, ...]) -> list[Any]:
    full = list(args)
    for k, x in zip(wrt, xs, strict=True):
        full[k] = x
    return full


def _array(t: Tensor) -> Array:
    return t.detach().cpu().numpy()
