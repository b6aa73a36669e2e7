"""Argument trees: nested containers of arrays, flattened into leaves and rebuilt from them.

Containers are those of containers.py: tuples, lists, dicts and their subclasses, dataclasses and namespaces; None is an empty one.
Inside a dataclass whole numbers, text, functions and the like are configuration: they are no leaves and stay where they are. In other
containers they do so where they satisfy ``kept``, which the functions here take.
No function here recurses, so the depth of a tree is not limited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from refgrad.arrays import Leaf, Tree
from refgrad.containers import Opened, counterparts, is_dataclass, is_leaf, opened, setting
from refgrad.errors import ArgumentError

Rebuild = Callable[[list[Leaf]], Tree]
Kept = Callable[[Any], bool] | None
Link = Any  # (link of the container, how a key is written, key) of an entry; a path where one is asked for


def flatten(tree: Tree, kept: Kept = None) -> tuple[list[Leaf], Rebuild]:
    """Leaves of a tree from left to right, and the function that puts new leaves in their places.

    Rebuilt containers have the types of the given ones. Leaves that occur twice are two leaves.

    Raises ArgumentError for a container that contains itself, and for a dataclass that holds arrays outside its fields.
    """
    if is_leaf(tree):
        return [tree], lambda new: new[0]
    if kept is None and type(tree) is tuple and all(map(is_leaf, tree)):  # the arguments of most functions
        return list(tree), tuple
    leaves: list[Leaf] = []
    # In the order in which a tree is put together: True takes a new leaf, (x,) keeps x, (n, make) puts the last n together.
    steps: list[Any] = []
    for item, _, what in _walk(tree, kept=kept):
        if type(what) is Opened:
            steps.append((len(what.parts), what.make))
        elif what == "leaf":
            leaves.append(item)
            steps.append(True)
        else:
            steps.append((item,))

    def rebuild(new: list[Leaf]) -> Tree:
        return _assembled(steps, iter(new))

    return leaves, rebuild


def _assembled(steps: list[Any], new: Iterator[Any]) -> Any:
    done: list[Any] = []
    for step in steps:
        if step is True:
            done.append(next(new))
        elif len(step) == 1:
            done.append(step[0])
        else:
            count, make = step
            parts = done[len(done) - count :]
            del done[len(done) - count :]
            done.append(make(parts))
    return done[0]


def _walk(tree: Any, prefix: str = "", kept: Kept = None) -> Iterator[tuple[Any, Link, Any]]:
    """Each item of a tree with its link and what it is: 'leaf', 'setting', or an opened container, which comes after its entries."""
    waiting: list[Any] = [(tree, (None, "{}", prefix), False, None)]
    inside: set[int] = set()
    while waiting:
        item, link, configured, closed = waiting.pop()
        if closed is not None:
            inside.discard(id(item))
            yield item, link, closed
            continue
        node = opened(item)
        if node is None:
            stays = (configured and setting(item)) or (kept is not None and item is not tree and kept(item))
            yield item, link, "setting" if stays else "leaf"
        elif not node.parts:
            yield item, link, node
        else:
            if id(item) in inside:
                _refuse_circle(item, link)
            inside.add(id(item))
            configured = configured or is_dataclass(item)
            waiting.append((item, link, configured, node))
            waiting.extend(
                (part, (link, node.written, key), configured, None)
                for part, key in zip(reversed(node.parts), reversed(node.keys), strict=True)
            )


def _refuse_circle(item: Any, link: Link) -> NoReturn:
    raise ArgumentError(
        f"{_path(link) or 'a value'} is a {type(item).__name__} that contains itself; a tree is expected. "
        "Leave out the entry that leads back."
    )


def _path(link: Link) -> str:
    names = []
    while link is not None:
        link, written, key = link
        names.append(written.format(key))
    return "".join(reversed(names))


def paths(tree: Tree, prefix: str = "", kept: Kept = None) -> list[str]:
    """The name of each leaf as it is written in Python, in the order of ``flatten``: "params.layers[0]['w']"."""
    if is_leaf(tree):
        return [prefix]
    return [_path(link) for _, link, what in _walk(tree, prefix, kept) if what == "leaf"]


def same_structure(like: Tree, tree: Tree, missing: bool = False, kept: Kept = None) -> bool:
    """Whether two trees differ in leaves, in settings, or in the kinds of sequences and mappings alone.

    ``missing`` says whether None in ``tree`` may stand for a leaf or a container of ``like``.
    """
    return _matched(tree, like, missing, kept) is not None


def leaves_as(tree: Tree, like: Tree, missing: bool = False, kept: Kept = None) -> list[Leaf]:
    """Leaves of ``tree`` in the order in which ``like``, a tree of the same structure, has its own: mappings are matched by key.

    With ``missing``, None in ``tree`` gives None for each leaf of ``like`` that it stands for.
    """
    found = _matched(tree, like, missing, kept)
    if found is None:
        raise ArgumentError("two trees of one structure are expected; ask same_structure first")
    return found


def _matched(tree: Tree, like: Tree, missing: bool, kept: Kept) -> list[Leaf] | None:
    if (
        kept is None
        and type(tree) is type(like) is tuple
        and all(map(is_leaf, like))
        and all(map(is_leaf, tree))
    ):
        return list(tree) if len(tree) == len(like) else None
    found: list[Any] = []
    waiting: list[tuple[Any, Any, bool]] = [(tree, like, False)]
    while waiting:
        given, example, configured = waiting.pop()
        node = opened(example)
        absent = missing and given is None
        if node is None:
            if (configured and setting(example)) or (
                kept is not None and example is not like and kept(example)
            ):
                continue
            if not absent and not is_leaf(given):
                return None
            found.append(given)
            continue
        parts = [None] * len(node.parts) if absent else counterparts(given, node, example)
        if parts is None:
            return None
        configured = configured or is_dataclass(example)
        waiting.extend(zip(reversed(parts), reversed(node.parts), [configured] * len(parts), strict=True))
    return found


__all__ = ["Kept", "Rebuild", "flatten", "is_leaf", "leaves_as", "paths", "same_structure"]
