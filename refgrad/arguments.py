"""Arguments of transformations and results of their functions: names of leaves for messages, checks, and the errors of misuse."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.containers import opened, setting, wordy
from refgrad.errors import ArgumentError, DtypeError, is_tensor, refuse_tensor
from refgrad.op import Traced
from refgrad.operands import NUMERIC, REAL, ordinary
from refgrad.tracing.caught_refusals import run
from refgrad.tree import Kept, Rebuild, flatten, is_leaf, leaves_as, paths, same_structure

Argnums = int | Sequence[int]


def names_of(args: Sequence[Any], positions: Sequence[int] | None = None) -> list[str]:
    """A name for each leaf of positional arguments: "argument 0", "argument 1['w'][2]". Their positions are 0, 1, ... unless given."""
    places = range(len(args)) if positions is None else positions
    return [p for k, x in zip(places, args, strict=True) for p in _paths(x, f"argument {k}")]


def _paths(x: Any, name: str) -> list[str]:
    return paths(x, name, setting) or paths(x, name)


def opened_argument(x: Any) -> tuple[list[Any], Rebuild]:
    """Leaves of one argument, and what puts new ones in their places. Settings beside them in containers stay where they are."""
    leaves, rebuild = flatten(x, setting)
    return (leaves, rebuild) if leaves else flatten(x)


def opened_arguments(args: Sequence[Any]) -> tuple[list[Any], Rebuild]:
    """Leaves of several arguments, and what makes a tuple of them with other leaves; a scalar in place of a scalar."""
    if all(map(is_leaf, args)):
        return list(args), _of_kinds(list(args), tuple)
    found = [opened_argument(x) for x in args]
    leaves = [leaf for part, _ in found for leaf in part]

    def rebuild(new: list[Any]) -> Any:
        entries = iter(new)
        return tuple([make(list(itertools.islice(entries, len(part)))) for part, make in found])

    return leaves, _of_kinds(leaves, rebuild)


def alike(primals: Sequence[Any], tangents: Sequence[Any]) -> list[Any] | None:
    """The leaves of tangents in the order of those of the primals; None where the structures differ."""
    if len(primals) != len(tangents) or not all(map(_alike, primals, tangents)):
        return None
    return [
        leaf for x, x_dot in zip(primals, tangents, strict=True) for leaf in leaves_as(x_dot, x, kept=setting)
    ]


def _alike(x: Any, x_dot: Any) -> bool:
    return same_structure(x, x_dot, kept=setting)


def array(x: Any, what: str) -> Any:
    """x as an array, traced ones as they are. Raises DtypeError for a tensor or a masked array; ``what`` names x in the message."""
    if type(x) is np.ndarray or isinstance(x, (Traced, np.generic)):
        return x
    if isinstance(x, np.ndarray):
        return ordinary(x, what, DtypeError)
    refuse_tensor(x, what)
    y = np.asarray(x)
    # A number becomes a scalar: neither can be written to.
    return y[()] if isinstance(x, (int, float, complex)) else y


def differentiable(leaves: Sequence[Any], names: Sequence[str], who: str) -> list[Array]:
    """The leaves as floating-point arrays, real or complex. Raises DtypeError, which names the leaf and says what to pass, for others."""
    arrays = []
    for x, name in zip(leaves, names, strict=True):
        number = isinstance(x, (Traced, np.ndarray, np.generic, float, complex))
        if not number:
            refuse_tensor(x, f"{who}: {name}")
        found = array(x, f"{who}: {name}") if number else None
        if found is None or found.dtype.kind not in "fc":
            given = f"is {kind(x)}" if found is None else f"has dtype {found.dtype}"
            raise DtypeError(
                f"{who}: {name} {given}; float16, float32, float64, long double or a complex dtype is expected. {_advice(x, found)}"
            )
        arrays.append(found)
    return arrays


def _advice(given: Any, found: Array | None) -> str:
    """What to pass in place of a leaf that cannot be differentiated."""
    apart = "keep it out of the differentiated arguments (argnums)"
    if found is not None:
        return {
            "i": "Pass floating-point numbers: x.astype(float).", "u": "Pass floating-point numbers: x.astype(float).",
            "b": f"A boolean cannot be differentiated: {apart}.",
        }.get(found.dtype.kind, "Pass arrays of numbers; keep everything else out of the differentiated arguments (argnums).")  # fmt: skip
    if isinstance(given, int) and not isinstance(given, bool):
        return f"Pass a floating-point number: float(x). If it is a setting, {apart}, or make it a field of a dataclass."
    if hasattr(given, "__array__"):
        return "Pass an array: np.asarray(x)."
    if isinstance(given, Mapping):
        return "Pass a dict: dict(x)."
    if isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        return "Pass a tuple or a list of arrays: list(x)."
    if isinstance(given, (str, bytes, bool)) or callable(given):
        return f"If it is a setting, {apart}, or make it a field of a dataclass."
    return f"Arrays in it would be constants: make its class a dataclass, or {apart}."


def result(y: Any, what: str) -> Any:
    """A leaf of what a function returned, as an array of numbers. Raises DtypeError for None, text, objects, tensors."""
    known = isinstance(y, (Traced, np.ndarray, np.generic, int, float, complex))
    if not known:
        refuse_tensor(y, what)
        known = hasattr(y, "__array__")
    x = array(y, what) if known else np.asarray(None)
    if x.dtype.kind not in NUMERIC:
        advice = "Does the function end without a return?" if y is None else "Return numbers alone."
        if isinstance(y, (dict, list, tuple)):
            advice = "Return an array, or a tuple of arrays."
        raise DtypeError(f"{what} {_described(y, x)}; arrays of numbers are expected. {advice}")
    return x


def _described(given: Any, x: Array) -> str:
    numbers = isinstance(given, (Traced, np.ndarray, np.generic, int, complex))
    return f"has dtype {x.dtype}" if numbers else f"is {kind(given)}"


def fitting(x: Any, like: Array, what: str) -> Array:
    """A tangent or cotangent in the dtype of the array that it belongs to; the shapes have to be equal.

    Raises ArgumentError for another shape, DtypeError for what holds no numbers, and for complex numbers of a real array.
    """
    x = array(x, what)
    if x.shape != like.shape:
        raise ArgumentError(
            f"{what} has shape {x.shape}, its value has shape {like.shape}; they must be equal"
        )
    if x.dtype.kind not in (NUMERIC if like.dtype.kind == "c" else REAL):
        raise DtypeError(
            f"{what} has dtype {x.dtype}; {'numbers are' if like.dtype.kind == 'c' else 'a real dtype is'} expected beside a value of "
            f"dtype {like.dtype}"
        )
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


def outline(tree: Any, depth: int = 6) -> str:
    """A structure in words, shapes instead of arrays; what lies more than ``depth`` containers deep is left out."""
    node = opened(tree)
    if node is None:
        if isinstance(tree, (Traced, np.ndarray, np.generic, int, float, complex)):
            return f"shape {np.shape(tree) if not isinstance(tree, Traced) else tree.shape}"
        return kind(tree)
    if tree is None:
        return "None"
    inner = [outline(part, depth - 1) for part in node.parts] if depth else ["..."] * bool(node.parts)
    if isinstance(tree, (dict, MappingProxyType)):
        keys = [f"{key!r}: " for key in node.keys] if depth else [""] * len(inner)
        return "{" + ", ".join(map("".join, zip(keys, inner, strict=True))) + "}"
    if isinstance(tree, (tuple, list)):
        return f"({', '.join(inner)})" if isinstance(tree, tuple) else f"[{', '.join(inner)}]"
    keys = [f"{key}=" for key in node.keys] if depth else [""] * len(inner)
    return f"{type(tree).__name__}({', '.join(map(''.join, zip(keys, inner, strict=True)))})"


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


def whole_number(given: Any, name: str, least: int) -> None:
    """Raise ArgumentError unless what was given is a whole number from ``least`` on; ``name`` names it in the message."""
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < least:
        found = given if isinstance(given, (bool, int, float)) else kind(given)
        raise ArgumentError(f"{name} is {found}; a whole number from {least} on is expected")


def leaves_of(args: Sequence[Any], names: Sequence[str], who: str) -> tuple[list[Array], Any]:
    """Floating-point leaves of arguments, and what puts new leaves in their places.

    Raises DtypeError for a leaf that cannot be differentiated, and where every argument is None.
    """
    leaves, rebuild = opened_arguments(args)
    if args and all(x is None for x in args):
        raise DtypeError(
            f"{who}: {'the argument is' if len(args) == 1 else 'all arguments are'} None; an array of float16, float32, float64, "
            "long double or a complex dtype is expected. None beside arrays is passed on as it is."
        )
    return differentiable(leaves, names, who), rebuild


def outputs_of(y: Any, what: str, kept: Kept = wordy) -> tuple[list[Any], Any]:
    """Leaves of what a function returned, and what puts new ones in their places. Text and functions beside them stay where they are.

    Raises DtypeError for a lone None.
    """
    if y is None:
        result(y, what)
    leaves, rebuild = flatten(y, kept)
    return leaves, _of_kinds(leaves, rebuild)


def _of_kinds(leaves: list[Any], rebuild: Rebuild) -> Rebuild:
    """``rebuild`` for leaves of the kinds of the old ones: a scalar in place of a scalar, a 0-d array in place of a 0-d array."""
    if all(getattr(x, "shape", ()) for x in leaves):
        return rebuild
    kinds = [getattr(x, "shape", ()) == () and isinstance(x, np.ndarray) for x in leaves]

    def call(new: list[Any]) -> Any:
        return rebuild([_of_kind(x, zero_dim) for x, zero_dim in zip(new, kinds, strict=True)])

    return call


def _of_kind(x: Array, array_: bool) -> Array:
    if getattr(x, "shape", None) != () or isinstance(x, np.ndarray) == array_:
        return x
    if not array_:
        return x[()]
    return np.array(x) if isinstance(x, np.generic) and not isinstance(x, Traced) else x[...]
