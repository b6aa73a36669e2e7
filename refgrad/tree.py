"""Nested tuples, lists and dicts of arrays, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rebuild = Callable[[list[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """Leaves of a nested structure from left to right, and the function that puts new leaves in their places.

    tuples (named ones too), lists and dicts are structure; anything else, None included, is a leaf.
    """
    leaves: list[Any] = []
    build = _walk(tree, leaves)

    def rebuild(new: list[Any]) -> Any:
        return build(iter(new))

    return leaves, rebuild


def _walk(tree: Any, leaves: list[Any]) -> Callable[[Any], Any]:
    if isinstance(tree, dict):
        keys = list(tree)
        parts = [_walk(tree[k], leaves) for k in keys]
        return lambda new: {k: part(new) for k, part in zip(keys, parts, strict=True)}
    if isinstance(tree, (tuple, list)):
        parts = [_walk(x, leaves) for x in tree]
        if hasattr(tree, "_fields"):
            kind = type(tree)
            return lambda new: kind(*[part(new) for part in parts])
        make = tuple if isinstance(tree, tuple) else list
        return lambda new: make([part(new) for part in parts])
    leaves.append(tree)
    return next


def same_structure(a: Any, b: Any) -> bool:
    """Whether two structures differ in leaves alone."""
    if isinstance(a, dict) or isinstance(b, dict):
        return (
            isinstance(a, dict)
            and isinstance(b, dict)
            and a.keys() == b.keys()
            and all(same_structure(a[k], b[k]) for k in a)
        )
    if isinstance(a, (tuple, list)) or isinstance(b, (tuple, list)):
        return (
            isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)) and len(a) == len(b)
            and all(same_structure(x, y) for x, y in zip(a, b, strict=True))
        )  # fmt: skip
    return True


def leaves_as(tree: Any, like: Any) -> list[Any]:
    """Leaves of ``tree`` in the order in which ``like``, a tree of the same structure, has its own: dicts are matched by key."""
    if isinstance(like, dict):
        return [leaf for k in like for leaf in leaves_as(tree[k], like[k])]
    if isinstance(like, (tuple, list)):
        return [leaf for x, y in zip(tree, like, strict=True) for leaf in leaves_as(x, y)]
    return [tree]


def paths(tree: Any, prefix: str = "") -> list[str]:
    """A readable name for each leaf, in the order of ``flatten``: 'params.w[0]'."""
    if isinstance(tree, dict):
        return [p for k in tree for p in paths(tree[k], f"{prefix}.{k}" if prefix else str(k))]
    if isinstance(tree, (tuple, list)):
        return [p for i, x in enumerate(tree) for p in paths(x, f"{prefix}[{i}]")]
    return [prefix]
