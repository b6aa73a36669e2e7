"""Nested structures taken apart and put together again."""

from __future__ import annotations

import collections
import enum
import types
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refgrad as rg
from refgrad import jvp, vjp
from refgrad.errors import ArgumentError, DtypeError
from refgrad.tree import flatten, leaves_as, paths, same_structure


class Pair(NamedTuple):
    a: Any
    b: Any


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.text("abc", min_size=1, max_size=2)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3)
        | st.builds(Pair, inner, inner),
        max_leaves=8,
    )  # fmt: skip


TREES = nested(st.integers() | st.none() | st.text(max_size=2))


def kinds(tree: Any) -> Any:
    """The structure's types, leaves out."""
    if isinstance(tree, dict):
        return dict, [(k, kinds(v)) for k, v in tree.items()]
    if isinstance(tree, (tuple, list)):
        return type(tree), [kinds(v) for v in tree]
    return None


@given(TREES)
def test_rebuilding_from_the_leaves_gives_the_same_tree(tree: Any) -> None:
    leaves, rebuild = flatten(tree)
    again = rebuild(leaves)
    assert again == tree
    assert kinds(again) == kinds(tree)


@given(TREES)
def test_new_leaves_take_the_places_of_the_old(tree: Any) -> None:
    leaves, rebuild = flatten(tree)
    new = rebuild(list(range(len(leaves))))
    assert same_structure(new, tree)
    assert flatten(new)[0] == list(range(len(leaves)))


@given(TREES)
def test_every_leaf_has_a_path_of_its_own(tree: Any) -> None:
    names = paths(tree)
    assert len(names) == len(flatten(tree)[0])
    assert len(set(names)) == len(names)


def test_leaves_come_from_left_to_right() -> None:
    tree = {"b": 1, "a": [2, (3, None)], "c": Pair(4, {})}
    assert flatten(tree)[0] == [1, 2, 3, 4]


def test_a_leaf_alone_is_a_tree() -> None:
    leaves, rebuild = flatten(5)
    assert leaves == [5]
    assert rebuild([6]) == 6


def test_paths_read_as_python() -> None:
    assert paths({"params": {"w": [1, 2]}, "b": 3}) == ["['params']['w'][0]", "['params']['w'][1]", "['b']"]
    assert paths((1, {"x": 2}), "argument ") == ["argument [0]", "argument [1]['x']"]
    assert paths(3, "x") == ["x"]


SAME = [(1, 2), ((1, 2), [3, 4]), ({"a": 1, "b": 2}, {"b": 3, "a": 4}), (Pair(1, 2), (3, 4)), ([], ())]
DIFFERENT = [
    ((1,), 1),
    ((1, 2), (1,)),
    ({"a": 1}, {"b": 1}),
    ({"a": 1}, (1,)),
    (((1, 2), 3), (1, (2, 3))),
    ({}, ()),
    ({}, 1),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_structures_that_differ_in_leaves_alone(a: Any, b: Any) -> None:
    assert same_structure(a, b)
    assert same_structure(b, a)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_structures_that_differ(a: Any, b: Any) -> None:
    assert not same_structure(a, b)
    assert not same_structure(b, a)


def test_leaves_in_the_order_of_another_tree() -> None:
    assert leaves_as({"a": 1, "b": [2, {"y": 3, "x": 4}]}, {"b": (0, {"x": 0, "y": 0}), "a": 0}) == [
        2,
        4,
        3,
        1,
    ]
    with pytest.raises(ArgumentError, match="trees of one structure"):
        leaves_as((1, [2]), (0, 0))


@given(TREES)
def test_leaves_in_the_order_of_the_tree_itself(tree: Any) -> None:
    assert leaves_as(tree, tree) == flatten(tree)[0]


def test_leaves_follow_structure_when_key_orders_differ() -> None:
    # A tangent {"b": ..., "a": ...} for a primal {"a": ..., "b": ...} must not swap the two.
    f = lambda p: p["a"] * 10 + p["b"]  # noqa: E731
    _, y_dot = jvp(f, ({"a": 1.0, "b": 2.0},), ({"b": 0.0, "a": 1.0},))
    assert y_dot == 10.0
    _, pullback = vjp(lambda x: {"a": x, "b": 2 * x}, np.float64(1.0))
    assert pullback({"b": 1.0, "a": 0.0})[0] == 2.0


A, B = np.array([1.0, 2.0]), np.array([3.0, -1.0])


class Stack(list[Any]):
    """A list of somebody's own."""


def test_settings_beside_arrays_come_out_as_they_came() -> None:
    class Mode(enum.Enum):
        FAST = 1

    beside: dict[str, Any] = {
        "text": "relu", "number": 3, "flag": True, "nothing": None, "member": Mode.FAST, "function": np.tanh, "integer": np.int64(2),
        "type": float, "slice": slice(1), "set": frozenset({1}), "generator": np.random.default_rng(1),
    }  # fmt: skip
    trees: list[Any] = [
        {"w": A, **beside}, [A, *beside.values()], (A, tuple(beside.values())), Pair(A, beside), collections.OrderedDict(beside, w=A),
        collections.defaultdict(list, beside, w=A), types.SimpleNamespace(w=A, beside=beside), Stack([A, beside])
    ]  # fmt: skip

    def value(tree: Any) -> Any:
        assert [x for x in flatten(tree)[0] if x is np.tanh] or not isinstance(tree, list)
        return np.sum(next(x for x in flatten(tree)[0] if isinstance(x, np.ndarray)) ** 3)

    for tree in trees:
        due = flatten(tree)[0]

        def same(found: Any, first: Any, due: Any = due, tree: Any = tree) -> None:
            assert type(found) is type(tree)
            for x, y in zip(flatten(found)[0], due, strict=True):
                assert np.array_equal(x, first) if y is A else x is y

        same(rg.grad(value)(tree), 3 * A**2)
        same(rg.value_and_grad(value)(tree)[1], 3 * A**2)
        same(rg.vjp(value, tree)[1](1.0)[0], 3 * A**2)
        same(rg.jacrev(value)(tree), 3 * A**2)
        same(rg.jacfwd(value)(tree), 3 * A**2)
        same(rg.hvp(value, (tree,), (tree,))[0], 6 * A**2)
        assert rg.jvp(value, (tree,), (tree,))[1] == np.sum(3 * A**3)
        assert rg.linearize(value, tree)[1](tree) == np.sum(3 * A**3)


def test_text_in_a_result_comes_out_beside_its_derivative() -> None:
    value, slope = rg.jvp(lambda x: {"y": x * 2, "name": "double"}, (A,), (B,))
    assert value["name"] == slope["name"] == "double"
    np.testing.assert_array_equal(slope["y"], 2 * B)
    _, pullback = rg.vjp(lambda x: [x * 2, "double"], A)
    np.testing.assert_array_equal(pullback([B, None])[0], 2 * B)
    np.testing.assert_array_equal(rg.jacrev(lambda x: (x * 2, "double"))(A)[0], 2 * np.eye(A.size))
    with pytest.raises(DtypeError, match="what f returned is 'double'"):
        rg.jvp(lambda x: "double", (A,), (B,))
