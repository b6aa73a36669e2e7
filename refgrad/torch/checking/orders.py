"""Second derivatives in torch, in each order of nesting reverse and forward mode, and the parts that batched derivatives share.

Every call creates new leaves. A gradient of None means that the graph has no path to the leaf; it stands for zero.
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
from refgrad.torch.checking.outer_tangents import loses_outer_tangents
from refgrad.torch.forward_mode import dual_level, func_jvp, make_dual
from refgrad.tracing.ball import Ball

Function = Callable[..., tuple[Tensor, ...]]  # from the differentiated inputs to the differentiated outputs

# The names of the arrays, with a placeholder for the index of the input or output.
SECOND_GRADIENT = "second gradient of input {}"
OF_COTANGENT = "gradient of cotangent {}"
OF_TANGENT = "gradient of the tangent of input {}"
TANGENT_OF_GRADIENT = "tangent of the gradient of input {}"
SECOND_TANGENT = "second tangent of output {}"
GRADIENTS = "gradients of input {}"  # for several cotangents
TANGENTS = "tangents of output {}"  # for several tangents

_NO_GRAPH = (
    "the gradients carry no graph, though create_graph=True asked for one; a backward without a derivative is to be marked with "
    "once_differentiable"
)


class NotOfferedError(Exception):
    """torch does not support this order for this function and raises nothing itself. The message gives the reason."""


@dataclass(frozen=True)
class Seeds:
    """Cotangents and tangents of second derivatives. None stands for one that is not given, and means zero.

    y_bars, y_bar_dots     cotangents of the outputs and their tangents, one for each output, of its shape
    x_dots, x_dots_again   tangents of the inputs, one for each input, of its shape
    constant               whether the cotangents require no gradient, as that of a loss, which is 1
    frozen                 positions of the inputs that require no gradient, as frozen weights
    after_negated          whether the negated tangents of the inputs are asked of the same graph before
    """

    y_bars: tuple[Tensor | None, ...]
    x_dots: tuple[Tensor | None, ...]
    y_bar_dots: tuple[Tensor | None, ...]
    x_dots_again: tuple[Tensor | None, ...]
    constant: bool = False
    frozen: frozenset[int] = frozenset()
    after_negated: bool = False

    @property
    def of_double_backward(self) -> bool:
        """Whether they are for double backward alone."""
        return self.constant or bool(self.frozen) or self.after_negated

    def groups(self) -> tuple[tuple[Tensor | None, ...], ...]:
        """The four groups, in the order of the fields and of the seeds in evidence."""
        return self.y_bars, self.x_dots, self.y_bar_dots, self.x_dots_again

    def of_moving(self, each: tuple[Any, ...]) -> tuple[Any, ...]:
        """The entries, one for each input, of the inputs that require a gradient."""
        return tuple(x for k, x in enumerate(each) if k not in self.frozen)

    def groups_of_moving(self) -> tuple[tuple[Tensor | None, ...], ...]:
        """The four groups without the entries of frozen inputs."""
        return self.y_bars, self.of_moving(self.x_dots), self.y_bar_dots, self.of_moving(self.x_dots_again)

    def size(self, what: str) -> float:
        """The scale of the array with this name: the product of the largest elements of the seeds in which it is linear."""
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
    """The answer of torch for one array.

    what    one of the names above
    index   of the input or output
    got     None where torch gave none
    like    the input or output, whose dtype and device the array must have
    why     the reason for a missing array, as far as it is known
    """

    what: str
    index: int
    got: Tensor | None
    like: Tensor
    why: str = ""


Answers = list[Answer | None]  # None: not requested


@dataclass(frozen=True)
class Order:
    """One order of nesting.

    evaluate   computes the answers in torch from a function, its inputs (without a graph) and ``batch`` Seeds
    expected   the reference value of each answer, from the reference's derivatives for the same Seeds. The second argument selects the
               bound: True for the widest over all orders that give the array, False for that of this order
    batch      number of Seeds
    varied     the group in which the Seeds of a batch differ
    """

    name: str
    evaluate: Callable[[Function, Sequence[Tensor], Sequence[Seeds]], Answers]
    expected: Callable[[Sequence[Nested], bool], list[Ball]]
    batch: int = 1
    varied: str = ""


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()


def leaves_of(xs: Sequence[Tensor]) -> list[Tensor]:
    """New leaves with the values of the inputs."""
    return [_leaf(x) for x in xs]


def present(*lists: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The tuples of corresponding entries of lists of equal length, without those that contain None."""
    return [entry for entry in zip(*lists, strict=True) if all(x is not None for x in entry)]


def _gradients(
    ys: Sequence[Tensor], xs: Sequence[Tensor], y_bars: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of xs with their graph; None for each where no output requires a gradient."""
    used = [(y, y_bar) for y, y_bar in present(ys, y_bars) if y.requires_grad]
    if not used:
        return [None] * len(xs)
    found = torch.autograd.grad(
        [y for y, _ in used], xs, [y_bar for _, y_bar in used], create_graph=True, allow_unused=True
    )
    return list(found)


def reverse_of_gradients(
    f: Function, xs: Sequence[Tensor], many: Sequence[Seeds], *, at_once: bool
) -> Answers:
    """Double backward. With ``at_once``, for the tangents of all Seeds, with the cotangents of the first."""
    seeds = many[0]
    leaves = [x.detach() if k in seeds.frozen else _leaf(x) for k, x in enumerate(xs)]
    moving = [None if k in seeds.frozen else x for k, x in enumerate(leaves)]
    y_bars = [None if y_bar is None else _leaf(y_bar) for y_bar in seeds.y_bars]
    varied = [None] * len(y_bars) if seeds.constant else y_bars
    ys = f(*leaves)
    required = [x for x in moving if x is not None]
    x_bars = _in_positions(_gradients(ys, required, seeds.y_bars if seeds.constant else y_bars), moving)
    _raise_recorded_errors(x_bars)
    x_dots = by_position([seeds.x_dots for seeds in many])
    weights = [same and (torch.stack(same) if at_once else same[0]) for same in x_dots]
    pairs = [(g, w) for g, w in present(x_bars, weights) if g.requires_grad]
    targets = [*required, *[y_bar for y_bar in varied if y_bar is not None]]

    pull = functools.partial(
        torch.autograd.grad, [g for g, _ in pairs], targets, allow_unused=True, is_grads_batched=at_once
    )
    if pairs and seeds.after_negated:
        pull([-w for _, w in pairs], retain_graph=True)
    found = pull([w for _, w in pairs]) if pairs else [None] * len(targets)
    why = "" if pairs else _NO_GRAPH
    n = len(required)
    return answers(SECOND_GRADIENT, _in_positions(found[:n], moving), xs, moving, why) + answers(
        OF_COTANGENT, _in_positions(found[n:], varied), ys, varied, why
    )


def answers(
    what: str,
    found: Sequence[Tensor | None],
    like: Sequence[Tensor],
    seeds: Sequence[Tensor | None] | None = None,
    why: str = "",
) -> Answers:
    """One answer for each input or output; None for those without a seed in ``seeds``."""
    return [
        None if seeds is not None and seeds[k] is None else Answer(what, k, got, x, why)
        for k, (got, x) in enumerate(zip(found, like, strict=True))
    ]


def _in_positions(found: Sequence[Tensor | None], seeds: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The results for the given seeds at the positions of these seeds; None at the others."""
    rest = iter(found)
    return [None if seed is None else next(rest) for seed in seeds]


def by_position(many: Sequence[Sequence[Tensor | None]]) -> list[Any]:
    """By position in lists of equal length, the tensors at that position; None where there are none."""
    return [None if same[0] is None else same for same in zip(*many, strict=True)]


def _reverse_over_reverse(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    return reverse_of_gradients(f, xs, many, at_once=False)


def _forward_over_reverse(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    (seeds,) = many
    with dual_level():
        leaves = [_dual(_leaf(x), x_dot) for x, x_dot in zip(xs, seeds.x_dots, strict=True)]
        y_bars = [
            y_bar if y_bar is None else _dual(y_bar.detach(), y_bar_dot)
            for y_bar, y_bar_dot in zip(seeds.y_bars, seeds.y_bar_dots, strict=True)
        ]
        x_bars = _gradients(f(*leaves), leaves, y_bars)
        tangents = [None if g is None else forward_ad.unpack_dual(g).tangent for g in x_bars]
    return answers(TANGENT_OF_GRADIENT, tangents, xs)


def _dual(x: Tensor, x_dot: Tensor | None) -> Tensor:
    return x if x_dot is None else make_dual(x, x_dot)


def _reverse_over_forward(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    """By torch.autograd.forward_ad; where that fails, by torch.func: for softmax, forward_ad overwrites a tensor that backward needs."""
    (seeds,) = many
    try:
        return _reverse_over_dual(f, xs, seeds)
    except Exception:
        try:
            return _vjp_of_jvp(f, xs, seeds)
        except Exception:  # noqa: BLE001, S110  most Functions do not support torch.func: the first exception counts
            pass
        raise


def _reverse_over_dual(f: Function, xs: Sequence[Tensor], seeds: Seeds) -> Answers:
    leaves = leaves_of(xs)
    x_dots = [None if x_dot is None else _leaf(x_dot) for x_dot in seeds.x_dots]
    targets = [*leaves, *[x_dot for x_dot in x_dots if x_dot is not None]]
    with dual_level():
        ys = f(*[_dual(x, x_dot) for x, x_dot in zip(leaves, x_dots, strict=True)])
        y_dots = [forward_ad.unpack_dual(y).tangent for y in ys]
        pairs = [(t, w) for t, w in present(y_dots, seeds.y_bars) if t.requires_grad]
        _raise_recorded_errors([t for t, _ in pairs])
        found: Sequence[Tensor | None] = [None] * len(targets)
        if pairs:
            found = torch.autograd.grad(
                [t for t, _ in pairs], targets, [w for _, w in pairs], allow_unused=True
            )
    return answers(SECOND_GRADIENT, found[: len(xs)], xs) + answers(
        OF_TANGENT, _in_positions(found[len(xs) :], x_dots), xs, x_dots
    )


def _vjp_of_jvp(f: Function, xs: Sequence[Tensor], seeds: Seeds) -> Answers:
    varied = [k for k, t in enumerate(seeds.x_dots) if t is not None]

    def tangent(*given: Tensor) -> tuple[Tensor, ...]:
        full = given[: len(xs)]

        def of_moving(*own: Tensor) -> tuple[Tensor, ...]:
            return f(*replaced(full, varied, own))

        found: tuple[Tensor, ...] = func_jvp(of_moving, [full[k] for k in varied], given[len(xs) :])[1]
        return found

    y_dots, pullback = torch.func.vjp(tangent, *xs, *[seeds.x_dots[k] for k in varied])
    weights = [torch.zeros_like(t) if w is None else w for t, w in zip(y_dots, seeds.y_bars, strict=True)]
    found = pullback(tuple(weights))
    return answers(SECOND_GRADIENT, found[: len(xs)], xs) + answers(
        OF_TANGENT, _in_positions(found[len(xs) :], seeds.x_dots), xs, seeds.x_dots
    )


def _forward_over_forward(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    (seeds,) = many
    ys = f(*leaves_of(xs))
    varied = [k for k, t in enumerate(seeds.x_dots) if t is not None]
    moving_again = [k for k, t in enumerate(seeds.x_dots_again) if t is not None]

    def inner(*present: Tensor) -> tuple[Tensor, ...]:
        full = replaced(xs, moving_again, present)

        def of_moving(*own: Tensor) -> tuple[Tensor, ...]:
            return f(*replaced(full, varied, own))

        found: tuple[Tensor, ...] = func_jvp(
            of_moving, [full[k] for k in varied], [seeds.x_dots[k] for k in varied]
        )[1]
        return found

    _, found = func_jvp(inner, [xs[k] for k in moving_again], [seeds.x_dots_again[k] for k in moving_again])
    if functions_of(ys) and loses_outer_tangents():
        raise NotOfferedError(
            "torch loses the outer tangent of nested torch.func.jvp at an autograd.Function, and returns zeros"
        )
    return answers(SECOND_TANGENT, found, ys)


def replaced(xs: Sequence[Tensor], positions: Sequence[int], new: Sequence[Tensor]) -> list[Tensor]:
    """The inputs, with replacements at some positions."""
    full = list(xs)
    for k, x in zip(positions, new, strict=True):
        full[k] = x
    return full


def functions_of(ys: Sequence[Tensor]) -> list[type[torch.autograd.Function]]:
    """The torch.autograd.Function of each node in the graphs of these tensors that has one."""
    return [type(node)._forward_cls for node in _nodes(ys) if isinstance(node, BackwardCFunction)]


def further_leaves(ys: Sequence[Tensor], leaves: Sequence[Tensor]) -> list[Tensor]:
    """The leaves in the graphs of these tensors that are not among ``leaves``."""
    known = set(map(id, leaves))
    found = [node.variable for node in _nodes(ys) if node.name() == "torch::autograd::AccumulateGrad"]
    return [x for x in found if id(x) not in known]


def _nodes(tensors: Sequence[Tensor | None]) -> Iterator[Any]:
    """The distinct nodes of the graphs of these tensors."""
    waiting = [t.grad_fn for t in tensors if t is not None and t.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        yield node
        for after, _ in node.next_functions:
            if after is not None and after not in seen:
                seen.add(after)
                waiting.append(after)


def _raise_recorded_errors(tensors: Sequence[Tensor | None]) -> None:
    """Raise the exceptions that a full backward through these tensors would raise.

    ``once_differentiable`` inserts a node that raises. ``torch.autograd.grad`` with given inputs does not run it, because no path leads
    from it to them: it returns None, or the part of the derivative from other paths.
    """
    for node in _nodes(tensors):
        if node.name() == "torch::autograd::Error":
            with torch.no_grad():
                node(torch.zeros(()))


def single(order: str, names: str) -> Callable[[Sequence[Nested], bool], list[Ball]]:
    """The reference values for one set of seeds: of one order, or of ``names``, joined by +, with the widest bounds."""

    def expected(many: Sequence[Nested], every: bool) -> list[Ball]:
        (nested,) = many
        if not every:
            return nested.alone(order)
        return [ball for name in names.split("+") for ball in getattr(nested, name)]

    return expected


def _order(name: str, evaluate: Callable[..., Answers], names: str) -> Order:
    return Order(name, evaluate, single(name, names))


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
