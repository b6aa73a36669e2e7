"""vmap: a function of one example, applied to each entry of a leading axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arguments import function, kind, outline
from refgrad.containers import wordy
from refgrad.errors import ArgumentError
from refgrad.op import Traced
from refgrad.tree import flatten, leaves_as, paths, same_structure

Function = Callable[..., Any]
Axes = int | None | tuple[int | None, ...]


def vmap(f: Function, in_axes: Axes = 0, out_axes: int = 0) -> Function:
    """The function that applies f along an axis of its arguments, and stacks the results along ``out_axes``.

    ``in_axes`` is the axis of every argument, or a tuple with one for each; None hands an argument on as it is. An argument may be nested
    containers of arrays, whose leaves all have the axis. f returns arrays, numbers or containers of them, of equal shapes for all entries.

    f is called once for each entry: values, dtypes, branches and errors are those of a loop, whatever f computes, and so is the time. The
    signature is that of ``jax.vmap``, which runs f once.

    Raises ArgumentError for an axis that is not there, for axes of different lengths or of length zero, and for results that differ.

    Example::

        rg.vmap(rg.grad(loss, 1), in_axes=(0, None))(np.stack([x, v]), w)    # (2, 3, 2), a gradient in w for each of two inputs
    """
    function(f, "vmap")

    def call(*args: Any, **kwargs: Any) -> Any:
        axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ArgumentError(
                f"vmap: in_axes has {len(axes)} entries, f was called with {len(args)} positional arguments"
            )
        parts = [_Argument(x, axis, k) for k, (x, axis) in enumerate(zip(args, axes, strict=True))]
        lengths = {length: name for part in parts for name, length in part.lengths()}
        if len(lengths) != 1:
            told = ", ".join(f"{name}: {length}" for length, name in lengths.items()) or "no argument has one"
            raise ArgumentError(f"vmap: the mapped axes must have one length, got {told}")
        ((count, name),) = ((n, name) for n, name in lengths.items())
        if not count:
            raise ArgumentError(
                f"vmap: the axis of {name} has length 0; the shape of the result is known from calls of f alone"
            )
        results = [f(*[part.entry(k) for part in parts], **kwargs) for k in range(count)]
        return _stacked(results, out_axes)

    return call


class _Argument:
    """An argument, the axis of its leaves along which f is applied, and what makes an entry of it."""

    def __init__(self, x: Any, axis: int | None, place: int) -> None:
        self.x, self.axis = x, axis
        if axis is None:
            return
        self.leaves, self.rebuild = flatten(x, wordy)
        self.leaves = [leaf if isinstance(leaf, Traced) else np.asarray(leaf) for leaf in self.leaves]
        self.names = paths(x, f"argument {place}", wordy)
        for leaf, name in zip(self.leaves, self.names, strict=True):
            if not -leaf.ndim <= axis < leaf.ndim:
                raise ArgumentError(
                    f"vmap: {name} has shape {leaf.shape} and no axis {axis}. Give in_axes=None for what is the same in all calls."
                )

    def lengths(self) -> list[tuple[str, int]]:
        """The name of each leaf and the length of its mapped axis."""
        if self.axis is None:
            return []
        return [(name, leaf.shape[self.axis]) for leaf, name in zip(self.leaves, self.names, strict=True)]

    def entry(self, k: int) -> Any:
        """The argument of call k."""
        if self.axis is None:
            return self.x
        return self.rebuild([leaf[(*(slice(None),) * (self.axis % leaf.ndim), k)] for leaf in self.leaves])


def _stacked(results: list[Any], axis: int) -> Any:
    first = results[0]
    leaves, rebuild = flatten(first, wordy)
    if first is None or not all(same_structure(first, y, kept=wordy) for y in results):
        other = next((y for y in results if y is None or not same_structure(first, y, kept=wordy)), None)
        raise ArgumentError(
            f"vmap: f must return arrays in one structure, got {outline(first)} and {outline(other)}"
        )
    rows = [leaves_as(y, first, kept=wordy) for y in results]
    stacked = []
    for k in range(len(leaves)):
        column = [row[k] if isinstance(row[k], Traced) else np.asarray(row[k]) for row in rows]
        shapes = {x.shape for x in column}
        if len(shapes) > 1 or any(x.dtype.kind not in "fiubc" for x in column):
            raise ArgumentError(
                f"vmap: f must return arrays of numbers and of one shape, got {', '.join(sorted({kind(x) for x in column}))}"
            )
        stack: Any = np.stack
        stacked.append(stack(column, axis=axis))
    return rebuild(stacked)


__all__ = ["vmap"]
