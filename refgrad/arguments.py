"""What callers hand in, and what their functions return: named, checked, and refused with words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.errors import ArgumentError, DtypeError, is_tensor, refuse_tensor
from refgrad.op import Traced
from refgrad.operands import ordinary
from refgrad.refusals import run
from refgrad.tree import flatten, paths

Array = Any
Argnums = int | Sequence[int]


def names_of(args: Sequence[Any], positions: Sequence[int] | None = None) -> list[str]:
    """A name for each leaf of positional arguments: 'argument 0', 'argument 1.w[2]'. Their positions are 0, 1, ... unless given."""
    places = range(len(args)) if positions is None else positions
    return [p for k, x in zip(places, args, strict=True) for p in paths(x, f"argument {k}")]


def array(x: Any, what: str) -> Array:
    """x as an array, traced ones as they are. Raises DtypeError for a tensor or a masked array; ``what`` names x in the message."""
    if type(x) is np.ndarray or isinstance(x, (Traced, np.generic)):
        return x
    if isinstance(x, np.ndarray):
        return ordinary(x, what, DtypeError)
    refuse_tensor(x, what)
    y = np.asarray(x)
    return y[()] if isinstance(x, (int, float)) else y  # a number becomes a scalar: neither can be written to


def differentiable(leaves: Sequence[Any], names: Sequence[str], who: str) -> list[Array]:
    """The leaves as floating-point arrays. Raises DtypeError, which names the leaf and says what to pass, for anything else."""
    arrays = [array(x, f"{who}: {name}") for x, name in zip(leaves, names, strict=True)]
    for given, x, name in zip(leaves, arrays, names, strict=True):
        if x.dtype.kind != "f":
            advice = {
                "c": "Complex numbers are not supported: pass real and imaginary parts as two real arrays.",
                "i": "Pass floating-point numbers: x.astype(float).", "u": "Pass floating-point numbers: x.astype(float).",
                "b": "A boolean cannot be differentiated: keep it out of the differentiated arguments (argnums).",
            }.get(x.dtype.kind, "Pass arrays of numbers; keep everything else out of the differentiated arguments (argnums).")  # fmt: skip
            raise DtypeError(
                f"{who}: {name} {_described(given, x)}; float16, float32, float64 or long double is expected. {advice}"
            )
    return arrays


def result(y: Any, what: str) -> Array:
    """A leaf of what a function returned, as an array of real numbers. Raises DtypeError for None, text, complex numbers, tensors."""
    x = array(y, what)
    if x.dtype.kind not in "fiub":
        if y is None:
            advice = "Does the function end without a return?"
        elif x.dtype.kind == "c":
            advice = (
                "Complex numbers are not differentiated: return real and imaginary parts as two real arrays."
            )
        else:
            advice = "Return numbers alone."
        raise DtypeError(f"{what} {_described(y, x)}; arrays of real numbers are expected. {advice}")
    return x


def _described(given: Any, x: Array) -> str:
    numbers = isinstance(given, (Traced, np.ndarray, np.generic, int, complex))
    return f"has dtype {x.dtype}" if numbers else f"is {kind(given)}"


def fitting(x: Any, like: Array, what: str) -> Array:
    """A tangent or cotangent in the dtype of the array that it belongs to; the shapes have to be equal."""
    x = array(x, what)
    if x.shape != like.shape:
        raise ArgumentError(
            f"{what} has shape {x.shape}, its value has shape {like.shape}; they must be equal"
        )
    if x.dtype.kind not in "fiub":
        raise DtypeError(f"{what} has dtype {x.dtype}; a real dtype is expected")
    return x if x.dtype == like.dtype else x.astype(like.dtype)


def function(f: Any, who: str) -> None:
    """Raises ArgumentError unless f can be called."""
    if not callable(f):
        raise ArgumentError(
            f"{who}: f is {kind(f)}; a function of NumPy arrays is expected as the first argument"
        )


def called(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Any:
    """f(*args, **kwargs), as a transformation calls it. Raises TracingError where one was raised inside, whatever f made of it."""
    return run(f, args, kwargs or {})


def argnums_of(argnums: Any, who: str) -> Argnums:
    """``argnums`` as an int or a tuple of ints. Raises ArgumentError for anything else, arguments of f above all."""
    if isinstance(argnums, (int, np.integer)):
        return int(argnums)
    if isinstance(argnums, Sequence) and all(isinstance(k, (int, np.integer)) for k in argnums):
        return tuple(int(k) for k in argnums)
    raise ArgumentError(
        f"{who}: argnums is {kind(argnums)}; an int or a tuple of ints is expected. {who}(f) returns a function of f's own arguments: "
        f"{who}(f)(x)."
    )


def chosen(
    args: tuple[Any, ...], argnums: Argnums, who: str, kwargs: dict[str, Any] | None = None
) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    """The arguments that ``argnums`` names, and their positions, counted from the front."""
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for k in positions:
        if not -len(args) <= k < len(args):
            also = (
                f" ({', '.join(kwargs)} by name: pass by position what is to be differentiated)"
                if kwargs
                else ""
            )
            raise ArgumentError(
                f"{who}: argnums={argnums!r} names argument {k}, but f was called with {len(args)} positional "
                f"argument{'s' * (len(args) != 1)}{also}"
            )
    positions = tuple(k % len(args) for k in positions)
    if len(set(positions)) < len(positions):
        raise ArgumentError(f"{who}: argnums={argnums!r} names an argument twice; each may be named once")
    return tuple(args[k] for k in positions), positions


def placed(args: tuple[Any, ...], positions: tuple[int, ...], new: Sequence[Any]) -> list[Any]:
    """All arguments, with new ones at some positions."""
    full = list(args)
    for k, x in zip(positions, new, strict=True):
        full[k] = x
    return full


def outline(tree: Any) -> str:
    """A structure in words, shapes instead of arrays."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {outline(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        inner = ", ".join(outline(x) for x in tree)
        return f"({inner})" if isinstance(tree, tuple) else f"[{inner}]"
    if isinstance(tree, (Traced, np.ndarray, np.generic, int, float, complex)):
        return f"shape {np.shape(tree) if not isinstance(tree, Traced) else tree.shape}"
    return kind(tree)


def kind(x: Any) -> str:
    """What x is, in words."""
    if x is None or isinstance(x, str):
        return repr(x)
    if isinstance(x, (Traced, np.ndarray)):
        return f"an array of shape {x.shape}"
    if is_tensor(x):
        return "a torch tensor"
    name = type(x).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def leaves_of(args: Sequence[Any], names: Sequence[str], who: str) -> tuple[list[Array], Any]:
    """Floating-point leaves of arguments, and what puts new leaves in their places."""
    leaves, rebuild = flatten(tuple(args))
    return differentiable(leaves, names, who), rebuild
