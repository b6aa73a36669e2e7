"""The reference at one point: values, gradients and tangents over Balls, with bounds for the judged format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.arguments import called, result
from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.errors import ArgumentError, DtypeError
from refgrad.quiet import quiet
from refgrad.torch.checking.arguments import outputs_of
from refgrad.tracing.ball import Ball, choosing_operations, exact, parts, rounded_operations
from refgrad.tracing.reached import over_balls
from refgrad.transforms import jvp, vjp

Expected = Ball | PlainArray  # a reference value: bounded, or exact


class Reference:
    """A NumPy function at given arguments.

    balls       the arguments: Balls for floating-point arrays, other objects as given
    active      positions of the differentiated arguments
    expected    one entry for each output: a Ball, or an array of integers or booleans
    others      outputs without a derivative, by position
    count       number of outputs
    rounded     by mode, the number of rounding operations of the reference
    choices     whether an operation chooses between equal elements, so that a derivative may not be unique
    """

    def __init__(
        self, function: Callable[..., Any], balls: Sequence[Any], active: Sequence[int], fmt: Format
    ) -> None:
        self.function, self.balls, self.active, self.fmt = function, list(balls), list(active), fmt
        self.others: dict[int, PlainArray] = {}
        self.count = 0
        self.rounded = {"value": 0, "reverse": 0, "forward": 0}
        self.choices = False
        before, chosen = rounded_operations(), choosing_operations()
        smooth, self._pullback = self._run()
        self.rounded["value"] = rounded_operations() - before
        self.choices |= choosing_operations() > chosen
        found = list(smooth)
        self.expected: list[Expected] = [
            self.others[k] if k in self.others else found.pop(0) for k in range(self.count)
        ]

    def _run(self) -> tuple[tuple[Ball, ...], Callable[[tuple[Ball, ...]], tuple[Ball, ...]] | None]:
        return vjp(self.smooth, *[self.balls[k] for k in self.active])

    def release(self) -> None:
        """Free the intermediate results. A later call of ``pull_back`` computes them again."""
        self._pullback = None

    def smooth(self, *xs: Any) -> tuple[Any, ...]:
        """The floating-point outputs, as a function of the active arguments."""
        full = list(self.balls)
        for k, x in zip(self.active, xs, strict=True):
            full[k] = x
        y = called(self.function, full)
        outputs = [result(x, "what reference returned") for x in outputs_of(y, "reference")]
        self.count = len(outputs)
        for k, x in enumerate(outputs):
            if x.dtype.kind == "c":
                raise DtypeError(
                    f"output {k} of reference is complex, and no input is: return its parts along a last axis, torch.view_as_real(y) in "
                    "func and np.stack([y.real, y.imag], -1) in reference"
                )
        self.others = {k: x for k, x in enumerate(outputs) if x.dtype.kind != "f"}
        return tuple(x for k, x in enumerate(outputs) if k not in self.others)

    @property
    def differentiable(self) -> list[int]:
        """The positions of the outputs with a derivative."""
        return [k for k in range(self.count) if k not in self.others]

    def shape(self, k: int) -> tuple[int, ...]:
        """The shape of output k."""
        return tuple(
            np.shape(self.expected[k]) if not isinstance(self.expected[k], Ball) else self.expected[k].shape
        )

    def check_count(self, outputs: int) -> None:
        """Raise ArgumentError where func has another number of outputs."""
        if outputs != self.count:
            raise ArgumentError(
                f"func returns {outputs} tensor(s), reference {self.count} array(s); they have to be the same function"
            )

    def pull_back(self, cotangents: Sequence[Expected | None]) -> list[Expected]:
        """The gradients of the active arguments for cotangents of all outputs: arrays, Balls, or None for zeros."""
        seeds = tuple(self._seed(cotangents[k], self.shape(k)) for k in self.differentiable)
        if self._pullback is None:
            _, self._pullback = self._run()
        assert self._pullback is not None
        before, chosen = rounded_operations(), choosing_operations()
        with over_balls():
            found: list[Expected] = list(self._pullback(seeds))
        self.choices |= choosing_operations() > chosen
        self.rounded["reverse"] = self.rounded["value"] + rounded_operations() - before
        return found

    def _seed(self, x: Expected | None, shape: tuple[int, ...]) -> Ball:
        return x if isinstance(x, Ball) else exact(np.zeros(shape) if x is None else x, self.fmt)

    def push_forward(self, tangents: Sequence[Expected | None]) -> list[Ball | None]:
        """The tangents of all outputs for tangents of the active arguments; None for an output without a derivative."""
        xs = [self.balls[k] for k in self.active]
        seeds = [self._seed(t, x.shape) for x, t in zip(xs, tangents, strict=True)]
        before = rounded_operations()
        _, found = jvp(self.smooth, xs, seeds)
        self.rounded["forward"] = rounded_operations() - before
        remaining = iter(found)
        return [None if k in self.others else next(remaining) for k in range(self.count)]

    def perturbed(self) -> Reference:
        """The reference for active arguments with an error of one rounding."""
        balls = [perturbed(x) if k in self.active else x for k, x in enumerate(self.balls)]
        return Reference(self.function, balls, self.active, self.fmt)

    def sensitivity_to_value(self, cotangent: PlainArray) -> PlainArray | None:
        """The change of the gradient per relative error of the value, for formulas that start from the value, as y(1 - y) for a sigmoid.

        For an elementwise function y = f(x) of one argument; None for any other. The gradient is c f'(x) for a cotangent c. An error dy of
        y corresponds to an error dy/f'(x) of x, which changes the gradient by c f''(x)/f'(x) dy. The return value is that for dy = |y|.
        """
        if len(self.active) != 1 or self.differentiable != [0] or self.count != 1:
            return None
        x, y = self.balls[self.active[0]].value, parts(self.expected[0])[0]
        if x.shape != y.shape:
            return None

        def gradient(x: PlainArray) -> PlainArray:
            return vjp(lambda x: self.smooth(x)[0], x)[1](np.asarray(cotangent, x.dtype))[0]

        with quiet():  # beside inputs that are not differentiated the results are Balls
            slope = parts(vjp(lambda x: self.smooth(x)[0], x)[1](np.ones(y.shape, y.dtype))[0])[0]
            g, moved = (parts(z)[0] for z in jvp(gradient, (x,), (np.abs(y) / np.abs(slope),)))
            near = np.abs(g - slope * cotangent) <= np.sqrt(np.finfo(x.dtype).eps) * np.abs(g)
            return np.abs(moved) if np.all(near | ~np.isfinite(g)) else None


def perturbed(x: Expected) -> Expected:
    """A Ball whose radius is one rounding of its centre."""
    return Ball(x.value, x.fmt.u * np.abs(x.value), x.fmt) if isinstance(x, Ball) else x
