"""Second derivatives in torch, in each order of nesting its two modes, and first derivatives of several seeds at once.

An order is asked with fresh leaves at each call. An answer of None means that torch found no path to the leaf: it stands for zero.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import BackwardCFunction

from refgrad.testing.judging.nested_orders import Nested
from refgrad.torch.forward_mode import dual_level, func_jvp
from refgrad.tracing.ball import Ball

Function = Callable[..., tuple[Tensor, ...]]  # of the inputs that are differentiated, to the outputs that are

# The names of the arrays, each with the place of the index of the input or output that it belongs to.
SECOND_GRADIENT = "second gradient of input {}"
OF_COTANGENT = "gradient of cotangent {}"
OF_TANGENT = "gradient of the tangent of input {}"
TANGENT_OF_GRADIENT = "tangent of the gradient of input {}"
SECOND_TANGENT = "second tangent of output {}"
GRADIENTS = "gradients of input {}"  # of several cotangents
TANGENTS = "tangents of output {}"  # of several tangents

_NO_GRAPH = (
    "the gradients carry no graph, though create_graph=True asked for one; a backward without a derivative is to be marked with "
    "once_differentiable"
)


class NotOfferedError(Exception):
    """torch does not offer this order for this function, though it says nothing; the message says so in its place."""


@dataclass(frozen=True)
class Seeds:
    """Tensors along which second derivatives are taken. None: none is given there, and zero is meant.

    y_bars, y_bar_dots    one for each output of the function
    x_dots, x_dots_again  one for each input
    """

    y_bars: tuple[Tensor | None, ...]
    x_dots: tuple[Tensor | None, ...]
    y_bar_dots: tuple[Tensor | None, ...]
    x_dots_again: tuple[Tensor | None, ...]

    def groups(self) -> tuple[tuple[Tensor | None, ...], ...]:
        """All of them, in the order in which they stand here, and in which the evidence of a wrong answer keeps them."""
        return self.y_bars, self.x_dots, self.y_bar_dots, self.x_dots_again

    def size(self, what: str) -> float:
        """How the elements of an array of this name grow with the seeds: the product of the largest of those that it is linear in."""
        y_bar, x_dot, y_bar_dot, x_dot_again = (
            max((float(t.abs().max()) for t in group if t is not None and t.numel()), default=0.0)
            for group in self.groups()
        )
        return {
            SECOND_GRADIENT: y_bar * x_dot,
            OF_COTANGENT: x_dot,
            OF_TANGENT: y_bar,
            TANGENT_OF_GRADIENT: max(y_bar * x_dot, y_bar_dot),
            SECOND_TANGENT: x_dot * x_dot_again,
            GRADIENTS: y_bar,
            TANGENTS: x_dot,
        }[what]


@dataclass(frozen=True)
class Answer:
    """What torch gave for one array, which belongs to the input or to the output at ``index``."""

    what: str  # one of the names above
    index: int
    got: Tensor | None
    like: Tensor  # that input or output, whose dtype and device are due
    why: str = ""  # where there is none: what is known of the reason


Answers = list[Answer | None]  # None: it was not asked for


@dataclass(frozen=True)
class Order:
    """One order of nesting.

    ask   of a function, its inputs (without a graph) and as many Seeds as ``batch`` says: the answers
    due   of the derivatives of the reference along the same Seeds: what is due for each answer, in the same order; with True the bound is
          the widest of all orders that give it, with False that of this order
    """

    name: str
    ask: Callable[[Function, Sequence[Tensor], Sequence[Seeds]], Answers]
    due: Callable[[Sequence[Nested], bool], list[Ball]]
    batch: int = 1
    varied: str = ""  # which Seeds differ within a batch


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()


def leaves_of(xs: Sequence[Tensor]) -> list[Tensor]:
    """The inputs, each at the beginning of a new graph."""
    return [_leaf(x) for x in xs]


def some(*lists: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The entries of lists of equal length where none of them is None."""
    return [entry for entry in zip(*lists, strict=True) if all(x is not None for x in entry)]


def _gradients(
    ys: Sequence[Tensor], xs: Sequence[Tensor], y_bars: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of xs, with the graph that they were computed by. Where no output is left, there is none."""
    used = [(y, y_bar) for y, y_bar in some(ys, y_bars) if y.requires_grad]
    if not used:
        return [None] * len(xs)
    found = torch.autograd.grad(
        [y for y, _ in used], xs, [y_bar for _, y_bar in used], create_graph=True, allow_unused=True
    )
    return list(found)


def reverse_of_gradients(
    f: Function, xs: Sequence[Tensor], many: Sequence[Seeds], *, at_once: bool
) -> Answers:
    """Double backward; ``at_once``: of the tangents of all Seeds, with the cotangents of the first."""
    leaves = leaves_of(xs)
    y_bars = [None if y_bar is None else _leaf(y_bar) for y_bar in many[0].y_bars]
    ys = f(*leaves)
    x_bars = _gradients(ys, leaves, y_bars)
    _heed_errors(x_bars)
    x_dots = across([seeds.x_dots for seeds in many])
    weights = [same and (torch.stack(same) if at_once else same[0]) for same in x_dots]
    pairs = [(g, w) for g, w in some(x_bars, weights) if g.requires_grad]
    wanted = [*leaves, *[y_bar for y_bar in y_bars if y_bar is not None]]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    if pairs:
        found = torch.autograd.grad(
            [g for g, _ in pairs], wanted, [w for _, w in pairs], allow_unused=True, is_grads_batched=at_once
        )
    why = "" if pairs else _NO_GRAPH
    return answers(SECOND_GRADIENT, found[: len(xs)], xs, why=why) + answers(
        OF_COTANGENT, _spread(found[len(xs) :], y_bars), ys, y_bars, why
    )


def answers(
    what: str,
    found: Sequence[Tensor | None],
    like: Sequence[Tensor],
    asked: Sequence[Tensor | None] | None = None,
    why: str = "",
) -> Answers:
    """One answer for each input or output; for those without a seed in ``asked`` none was asked for."""
    return [
        None if asked is not None and asked[k] is None else Answer(what, k, got, x, why)
        for k, (got, x) in enumerate(zip(found, like, strict=True))
    ]


def _spread(found: Sequence[Tensor | None], seeds: Sequence[Tensor | None]) -> list[Tensor | None]:
    """What was found for the seeds that are there, in the places of these."""
    rest = iter(found)
    return [None if seed is None else next(rest) for seed in seeds]


def across(many: Sequence[Sequence[Tensor | None]]) -> list[Any]:
    """For each place in lists of equal length the tensors that stand there; None where there are none."""
    return [None if same[0] is None else same for same in zip(*many, strict=True)]


def _reverse_over_reverse(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    return reverse_of_gradients(f, xs, many, at_once=False)


def _forward_over_reverse(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    (seeds,) = many
    with dual_level():
        leaves = [_moved(_leaf(x), x_dot) for x, x_dot in zip(xs, seeds.x_dots, strict=True)]
        y_bars = [
            y_bar if y_bar is None else _moved(y_bar.detach(), y_bar_dot)
            for y_bar, y_bar_dot in zip(seeds.y_bars, seeds.y_bar_dots, strict=True)
        ]
        x_bars = _gradients(f(*leaves), leaves, y_bars)
        tangents = [None if g is None else forward_ad.unpack_dual(g).tangent for g in x_bars]
    return answers(TANGENT_OF_GRADIENT, tangents, xs)


def _moved(x: Tensor, x_dot: Tensor | None) -> Tensor:
    return x if x_dot is None else forward_ad.make_dual(x, x_dot)


def _reverse_over_forward(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    """By torch.autograd.forward_ad; by torch.func where that fails: of a softmax, forward_ad writes over what the backward needs."""
    (seeds,) = many
    try:
        return _reverse_over_dual(f, xs, seeds)
    except Exception:
        try:
            return _vjp_of_jvp(f, xs, seeds)
        except Exception:  # noqa: BLE001, S110  most Functions have no rules for torch.func: what was said first counts
            pass
        raise


def _reverse_over_dual(f: Function, xs: Sequence[Tensor], seeds: Seeds) -> Answers:
    leaves = leaves_of(xs)
    x_dots = [None if x_dot is None else _leaf(x_dot) for x_dot in seeds.x_dots]
    wanted = [*leaves, *[x_dot for x_dot in x_dots if x_dot is not None]]
    with dual_level():
        ys = f(*[_moved(x, x_dot) for x, x_dot in zip(leaves, x_dots, strict=True)])
        y_dots = [forward_ad.unpack_dual(y).tangent for y in ys]
        pairs = [(t, w) for t, w in some(y_dots, seeds.y_bars) if t.requires_grad]
        _heed_errors([t for t, _ in pairs])
        found: Sequence[Tensor | None] = [None] * len(wanted)
        if pairs:
            found = torch.autograd.grad(
                [t for t, _ in pairs], wanted, [w for _, w in pairs], allow_unused=True
            )
    return answers(SECOND_GRADIENT, found[: len(xs)], xs) + answers(
        OF_TANGENT, _spread(found[len(xs) :], x_dots), xs, x_dots
    )


def _vjp_of_jvp(f: Function, xs: Sequence[Tensor], seeds: Seeds) -> Answers:
    moving = [k for k, t in enumerate(seeds.x_dots) if t is not None]

    def tangent(*given: Tensor) -> tuple[Tensor, ...]:
        full = given[: len(xs)]

        def of_moving(*own: Tensor) -> tuple[Tensor, ...]:
            return f(*placed(full, moving, own))

        found: tuple[Tensor, ...] = func_jvp(of_moving, [full[k] for k in moving], given[len(xs) :])[1]
        return found

    y_dots, pullback = torch.func.vjp(tangent, *xs, *[seeds.x_dots[k] for k in moving])
    weights = [torch.zeros_like(t) if w is None else w for t, w in zip(y_dots, seeds.y_bars, strict=True)]
    found = pullback(tuple(weights))
    return answers(SECOND_GRADIENT, found[: len(xs)], xs) + answers(
        OF_TANGENT, _spread(found[len(xs) :], seeds.x_dots), xs, seeds.x_dots
    )


def _forward_over_forward(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    (seeds,) = many
    ys = f(*leaves_of(xs))
    moving = [k for k, t in enumerate(seeds.x_dots) if t is not None]
    moving_again = [k for k, t in enumerate(seeds.x_dots_again) if t is not None]

    def inner(*some: Tensor) -> tuple[Tensor, ...]:
        full = placed(xs, moving_again, some)

        def of_moving(*own: Tensor) -> tuple[Tensor, ...]:
            return f(*placed(full, moving, own))

        found: tuple[Tensor, ...] = func_jvp(
            of_moving, [full[k] for k in moving], [seeds.x_dots[k] for k in moving]
        )[1]
        return found

    _, found = func_jvp(inner, [xs[k] for k in moving_again], [seeds.x_dots_again[k] for k in moving_again])
    if written_in_python(ys) and _loses_outer_tangents():
        raise NotOfferedError(
            "torch loses the outer tangent of nested torch.func.jvp at an autograd.Function, and returns zeros"
        )
    return answers(SECOND_TANGENT, found, ys)


def placed(xs: Sequence[Tensor], positions: Sequence[int], new: Sequence[Tensor]) -> list[Tensor]:
    """All inputs, with new ones at some positions."""
    full = list(xs)
    for k, x in zip(positions, new, strict=True):
        full[k] = x
    return full


def written_in_python(ys: Sequence[Tensor]) -> bool:
    """Whether a torch.autograd.Function took part in computing these tensors."""
    return any(isinstance(node, BackwardCFunction) for node in _nodes(ys))


def _nodes(tensors: Sequence[Tensor | None]) -> Iterator[Any]:
    """The nodes of the graphs that the tensors were computed by, each once."""
    waiting = [t.grad_fn for t in tensors if t is not None and t.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        yield node
        for after, _ in node.next_functions:
            if after is not None and after not in seen:
                seen.add(after)
                waiting.append(after)


def _heed_errors(tensors: Sequence[Tensor | None]) -> None:
    """Raise what torch would say on a plain backward through these tensors.

    ``once_differentiable`` puts a node into the graph that raises. ``torch.autograd.grad`` asked for certain inputs does not run it: no
    path leads from it to them, and they get None, or the part of the derivative that has another path.
    """
    for node in _nodes(tensors):
        if node.name() == "torch::autograd::Error":
            with torch.no_grad():
                node(torch.zeros(()))


class _Cube(torch.autograd.Function):
    """x^3, right in every order: what torch makes of it says what torch can do."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG004  torch's signature
        ctx.save_for_forward(*inputs)

    @staticmethod
    def jvp(ctx: Any, x_dot: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * x_dot


@functools.cache
def _loses_outer_tangents() -> bool:
    """Whether a nested torch.func.jvp gives zero for a Function whose second derivative is not zero, in this release of torch."""
    one = torch.ones(())

    def tangent(x: Tensor) -> Tensor:
        found: Tensor = func_jvp(_Cube.apply, (x,), (one,))[1]
        return found

    return bool(func_jvp(tangent, (one,), (one,))[1] == 0)


def single(order: str, names: str) -> Callable[[Sequence[Nested], bool], list[Ball]]:
    """What is due along one set of seeds: by the order alone, or the derivatives of these names, joined by +, with the widest bounds."""

    def due(many: Sequence[Nested], every: bool) -> list[Ball]:
        (nested,) = many
        if not every:
            return nested.alone(order)
        return [ball for name in names.split("+") for ball in getattr(nested, name)]

    return due


def _order(name: str, ask: Callable[..., Answers], names: str) -> Order:
    return Order(name, ask, single(name, names))


REVERSE_OVER_REVERSE = _order("reverse over reverse", _reverse_over_reverse, "second_gradient+tangent")
FORWARD_OVER_REVERSE = _order("forward over reverse", _forward_over_reverse, "tangent_of_gradient")
REVERSE_OVER_FORWARD = _order("reverse over forward", _reverse_over_forward, "second_gradient+gradient")
FORWARD_OVER_FORWARD = _order("forward over forward", _forward_over_forward, "second_tangent")
ORDERS = {
    order.name: order
    for order in (
        REVERSE_OVER_REVERSE,
        FORWARD_OVER_REVERSE,
        REVERSE_OVER_FORWARD,
        FORWARD_OVER_FORWARD,
    )
}
