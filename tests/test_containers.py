"""What is structure of an argument tree, in every transformation: each container comes back as the type that it was."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import refgrad as rg
from refgrad.containers import opened
from refgrad.errors import ArgumentError, DtypeError
from refgrad.testing import check_vjp
from refgrad.tree import flatten, leaves_as, paths, same_structure

A, B = np.array([1.0, 2.0]), np.array([3.0, -4.0])


class Pair(NamedTuple):
    a: Any
    b: Any


class Numbered(tuple[Any, ...]):  # noqa: SLOT001 - its attributes are what is tested
    """A tuple with an attribute."""

    note: str


class Stack(list[Any]):
    """A list of a class of its own."""


class Table(dict[str, Any]):
    """A dict of a class of its own."""


class Space(types.SimpleNamespace):
    """A namespace of a class of its own."""


class Kind(enum.Enum):
    DENSE = 1


@dataclasses.dataclass
class Plain:
    a: Any
    b: Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: Any
    b: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: Any
    b: Any


@dataclasses.dataclass(kw_only=True)
class ByName:
    a: Any
    b: Any


@dataclasses.dataclass
class Derived(Plain):
    sizes: tuple[int, ...] = (2, 3)
    name: str = "layer"
    kind: Kind = Kind.DENSE
    bias: Any = None
    train: bool = True
    act: Callable[..., Any] = np.tanh
    options: dict[str, Any] = dataclasses.field(default_factory=lambda: {"skip": {1, 2}, "rng": np.random.default_rng(0)})  # fmt: skip


@dataclasses.dataclass
class Converting:
    """Its __post_init__ would refuse a traced array."""

    a: Any
    b: Any
    total: Any = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.a = np.array([float(x) for x in self.a])
        self.total = self.a * 0.5


def _numbered() -> Numbered:
    found = Numbered((A, B))
    found.note = "kept"
    return found


CONTAINERS: dict[str, Any] = {
    "tuple": (A, B), "list": [A, B], "dict": {"a": A, "b": B}, "named tuple": Pair(A, B), "tuple subclass": _numbered(),
    "list subclass": Stack([A, B]), "dict subclass": Table(b=A, a=B), "ordered dict": collections.OrderedDict(b=A, a=B),
    "defaultdict": collections.defaultdict(list, a=A, b=B), "namespace": types.SimpleNamespace(a=A, b=B),
    "namespace subclass": Space(a=A, b=B),
    "mapping proxy": types.MappingProxyType({"a": A, "b": B}), "keys that are no text": {0: A, (1, "x"): B}, "dataclass": Plain(A, B),
    "frozen": Frozen(A, B), "slots": Slotted(A, B), "by name": ByName(a=A, b=B), "inherited": Derived(A, B), "converting": Converting(A, B),
    "nested": Plain([A, {"x": Slotted(B, None)}], types.SimpleNamespace(k=Pair(A, ()))), "None beside": (A, None, {"b": B, "c": None}),
    "one array twice": [A, A],
}  # fmt: skip


def kinds(tree: Any) -> Any:
    """The types of all containers with their keys, and settings as they are; leaves as shapes."""
    node = opened(tree)
    if node is None:
        return np.shape(tree) if isinstance(tree, (np.ndarray, np.generic, float)) else tree
    beside = getattr(tree, "note", None), getattr(tree, "default_factory", None)
    return type(tree), node.keys, [kinds(part) for part in node.parts], beside


def energy(tree: Any) -> Any:
    """Half the weighted sum of squares of all leaves; its gradient is (k + 1) x, in the same structure."""
    return sum(0.5 * (k + 1) * np.sum(x**2) for k, x in enumerate(flatten(tree)[0]))


def scaled(tree: Any) -> Any:
    """The gradient of ``energy``."""
    leaves, rebuild = flatten(tree)
    return rebuild([(k + 1) * x for k, x in enumerate(leaves)])


def equal(got: Any, expected: Any) -> None:
    assert kinds(got) == kinds(expected)
    for x, y in zip(flatten(got)[0], flatten(expected)[0], strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_comes_back_as_the_type_that_it_was(name: str) -> None:
    tree = CONTAINERS[name]
    want = scaled(tree)
    seen: list[Any] = []

    def f(p: Any) -> Any:
        seen.append(kinds(rg.stop_gradient(p)))
        return energy(p)

    equal(rg.grad(f)(tree), want)
    equal(rg.vjp(f, tree)[1](np.float64(1.0))[0], want)
    equal(rg.jacrev(f)(tree), want)
    equal(rg.jacfwd(f)(tree), want)
    equal(rg.hvp(f, (tree,), (tree,))[0], want)
    assert rg.jvp(f, (tree,), (tree,))[1] == energy(tree) * 2
    assert all(k[:2] == kinds(tree)[:2] for k in seen)


@pytest.mark.parametrize("name", CONTAINERS)
def test_results_cotangents_and_tangents_have_the_type_of_the_value(name: str) -> None:
    tree = CONTAINERS[name]
    value, pullback = rg.vjp(scaled, tree)
    equal(value, scaled(tree))
    equal(pullback(tree)[0], scaled(tree))
    value, tangent = rg.jvp(scaled, (tree,), (tree,))
    equal(value, scaled(tree))
    equal(tangent, scaled(tree))
    for jacobian in (rg.jacrev(scaled)(tree), rg.jacfwd(scaled)(tree)):
        assert type(jacobian) is type(tree)
        assert [x.shape for x in flatten(jacobian)[0]] == [(2, 2)] * len(flatten(tree)[0]) ** 2


@pytest.mark.parametrize("name", CONTAINERS)
def test_second_derivatives_are_nested_in_the_structure(name: str) -> None:
    tree = CONTAINERS[name]
    n = len(flatten(tree)[0])
    found = flatten(rg.hessian(energy)(tree))[0]
    assert len(found) == n * n
    for k, block in enumerate(found):
        np.testing.assert_array_equal(block, np.eye(2) * (k // n + 1) * (k // n == k % n))


@pytest.mark.parametrize("name", CONTAINERS)
def test_rules_of_a_function_get_and_give_the_container(name: str) -> None:
    tree = CONTAINERS[name]
    by_vjp, by_jvp = rg.custom_vjp(scaled), rg.custom_jvp(scaled)
    by_vjp.defvjp(lambda p: (scaled(p), None), lambda _, y_bar: (scaled(y_bar),))
    by_jvp.defjvp(lambda primals, tangents: (scaled(primals[0]), scaled(tangents[0])))
    for f in (by_vjp, by_jvp):
        equal(f(tree), scaled(tree))
        equal(rg.vjp(f, tree)[1](tree)[0], scaled(tree))
        equal(rg.jvp(f, (tree,), (tree,))[1], scaled(tree))


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name != "one array twice"])
def test_residuals_are_kept_as_they_were(name: str) -> None:
    """A buffer in a container that the program changes later does not reach the backward."""
    leaves, rebuild = flatten(CONTAINERS[name])

    def times(buffers: list[Any]) -> Any:
        f = rg.custom_vjp(lambda x: x * buffers[0])
        f.defvjp(lambda x: (x * buffers[0], rebuild(buffers)), lambda r, y_bar: (y_bar * flatten(r)[0][0],))
        return f

    def program(x: Any) -> Any:
        buffers = [np.full(2, 3.0) for _ in leaves]
        y = times(buffers)(x)
        buffers[0][:] = 0.0
        return np.sum(y)

    np.testing.assert_array_equal(rg.grad(program)(A), [3.0, 3.0])


@pytest.mark.parametrize("name", CONTAINERS)
def test_hand_written_derivatives_and_graphs_take_the_container(name: str) -> None:
    tree = CONTAINERS[name]

    def f_vjp(y_bar: Any, p: Any) -> Any:
        leaves, rebuild = flatten(p)
        return (rebuild([y_bar * (k + 1) * x for k, x in enumerate(leaves)]),)

    assert check_vjp(energy, f_vjp, (tree,), repeats=1)
    graph = rg.Graph.record(energy, tree)
    assert list(graph.inputs) == [f"tree{p}" for p in paths(tree)]
    assert graph(*flatten(tree)[0]) == energy(tree)


def test_names_are_written_as_python() -> None:
    tree = {"a": [Plain(A, {(1, "x"): Pair(A, B)})], 3: types.SimpleNamespace(k=(A,))}
    assert paths(tree, "p") == [
        "p['a'][0].a",
        "p['a'][0].b[(1, 'x')].a",
        "p['a'][0].b[(1, 'x')].b",
        "p[3].k[0]",
    ]
    for name in paths(tree, "p"):
        assert isinstance(eval(name, {"p": tree}), np.ndarray)  # noqa: S307 - that is what is tested


REFUSED: dict[str, tuple[Any, str]] = {
    "whole numbers in an array": (Derived(np.array([1, 2]), B), r"argument 0\.a has dtype int64"),
    "a plain object": (
        Derived(A, B, options={"x": [object()]}), r"argument 0\.options\['x'\]\[0\] is an object; .*make its class a dataclass",
    ),
    "whole numbers in a list": ([A, np.array([1, 2])], r"argument 0\[1\] has dtype int64"),
    "settings alone": ([3, "relu"], r"argument 0\[0\] is an int"),
    "an iterator": ((A, iter([A])), r"argument 0\[1\] is a list_iterator; .*list\(x\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_leaf_that_is_no_array_is_refused_by_its_name(name: str) -> None:
    tree, message = REFUSED[name]
    for call in (
        lambda: rg.grad(energy)(tree), lambda: rg.jvp(energy, (tree,), (tree,)),
        lambda: rg.vjp(energy, tree), lambda: rg.hessian(energy)(tree),
    ):  # fmt: skip
        with pytest.raises(DtypeError, match=message):
            call()


def test_none_beside_arrays_is_passed_on() -> None:
    def f(x: Any, bias: Any) -> Any:
        return np.sum(x * 2 if bias is None else x * 2 + bias)

    assert rg.grad(f, (0, 1))(A, None)[1] is None
    assert rg.vjp(f, A, None)[1](1.0)[1] is None
    assert rg.jvp(f, (A, None), (A, None))[1] == 6.0
    with pytest.raises(ArgumentError, match="tangents have the structure"):
        rg.jvp(f, (A, None), (A, A))
    with pytest.raises(DtypeError, match="the argument is None"):
        rg.grad(f, 1)(A, None)


def test_what_lies_beside_the_fields_of_a_dataclass_is_no_stale_constant() -> None:
    @dataclasses.dataclass
    class Model:
        w: Any

        @functools.cached_property
        def square(self) -> Any:
            return self.w**2

    model = Model(A)
    np.testing.assert_array_equal(model.square, A**2)  # from here on the instance holds it
    np.testing.assert_array_equal(rg.grad(lambda m: np.sum(m.square))(model).w, 2 * A)
    model.note = "text"  # type: ignore[attr-defined]
    assert rg.grad(lambda m: np.sum(m.square))(model).note == "text"
    model.gram = [{"x": A}]  # type: ignore[attr-defined]
    with pytest.raises(
        ArgumentError, match=r"Model\.gram is of type list, and no field of the dataclass Model"
    ):
        rg.grad(lambda m: np.sum(m.square))(model)


def test_a_container_that_contains_itself_is_named() -> None:
    circle: dict[str, Any] = {"a": [A]}
    circle["a"].append(circle)
    with pytest.raises(
        ArgumentError, match=r"argument 0\['a'\]\[1\] is a dict that contains itself; .*Leave out"
    ):
        rg.grad(energy)(circle)
    shared = [A]
    np.testing.assert_array_equal(rg.grad(energy)([shared, shared])[1][0], 2 * A)


def test_depth_is_not_limited() -> None:
    tree: Any = A
    for _ in range(10_000):
        tree = [tree]
    got = rg.grad(energy)(tree)
    for _ in range(10_000):
        (got,) = got
    np.testing.assert_array_equal(got, A)
    assert same_structure(tree, tree)
    assert leaves_as(tree, tree)[0] is A
    with pytest.raises(ArgumentError, match=r"got \[\[\[\[\[\[\[\.\.\.\]\]"):
        rg.grad(lambda p: p)(tree)


def test_settings_are_taken_from_the_primal() -> None:
    primal, tangent = Derived(A, B), Derived(B, A, name="other", train=False)
    value, y_dot = rg.jvp(lambda p: dataclasses.replace(p, a=2 * p.a), (primal,), (tangent,))
    assert (value.name, y_dot.name, y_dot.train) == ("layer", "layer", True)
    np.testing.assert_array_equal(y_dot.a, 2 * B)


def test_tangents_of_another_class_do_not_fit() -> None:
    assert same_structure((A, B), Pair(A, B))
    for tangent in (Frozen(A, B), (A, B), {"a": A, "b": B}, types.SimpleNamespace(a=A, b=B)):
        with pytest.raises(ArgumentError, match=r"primals have \(Plain\(a=shape \(2,\), b=shape \(2,\)\)\)"):
            rg.jvp(energy, (Plain(A, B),), (tangent,))


def test_a_missing_cotangent_stands_for_all_leaves_below_it() -> None:
    like = {"a": (A, Plain(B, None)), "b": A}
    assert not same_structure(like, {"a": None, "b": A})
    assert same_structure(like, {"a": None, "b": A}, missing=True)
    assert leaves_as({"b": 1.0, "a": None}, like, missing=True) == [None, None, 1.0]


class Mesh:
    def __init__(self, nodes: Any, weights: Any, name: str) -> None:
        self.nodes, self.weights, self.name = nodes, weights, name


def test_a_class_of_ones_own_is_a_container_once_it_is_registered() -> None:
    mesh = Mesh(A, {"w": B}, "fine")
    with pytest.raises(DtypeError, match="make its class a dataclass"):
        rg.grad(lambda m: np.sum(m.nodes))(mesh)
    rg.register_container(
        Mesh, lambda m: ((m.nodes, m.weights), m.name), lambda name, entries: Mesh(*entries, name)
    )
    gradient = rg.grad(lambda m: np.sum(m.nodes * m.weights["w"]))(mesh)
    assert (type(gradient), gradient.name, list(gradient.weights)) == (Mesh, "fine", ["w"])
    np.testing.assert_array_equal(gradient.nodes, B)
    np.testing.assert_array_equal(gradient.weights["w"], A)
    _, slope = rg.jvp(lambda m: Mesh(m.nodes * 2, m.weights["w"], "out"), (mesh,), (mesh,))
    assert slope.name == "out"
    np.testing.assert_array_equal(slope.nodes, 2 * A)
    second = rg.hessian(lambda m: np.sum(m.nodes**2 * m.weights["w"]))(mesh)
    np.testing.assert_array_equal(second.nodes.weights["w"], np.diag(2 * A))
    with pytest.raises(ArgumentError, match="tangents have the structure"):
        rg.jvp(lambda m: m.nodes, (mesh,), ((A, {"w": B}),))
    with pytest.raises(DtypeError, match=r"argument 0\[0\] has dtype int64"):
        rg.grad(lambda m: 1.0)(Mesh(np.arange(2), B, "whole"))


def test_a_wrong_registration_is_named() -> None:
    class Bad:
        pass

    for kind in (3, list, np.ndarray, Pair):
        with pytest.raises(ArgumentError, match="register_container"):
            rg.register_container(kind, lambda x: ((), None), lambda rest, entries: None)  # type: ignore[arg-type]
    rg.register_container(Bad, lambda x: (A,), lambda rest, entries: Bad())
    with pytest.raises(ArgumentError, match=r"flatten function of Bad .* a pair"):
        rg.grad(lambda x: 1.0)(Bad())
