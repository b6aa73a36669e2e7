"""What a differentiated function reaches: functions by their names, in closures, tables, modules and methods. type_tests has the rest."""

from __future__ import annotations

import functools
import types
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.tracing.reached_functions import follow

Array = Any


def pair(x: Array) -> Array:
    return np.array([x, x * x])


class Model:
    scale = 2.0

    def __call__(self, x: Array) -> Array:
        return self.scaled(x)

    def scaled(self, x: Array) -> Array:
        return np.sum([self.scale * x, self.inner(x)])

    @staticmethod
    def inner(x: Array) -> Array:
        return np.mean([x, x * x])

    @property
    def plain(self) -> Array:
        return np.array([1.0, 2.0])


def made() -> Any:
    def helper(x: Array) -> Array:
        return np.dot([x, 1.0], [x, 2.0])

    def call(x: Array) -> Array:
        return helper(x) + 0.0

    return call


def kind_of_its_own() -> Any:
    """A class that nothing else reaches."""

    class Kind:
        functions = (lambda x: np.array([x, 3.0]),)

        def __init__(self, x: Array = 0.0) -> None:
            self.x = x

        def pair(self, x: Array) -> Array:
            return np.array([x, x * x]) if type(x) is np.float64 else 0.0 * x

        @classmethod
        def pairs(cls, x: Array) -> Array:
            return np.array([[x, 1.0], [2.0, x * x]])

        @property
        def both(self) -> Array:
            return np.array([self.x, 2.0])

        @functools.cached_property
        def kept(self) -> Array:
            return np.array([self.x, 2.0])

    return Kind


OBJECT, INHERITED, DERIVED = kind_of_its_own()(), type("Child", (kind_of_its_own(),), {})(), kind_of_its_own()
COMPUTED, CACHED, FAMILY = kind_of_its_own(), kind_of_its_own(), kind_of_its_own()
CHILD = type("Child", (DERIVED,), {})


def held(x: Any) -> Any:
    return lambda t: x.pair(t) + 0.0


module = types.ModuleType("somebodys")
exec("import numpy\ndef squares(x):\n    return numpy.array([x, x * x])", vars(module))  # noqa: S102
TABLE = {"pair": pair}


def through_a_list(functions: list[Any]) -> Any:
    return lambda x: functions[0](x) + 0.0


REACHED: dict[str, Any] = {
    "a global function": lambda x: pair(x) + 0.0,
    "a module": lambda x: module.squares(x) + 0.0,
    "an object": Model(),
    "a method": Model().scaled,
    "an object inside": lambda x: Model()(x) + 0.0,
    "a closure": made(),
    "a default": lambda x, f=pair: f(x) + 0.0,
    "a table": lambda x: TABLE["pair"](x) + 0.0,
    "partial": functools.partial(pair),
    "a lambda in a list": through_a_list([lambda x: np.array([x, 1.0])]),
    "a property": lambda x: x * Model().plain,
    "a method of a global object": lambda x: OBJECT.pair(x) + 0.0,
    "an inherited method": lambda x: INHERITED.pair(x) + 0.0,
    "an inherited method of a class": lambda x: CHILD.pairs(x) + 0.0,
    "a method of an object in a closure": held(kind_of_its_own()()),
    "a computed property": lambda x: COMPUTED(x).both + 0.0,
    "a cached property": lambda x: CACHED(x).kept + 0.0,
    "a list of a class": lambda x: FAMILY.functions[0](x) + 0.0,
}


def test_functions_that_python_makes_of_one_code_are_followed_each() -> None:
    for scale in (1.0, 2.0, 3.0):

        def closed(x: Array) -> Array:
            return np.sum(np.array([scale * x, x]))  # noqa: B023 - called at once

        def open_(x: Array) -> Array:
            return np.sum(np.array([x * x, x]))

        assert rg.grad(closed)(0.5) == scale + 1.0
        assert rg.grad(open_)(0.5) == 2.0


@pytest.mark.parametrize("name", REACHED)
def test_its_calls_of_numpy_take_lists(name: str) -> None:
    f = REACHED[name]
    due = f(np.float64(0.75))
    value, slope = rg.jvp(f, (0.75,), (1.0,))
    assert np.array_equal(value, due)
    h = 2.0**-12
    assert np.allclose(slope, (f(np.float64(0.75 + h)) - f(np.float64(0.75 - h))) / (2 * h), rtol=h)


def test_code_with_builtins_of_its_own_is_left_alone() -> None:
    space: dict[str, Any] = {"np": np, "__builtins__": {"sum": sum}}
    exec("def f(x):\n    return np.array([1.0, 2.0]) * x", space)  # noqa: S102
    code = space["f"].__code__
    assert np.array_equal(rg.jvp(space["f"], (2.0,), (1.0,))[1], [1.0, 2.0])
    assert space["f"].__code__ is code


def test_code_of_other_packages_is_left_alone() -> None:
    space: dict[str, Any] = {"np": np, "__name__": "scipy.made_up"}
    exec("def f(x):\n    return np.array([1.0, 2.0])", space)  # noqa: S102
    code = space["f"].__code__
    follow(lambda: space["f"])
    follow(space["f"])
    assert space["f"].__code__ is code


def test_a_helper_that_is_bound_anew_is_followed() -> None:
    space: dict[str, Any] = {"np": np, "__name__": "notebook"}
    exec("def act(t): return t * 2\ndef middle(t): return act(t)\ndef model(x): return middle(x[0])", space)  # noqa: S102 - as a notebook does
    x = np.array([0.5, 1.0])
    assert np.array_equal(rg.grad(space["model"])(x), [2.0, 0.0])
    exec("def act(t): return t * 2 if type(t) is np.float64 else t * 3", space)  # noqa: S102 - as a notebook does
    assert np.array_equal(rg.grad(space["model"])(x), [2.0, 0.0])
