"""One call of a function with a user-defined derivative: its arguments, the checks of what the rule returns, and the traced result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Any

import numpy as np

from refgrad import functions  # noqa: F401 - rules of users call NumPy functions, which traced arrays know from it
from refgrad.arguments import fitting, kind, outline, outputs_of, placed, result
from refgrad.arrays import Array
from refgrad.custom.transpose import Linear, transpose
from refgrad.errors import ArgumentError, TracingError
from refgrad.op import Traced, shape_of
from refgrad.quiet import quiet
from refgrad.tracing import views
from refgrad.tracing.copies import live, same, snapshot
from refgrad.tracing.cotangents import accumulate
from refgrad.tracing.forward import Dual
from refgrad.tracing.reverse import VARIABLES, Var, variable
from refgrad.tree import flatten, leaves_as, paths, same_structure

Pull = Callable[[list[Any]], list[Any]]


class Call:
    """The arguments of one call, those of the highest level lowered by one.

    The leaves of that level are the active ones. Tangents and cotangents are lists: of the arguments one for each active leaf,
    of the result one for each floating-point leaf.

    A rule is a user's code, which may write to arrays and use them again. What it gets and what it returns are copies.
    """

    def __init__(self, who: str, args: tuple[Any, ...], nondiff: tuple[int, ...]) -> None:
        self.who = who
        self.nondiff = tuple([args[k] for k in nondiff])
        self.positions = tuple([k for k in range(len(args)) if k not in nondiff])
        self.others = tuple([args[k] for k in self.positions])
        self.leaves, self.rebuild = flatten(self.others)
        for k, x in zip(nondiff, self.nondiff, strict=True):
            if max(_levels(x), default=0) > 0:
                raise TracingError(
                    f"{who}: argument {k} is being differentiated, but nondiff_argnums says that it has no derivative. "
                    "Leave it out of nondiff_argnums, or pass rg.stop_gradient of it."
                )
        self.top = max(
            [x for x in self.leaves if isinstance(x, Traced)], key=lambda x: x._level, default=None
        )
        self.level = 0 if self.top is None else self.top._level
        if isinstance(self.top, Dual) or type(self.top) in VARIABLES:
            self.active = [isinstance(x, Traced) and x._level == self.level for x in self.leaves]
            self.values = [live(x)._value if a else x for x, a in zip(self.leaves, self.active, strict=True)]
            self.given = [snapshot(x) if a else x for x, a in zip(self.values, self.active, strict=True)]
            self.primals = self.rebuild(self.given)
            self.lowered = tuple(placed(args, self.positions, self.primals))

    # --- what the rule gets ---

    def _chosen(self, xs: Sequence[Any]) -> list[Any]:
        return [x for x, a in zip(xs, self.active, strict=True) if a]

    def tangents(self) -> list[Array]:
        """The tangents that the active leaves carry, in forward mode."""
        return [snapshot(x._tangent) for x in self._chosen(self.leaves)]

    def tangent_trees(self, x_dots: list[Array]) -> tuple[Any, ...]:
        """Tangents of all arguments, in their structures: zeros where there is none."""
        given = iter(x_dots)
        full = [next(given) if a else _no_tangent(x) for x, a in zip(self.values, self.active, strict=True)]
        return self.rebuild(full)

    def cotangent_tree(self, y_bars: list[Array]) -> Any:
        """Cotangents of the result in its structure: zeros of float64 for integers."""
        given = iter(y_bars)
        full = [
            snapshot(next(given)) if y.dtype.kind in "fc" else np.zeros(shape_of(y)) for y in self.outputs
        ]
        return self.rebuild_result(full)

    # --- what the rule returns ---

    def pair(self, answer: Any, whose: str, expected: str) -> tuple[Any, Any]:
        """The two parts of what a rule returned."""
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise ArgumentError(
                f"{self.who}: {whose} returned {_counted(answer)}; a pair is expected: return {expected}"
            )
        return answer[0], answer[1]

    def result(self, y: Any, whose: str) -> None:
        """Keep the value that a rule returned."""
        leaves, self.rebuild_result = outputs_of(y, f"{self.who}: the value that {whose} returned")
        self.tree = y
        found = [result(x, f"{self.who}: the value that {whose} returned") for x in leaves]
        self.outputs = [snapshot(x) for x in found]
        self.aliases = [
            [
                x
                for x, given, a in zip(self.leaves, self.given, self.active, strict=True)
                if a and _aliases(y, given)
            ]
            for y in found
        ]
        self.refuse_strangers(y, f"the value that {whose} returned")
        for k, (x, given) in enumerate(zip(self.values, self.given, strict=True)):
            if self.active[k] and not same(x, given):
                raise TracingError(
                    f"{self.who}: {whose} wrote to an array that it was given, of shape {shape_of(x)}. In NumPy the caller sees such a "
                    "change, as a derivative it would be lost. Write to a copy: x = x.copy()."
                )

    def result_tangents(self, y_dot: Any, x_dots: list[Array]) -> list[Array]:
        """Tangents of the result, checked against it."""
        if not same_structure(self.tree, y_dot):
            raise ArgumentError(
                f"{self.who}: the rule returned a tangent of structure {outline(y_dot)}, its value has {outline(self.tree)}"
            )
        found = [
            snapshot(fitting(t, y, f"{self.who}: the tangent that the rule returned"))
            for y, t in zip(self.outputs, leaves_as(y_dot, self.tree), strict=True)
            if y.dtype.kind in "fc"
        ]
        self.refuse_strangers(found, "the tangent that the rule returned", x_dots)
        return found

    def cotangents(self, answer: Any, y_bars: list[Array]) -> list[Array]:
        """Cotangents of the active leaves, checked against all arguments."""
        if not isinstance(answer, (tuple, list)) or len(answer) != len(self.others):
            raise ArgumentError(
                f"{self.who}: bwd returned {_counted(answer)}; a tuple of {len(self.others)} is expected, one cotangent for each argument"
                f"{' (not for those in nondiff_argnums)' if self.nondiff else ''}, None for zeros"
            )
        found: list[Array | None] = []
        for k, x, x_bar in zip(self.positions, self.primals, answer, strict=True):
            if x_bar is None:
                found += [None] * len(flatten(x)[0])
                continue
            if not same_structure(x, x_bar, missing=True):
                raise ArgumentError(
                    f"{self.who}: bwd returned a cotangent of structure {outline(x_bar)} for argument {k}, which has {outline(x)}"
                )
            names = paths(x, f"argument {k}")
            for value, leaf, name in zip(
                flatten(x)[0], leaves_as(x_bar, x, missing=True), names, strict=True
            ):
                if not _floating(value) or leaf is None:
                    found.append(None)
                    continue
                x_bar = fitting(leaf, _as_array(value), f"{self.who}: the cotangent of {name} from bwd")
                found.append(snapshot(x_bar))
        self.refuse_strangers(found, "a cotangent from bwd", y_bars)
        return [
            np.zeros(shape_of(x), x.dtype) if x_bar is None else x_bar
            for x, x_bar in zip(self._chosen(self.values), self._chosen(found), strict=True)
        ]

    def refuse_strangers(self, tree: Any, what: str, given: Sequence[Any] = ()) -> None:
        """Raises TracingError for what is traced on this level or above it, though no argument of the rule is: it came from outside.

        Its derivative would be lost here. ``given`` are arguments that may be traced above.
        """
        limit = max([self.level - 1, 0, *_levels(given)])
        if any(k > limit or (k == self.level and k > 0) for k in _levels(tree)):
            raise TracingError(
                f"{self.who}: {what} depends on a traced array that is no argument (a closure), and its derivative would be lost. "
                "Pass the array as an argument, or rg.stop_gradient of it."
            )

    # --- the other mode ---

    def transpose_of_backward(self, back: Pull, what: str) -> Pull:
        """Tangents of the result from tangents of the active leaves, by the transpose of ``back``."""
        return transpose(back, self._zeros(self.outputs), what)

    def transpose_of_push(self, push: Pull, what: str) -> Pull:
        """Cotangents of the active leaves from those of the result, by the transpose of ``push``."""
        return transpose(push, self._zeros(self._chosen(self.values)), what)

    @staticmethod
    def _zeros(xs: Sequence[Array]) -> list[Array]:
        return [np.zeros(shape_of(x), x.dtype) for x in xs if x.dtype.kind in "fc"]

    # --- onto the level above ---

    def duals(self, y_dots: list[Array]) -> Any:
        """The result with its tangents."""
        given = iter(y_dots)
        return self._placed(lambda y: Dual(y, next(given), self.level))

    def variables(self, pull: Pull) -> Any:
        """The result on the tape, and ``pull`` for the way back."""
        assert isinstance(self.top, Var)
        tape = self.top._tape
        tape.check_thread()
        tape.append(Applied(pull, [x._index for x in self._chosen(self.leaves)], self._zeros(self.outputs)))
        place = len(tape) - 1

        def output(y: Array) -> Var:
            tape.append(Output(place, len(tape) - place - 1))
            return variable(y, tape)

        return self._placed(output)

    def _placed(self, above: Callable[[Array], Any]) -> Any:
        """The result with floating-point leaves traced by ``above``, which remember the arguments that share their memory in NumPy."""
        leaves = []
        for y, arguments in zip(self.outputs, self.aliases, strict=True):
            leaf = above(y) if y.dtype.kind in "fc" else y
            for x in arguments:
                views.share(x, leaf, None)
            leaves.append(leaf)
        return self.rebuild_result(leaves)


class Applied:
    """The entry of a call on the tape. Its cotangents are a dict: those of the results by their numbers."""

    __slots__ = ("context", "inputs", "rule", "zeros")

    def __init__(self, rule: Pull, inputs: list[int], zeros: list[Array]) -> None:
        self.rule = rule
        self.inputs = inputs
        self.zeros = zeros
        self.context = copy_context()  # the rule is a user's code, which may read context variables

    def pull(self, y_bars: dict[int, Array], bars: list[Any]) -> None:
        """Send the cotangents of all results to the arguments."""
        given = [y_bars.get(k, zero) for k, zero in enumerate(self.zeros)]
        context: Context = self.context.copy()
        for i, x_bar in zip(self.inputs, context.run(_quietly, self.rule, given), strict=True):
            accumulate(bars, i, x_bar)


class Output:
    """The entry of one result of a call; ``call`` is the place of the call."""

    __slots__ = ("call", "k")

    def __init__(self, call: int, k: int) -> None:
        self.call = call
        self.k = k

    def pull(self, y_bar: Array, bars: list[Any]) -> None:
        """Hand the cotangent to the call, which waits for those of its other results."""
        if bars[self.call] is None:
            bars[self.call] = {}
        bars[self.call][self.k] = y_bar


def _quietly(rule: Pull, y_bars: list[Any]) -> list[Any]:
    with quiet():
        return rule(y_bars)


def _levels(tree: Any) -> list[int]:
    """Levels of traced leaves; of an argument of a linear function also of what it was multiplied by."""
    traced = [x for x in flatten(tree)[0] if isinstance(x, Traced)]
    return [x._level for x in traced] + [k for x in traced if isinstance(x, Linear) for k in _levels(x._zero)]


def _as_array(x: Any) -> Any:
    return x if isinstance(x, (Traced, np.ndarray, np.generic)) else np.asarray(x)


def _floating(x: Any) -> bool:
    return isinstance(x, (float, complex)) or (
        isinstance(x, (Traced, np.ndarray, np.generic)) and x.dtype.kind in "fc"
    )


def _no_tangent(x: Any) -> Array | None:
    """Zeros for an array or a number that is not differentiated, None for anything else."""
    if isinstance(x, (Traced, np.ndarray, np.generic, int, float, complex)):
        x = _as_array(x)
        return np.zeros(x.shape, x.dtype if x.dtype.kind in "fc" else float)
    return None


def _aliases(y: Any, x: Any) -> bool:
    """Whether a result is an argument of the function, or may share its memory."""
    if y is x or views.same(y, x):
        return True
    return type(y) is np.ndarray and type(x) is np.ndarray and bool(np.may_share_memory(y, x))


def _counted(answer: Any) -> str:
    if isinstance(answer, (tuple, list)):
        return f"a {type(answer).__name__} of {len(answer)}"
    return kind(answer)
