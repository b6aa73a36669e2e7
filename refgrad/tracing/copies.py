"""Copies of the arrays that a transformation keeps or returns: later writes by the program or the caller do not change them.

Reverse mode needs the operands of an op as they were when it ran, and NumPy programs reuse buffers. So arrays from outside are copied:
constants that a rule names, arguments, cotangents, results. Results of ops are not copied, because nothing else refers to them. A copy
costs as much as reading the array once. The flag ``writeable = False`` would not do: older views can still be written to.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.errors import TracingError
from refgrad.op import RuleInputs, Traced
from refgrad.tracing import buffer_pool
from refgrad.tree import flatten, is_leaf

_IMMUTABLE = frozenset({
    int, float, bool, str, bytes, complex, slice, type(None), type(Ellipsis),
    np.float64, np.float32, np.float16, np.longdouble, np.int64, np.bool_,
})  # fmt: skip
_SMALL = 256  # bytes up to which a copy is smaller than the record of an earlier one
_SHORT = 4096  # bytes up to which it does not pay to look at layout and memory


def snapshot(x: Any) -> Any:
    """``x`` as it is now: arrays copied, traced ones as objects of their own, those in containers as well.

    A copy is writable and owns its data. Numbers and whatever else is no array come back as they are.
    """
    kind = type(x)
    if kind is np.ndarray:
        return x.copy("K")
    if kind in _IMMUTABLE:
        return x
    if isinstance(x, Traced):
        return x._snapshot()
    if isinstance(x, np.ndarray):
        return np.array(x, subok=True)
    if not is_leaf(x):
        leaves, rebuild = flatten(x)
        return rebuild([snapshot(leaf) for leaf in leaves])
    return x


class Copies:
    """The copies of constants that one tape keeps. They are for its rules alone, which write to nothing."""

    __slots__ = ("_lent", "known")

    def __init__(self) -> None:
        # By the id of an array: a weak reference, and its last copy.
        self.known: dict[int, tuple[Any, PlainArray]] = {}
        self._lent: list[Any] = []

    def of(self, x: Any) -> Any:
        """As ``snapshot``; an array that has not changed since its last copy has that one.

        A loop that uses one matrix a thousand times keeps it once.
        """
        kind = type(x)
        if kind in _IMMUTABLE:
            return x
        if kind is not np.ndarray:
            if kind is tuple and not [e for e in x if type(e) not in _IMMUTABLE]:
                return x
            if not is_leaf(x):
                leaves, rebuild = flatten(x)
                return rebuild([self.of(leaf) for leaf in leaves])
            return snapshot(x)
        if x.nbytes <= _SMALL:
            return x.copy()
        known = self.known.get(id(x))
        if known is not None and known[0]() is x and buffer_pool.unchanged(x, known[1]):
            return known[1]
        copy = self.new(x)
        self.known[id(x)] = weakref.ref(x), copy
        return copy

    def new(self, x: Any) -> Any:
        """As ``snapshot``."""
        if type(x) is not np.ndarray:
            return snapshot(x)
        return x.copy("K") if x.nbytes <= _SHORT else _as_laid_out(x, self._lent)

    def borrowed(self, x: Any) -> tuple[Any, Any]:
        """A leaf to compute with for as long as nobody writes to it, and its seal (see ``same``): large arrays are not copied."""
        if buffer_pool.summable(x):
            return x, buffer_pool.Sums(x)
        copy = self.new(x)
        return copy, copy

    def give_back(self) -> None:
        """Give the memory of all copies back to the pool; no copy is used any more."""
        self.known.clear()
        if self._lent:
            buffer_pool.give_back(self._lent)


def as_they_are(
    needs: RuleInputs, collected: tuple[Any, ...], active: tuple[bool, ...], copies: Copies
) -> tuple[Any, ...]:
    """What a rule asks for, with copies of what the program may change later: constants and parameters."""
    some: list[Any] | None = None
    for k, ((kind, key), x) in enumerate(zip(needs.inputs, collected, strict=True)):
        if type(x) in _IMMUTABLE or not (
            kind == "param" or (kind == "operand" and not active[key]) or kind == "operands"
        ):
            continue
        some = some or list(collected)
        if kind == "operands":
            some[k] = tuple([v if a else copies.of(v) for v, a in zip(x, active, strict=True)])
        else:
            some[k] = copies.of(x)
    return collected if some is None else tuple(some)


def same(x: Any, seal: Any) -> bool:
    """Whether a leaf, an array or a traced one, has the content that it had when ``seal`` was made of it: a copy, or sums."""
    if isinstance(x, Traced):
        return all(getattr(x, name) is getattr(seal, name) for name in type(x).__slots__)
    if type(seal) is buffer_pool.Sums:
        return seal.of(x)
    return type(x) is not np.ndarray or buffer_pool.unchanged(x, seal)


def as_results(xs: list[Any], holders: int = 0) -> list[Any]:
    """The values of a list as results: arrays that are writable, own their data and belong to nobody else. The list is used up.

    An array that only so many ``holders`` besides the list have, which are about to end, is not copied.
    """
    results = []
    for k in range(len(xs)):
        if type(xs[k]) is np.ndarray:
            x, alone = buffer_pool.taken(xs, k, holders)
            results.append(x if alone and x.flags.owndata and x.flags.writeable else x.copy("K"))
            del x
        else:
            results.append(snapshot(xs[k]))
    xs.clear()
    return results


def _as_laid_out(x: PlainArray, lent: list[Any]) -> PlainArray:
    """A copy that takes no more memory than x spans: of an array that was broadcast, or of windows that overlap."""
    strides = x.strides
    if min(strides) < 0 or any(s % x.itemsize for s in strides):
        return x.copy("K")
    spanned = 1 + sum((n - 1) * s // x.itemsize for n, s in zip(x.shape, strides, strict=True))
    if spanned >= x.size:
        return buffer_pool.copied(x, lent)
    row = np.lib.stride_tricks.as_strided(x, (spanned,), (x.itemsize,), writeable=False).copy()
    return np.lib.stride_tricks.as_strided(row, x.shape, strides, writeable=False)


def outlived(who: str) -> TracingError:
    """The error for a traced array that outlived its transformation."""
    return TracingError(
        f"an array that {who} traced is used after the function that {who} differentiates has returned. It has no derivative there (in "
        "a list that outlives the function, a closure of a custom rule), and is no constant either. Pass the array as an argument, return "
        "it from the function, or keep a plain copy: rg.stop_gradient(x) inside it."
    )


def live(x: Any) -> Any:
    """x itself. Raises TracingError where it is a traced array whose transformation has ended."""
    if isinstance(x, Traced) and x._ended:
        raise outlived(x._ended)
    return x


def foreign_thread(who: str, level: int) -> TracingError:
    """The error for a traced array of a level that another thread computes with."""
    return TracingError(
        f"an array that {who} traces is used in another thread. A transformation records one order of operations: compute with traced "
        "arrays in the thread that calls the function, or call the transformation itself in each thread.",
        (level,),
    )
