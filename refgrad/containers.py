"""Containers of an argument tree: the entries of one container, and the same container with other entries.

A rebuilt container has the type of the given one. A dataclass is rebuilt without its ``__init__`` and ``__post_init__``, so that a
frozen one, one with slots or one that converts its fields can hold traced arrays.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from refgrad.errors import ArgumentError

Make = Callable[[list[Any]], Any]
_SETTINGS = (int, str, bytes, enum.Enum, type, np.dtype, np.integer, np.bool_, range, slice, np.random.Generator, type(...))  # fmt: skip


class Opened(NamedTuple):
    """One level of a container: its entries in order, their keys, how a key is written behind the container, and how to make it anew."""

    parts: list[Any]
    keys: Sequence[Any]
    written: str
    make: Make


def is_dataclass(x: Any) -> bool:
    """Whether x is an instance of a dataclass (not the class itself)."""
    return hasattr(type(x), "__dataclass_fields__")


def setting(x: Any) -> bool:
    """Whether x, a leaf inside a dataclass, is configuration: whole numbers, text, functions, members of an enum and the like.

    Arrays are not, whatever their dtype, nor are floating-point numbers.
    """
    if isinstance(x, (set, frozenset)):
        return all(setting(entry) for entry in x)
    return isinstance(x, _SETTINGS) or callable(x)


def wordy(x: Any) -> bool:
    """Whether x is a setting and no number: text, a function, a member of an enum and the like."""
    return setting(x) and (isinstance(x, enum.Enum) or not isinstance(x, (int, np.integer, np.bool_)))


def register_container(
    kind: type,
    flatten: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten: Callable[[Any, tuple[Any, ...]], Any],
) -> None:
    """Let instances of a class be containers in arguments and results: arrays in them are differentiated.

    ``flatten(x)`` returns the entries of x, which may be arrays or containers, and anything else that ``unflatten`` needs.
    ``unflatten(rest, entries)`` makes an instance with other entries. A subclass is registered by itself. Dataclasses, named tuples and
    Python's own containers need no registration. The name and the protocol follow ``jax.tree_util.register_pytree_node``.

    Raises ArgumentError for anything but a class, and for a class that is a container or an array already.
    """
    if not isinstance(kind, type):
        raise ArgumentError(f"register_container: a class is expected first, got {kind!r}")
    if _opener(kind) is not None or issubclass(kind, (np.ndarray, np.generic)):
        raise ArgumentError(
            f"register_container: {kind.__name__} is a container or an array already; it needs no registration"
        )
    _REGISTERED[kind] = flatten, unflatten
    _opener.cache_clear()


_REGISTERED: dict[type, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {}


def _open_registered(x: Any) -> Opened:
    flatten, unflatten = _REGISTERED[type(x)]
    found = flatten(x)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise ArgumentError(
            f"the flatten function of {type(x).__name__} (register_container) returned {type(found).__name__}; a pair of the entries and "
            "the rest is expected"
        )
    parts = list(found[0])
    return Opened(parts, range(len(parts)), "[{}]", lambda new: unflatten(found[1], tuple(new)))


def opened(x: Any) -> Opened | None:
    """One level of x taken apart; None for a leaf.

    tuples, lists and dicts with their subclasses (named tuples, OrderedDict, defaultdict, ...), mapping proxies, dataclasses and
    types.SimpleNamespace and the classes of ``register_container`` are containers. None is an empty one.

    Raises ArgumentError for a dataclass that holds arrays outside its fields.
    """
    opener = _opener(type(x))  # type: ignore[arg-type]  # a class is hashable
    return None if opener is None else opener(x)


def is_leaf(x: Any) -> bool:
    """Whether x is a leaf and not a container. None is a container without entries."""
    return _opener(type(x)) is None  # type: ignore[arg-type]


@functools.lru_cache(maxsize=1024)
def _opener(kind: type) -> Callable[[Any], Opened] | None:
    """What takes instances of a type apart; None where they are leaves."""
    if kind in _REGISTERED:
        return _open_registered
    if kind is type(None):
        return lambda _: Opened([], [], "", _none)
    if kind is tuple or kind is list:
        return lambda x: Opened(list(x), range(len(x)), "[{}]", kind)
    if issubclass(kind, dict):
        return lambda x: Opened(list(x.values()), list(x), "[{!r}]", functools.partial(_dict, x))
    if issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
        return lambda x: Opened(list(x), kind._fields, ".{}", functools.partial(_tuple, x))  # type: ignore[attr-defined]
    if issubclass(kind, (tuple, list)):
        make = _tuple if issubclass(kind, tuple) else _list
        return lambda x: Opened(list(x), range(len(x)), "[{}]", functools.partial(make, x))
    if kind is types.MappingProxyType:
        return lambda x: Opened(list(x.values()), list(x), "[{!r}]", functools.partial(_proxy, list(x)))
    if issubclass(kind, types.SimpleNamespace):
        return _open_namespace
    return _open_dataclass if hasattr(kind, "__dataclass_fields__") else None


def _open_namespace(x: Any) -> Opened:
    names = list(vars(x))
    return Opened(list(vars(x).values()), names, ".{}", functools.partial(_namespace, type(x), names))


def _open_dataclass(x: Any) -> Opened:
    names = [f.name for f in dataclasses.fields(x) if hasattr(x, f.name)]
    parts = [getattr(x, name) for name in names]
    return Opened(parts, names, ".{}", functools.partial(_dataclass, type(x), names, _beside_fields(x)))


def counterparts(x: Any, like: Opened, example: Any) -> list[Any] | None:
    """The entries of x in the order of ``like``, which is ``example`` opened; None where x is another container or none.

    A tuple and a list of one length, and two mappings with equal keys, differ in type alone and count as alike.
    """
    if example is None:
        return [] if x is None else None
    if isinstance(example, (dict, types.MappingProxyType)):
        if not isinstance(x, (dict, types.MappingProxyType)) or set(x) != set(example):
            return None
        return [x[key] for key in like.keys]
    if isinstance(example, (tuple, list)):
        return list(x) if isinstance(x, (tuple, list)) and len(x) == len(example) else None
    if type(example) in _REGISTERED:
        parts = opened(x).parts if type(x) is type(example) else []  # type: ignore[union-attr]  # of a class that is registered
        return parts if len(parts) == len(like.parts) else None
    if isinstance(example, types.SimpleNamespace):
        if not isinstance(x, types.SimpleNamespace) or vars(x).keys() != vars(example).keys():
            return None
    elif type(x) is not type(example) or any(not hasattr(x, name) for name in like.keys):
        return None
    return [getattr(x, name) for name in like.keys]


def _none(parts: list[Any]) -> None:  # noqa: ARG001 - the signature of all makers
    return None


def _dict(old: Any, parts: list[Any]) -> Any:
    new = {} if type(old) is dict else copy.copy(old)
    for key, part in zip(old, parts, strict=True):
        new[key] = part
    return new


def _list(old: Any, parts: list[Any]) -> Any:
    new = copy.copy(old)
    new[:] = parts
    return new


def _tuple(old: Any, parts: list[Any]) -> Any:
    kind = type(old)
    if hasattr(kind, "n_sequence_fields"):  # a struct sequence, such as time.struct_time
        return kind(parts)
    new = tuple.__new__(kind, parts)
    if hasattr(old, "__dict__"):
        new.__dict__.update(old.__dict__)
    return new


def _proxy(keys: list[Any], parts: list[Any]) -> Any:
    return types.MappingProxyType(dict(zip(keys, parts, strict=True)))


def _namespace(kind: Any, names: list[str], parts: list[Any]) -> Any:
    new = kind.__new__(kind)
    vars(new).update(zip(names, parts, strict=True))
    return new


def _dataclass(kind: Any, names: list[str], beside: dict[str, Any], parts: list[Any]) -> Any:
    new = object.__new__(kind)
    for name, part in (*beside.items(), *zip(names, parts, strict=True)):
        object.__setattr__(new, name, part)  # frozen ones refuse setattr
    return new


def _beside_fields(x: Any) -> dict[str, Any]:
    """Attributes of a dataclass that are no fields. What a cached property holds is left out: it is computed anew."""
    kind = type(x)
    fields = set(kind.__dataclass_fields__)
    found: dict[str, Any] = {}
    for name in _attributes(x):
        if name in fields or isinstance(getattr(kind, name, None), functools.cached_property):
            continue
        value = getattr(x, name)
        if not _constant(value):
            raise ArgumentError(
                f"{kind.__name__}.{name} is {_shown(value)}, and no field of the dataclass {kind.__name__}. It would be a constant. "
                "Declare it as a field, or compute it in a method or a functools.cached_property."
            )
        found[name] = value
    return found


def _attributes(x: Any) -> Iterable[str]:
    yield from getattr(x, "__dict__", {})
    for base in type(x).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(x, name):
                yield name


def _constant(value: Any) -> bool:
    """Whether an attribute beside the fields holds neither arrays nor floating-point numbers, on whatever level."""
    waiting, seen = [value], set()
    while waiting:
        entry = waiting.pop()
        inner = opened(entry)
        if inner is None:
            if not setting(entry):
                return False
        elif id(entry) not in seen:
            seen.add(id(entry))
            waiting += inner.parts
    return True


def _shown(value: Any) -> str:
    shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
    return f"of type {type(value).__name__}{shape}"
