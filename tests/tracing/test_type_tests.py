"""Type tests take the branch that NumPy takes: type, isinstance, hasattr, abstract base classes, match, hashing, membership."""

# ruff: noqa: PLW0108, FURB171 - what is written is what is tested

from __future__ import annotations

import functools
import numbers
import types
from collections import abc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import TracingError
from refgrad.tracing.type_tests import NAME, kind_of

SCALAR, ARRAY, EMPTY = np.float64(1.5), np.array([1.5, 2.5, 0.5]), np.array(1.5)
VALUES = {
    "scalar": SCALAR,
    "array": ARRAY,
    "0-d": EMPTY,
    "float32": np.float32(1.5),
    "matrix": np.ones((2, 3)),
}


def by_type(x: Any) -> Any:
    return x * 2 if type(x) is float else x * 3


class Layer:
    type = "layer"

    def act(self, x: Any) -> Any:
        return x * 2 if type(x) in (float, int) else x * 3

    def __call__(self, x: Any) -> Any:
        return self.act(x)


def names_both(x: Any) -> Any:
    layer = Layer()
    return x * 3 if layer.type == "layer" and type(x) is np.float64 else x * 2


def nested(x: Any) -> Any:
    def inner(v: Any) -> Any:
        return v * 2 if type(v) == float else v * 3  # noqa: E721

    return sum([inner(v) for v in [x, x]]) / 2


def wrapped(f: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(f)
    def call(*args: Any) -> Any:
        return f(*args)

    return call


@wrapped
def decorated(x: Any) -> Any:
    return x * 2 if type(x) is float else x * 3


def recursive(x: Any, n: int = 3) -> Any:
    if n:
        return recursive(x, n - 1)
    return x * 3 if type(x).__name__ == "float64" else x * 2


def makes_a_class(x: Any) -> Any:
    made = type("Made", (), {"factor": 3})
    return x * made.factor


def through_a_list(functions: list[Any]) -> Callable[..., Any]:
    return lambda x: functions[0](x)


TABLE: dict[type, float] = {float: 2.0, np.float64: 3.0, np.ndarray: 5.0}
module = types.ModuleType("somebodys")
module.by_type = by_type  # type: ignore[attr-defined]
BRANCHES: dict[str, Callable[[Any], Any]] = {
    "is": lambda x: x * 2 if type(x) is float else x * 3,
    "==": lambda x: x * 2 if type(x) == float else x * 3,  # noqa: E721
    "in": lambda x: x * 2 if type(x) in (float, int) else x * 3,
    "is not": lambda x: x * 3 if type(x) is not np.ndarray else x * 2,
    "a table": lambda x: x * TABLE[type(x)],
    "a table of functions": lambda x: BRANCHES["is"](x),
    "a function in a list": through_a_list([lambda x: x * 3 if type(x) is not float else x]),
    "issubclass": lambda x: x * 3 if issubclass(type(x), np.floating) else x * 2,
    "a comprehension": lambda x: sum([v * 3 if type(v) is np.float64 else v * 2 for v in [x]]),
    "a global function": lambda x: by_type(x), "a function of a module": lambda x: module.by_type(x),
    "an object": Layer(), "a method": Layer().act, "an object inside": lambda x: Layer()(x),
    "partial": functools.partial(lambda factor, x: by_type(x) * factor, 1), "an attribute of that name": names_both,
    "a function inside": nested, "a decorated function": decorated, "a recursive function": recursive, "type with three": makes_a_class,
}  # fmt: skip


@pytest.mark.parametrize("name", BRANCHES)
def test_type_is_numpys_in_a_differentiated_function(name: str) -> None:
    f = BRANCHES[name]
    assert f(SCALAR) == 3 * SCALAR
    assert rg.grad(f)(1.5) == 3.0
    assert rg.jvp(f, (1.5,), (1.0,)) == (4.5, 3.0)
    assert rg.hessian(lambda x: f(x) ** 2)(1.5) == 18.0
    assert rg.jacrev(f)(1.5) == rg.jacfwd(f)(1.5) == 3.0


def test_the_methods_of_an_object_are_reached_through_it() -> None:
    class Inner:
        def act(self, x: Any) -> Any:
            return x * 2 if type(x) is float else x * 3

        def __call__(self, x: Any) -> Any:
            return self.act(x)

        def other(self, x: Any) -> Any:
            return self.act(x)

    assert rg.grad(Inner())(1.5) == 3.0
    assert rg.grad(type("Again", (), dict(vars(Inner)))().other)(1.5) == 3.0


def test_functions_compute_as_before_once_they_were_differentiated() -> None:
    rg.grad(by_type)(1.5)
    assert NAME in by_type.__code__.co_names
    assert by_type(1.5) == 3.0
    assert by_type(SCALAR) == 4.5
    assert by_type.__code__.co_name == "by_type"
    assert by_type.__code__.co_firstlineno > 0


def test_a_function_without_type_is_left_alone() -> None:
    def f(x: Any) -> Any:
        return np.sum(x**2)

    code = f.__code__
    rg.grad(f)(ARRAY)
    assert f.__code__ is code


def test_a_type_of_somebodys_own_is_left_alone() -> None:
    space: dict[str, Any] = {"type": lambda x: "mine"}
    exec("def f(x): return x * 2 if type(x) == 'mine' else x * 3", space)  # noqa: S102 - a module with a function of that name
    assert rg.grad(space["f"])(1.5) == 2.0


def test_a_line_stays_where_it_was() -> None:
    def f(x: Any) -> Any:
        if type(x) is np.float64:
            raise ValueError("here")
        return x

    with pytest.raises(ValueError, match="here") as caught:
        rg.grad(f)(1.5)
    assert caught.traceback[-1].lineno == f.__code__.co_firstlineno + 1


def test_kind_of_is_type() -> None:
    assert kind_of(1) is int
    assert kind_of("Made", (int,), {}).__bases__ == (int,)
    with pytest.raises(TypeError, match="takes 1 or 3 arguments"):
        kind_of(1, 2)


CLASSES = (
    abc.Sized, abc.Iterable, abc.Container, abc.Collection, abc.Hashable, abc.Sequence, abc.Iterator, abc.Callable, numbers.Real,
    numbers.Number, numbers.Integral, float, int, complex, str, list, np.ndarray, np.generic, np.floating, np.float64, np.float32,
)  # fmt: skip


def matched(x: Any) -> str:
    match x:
        case float():
            return "float"
        case np.ndarray():
            return "array"
        case [_, _, _]:
            return "three"
        case _:
            return "other"


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "isinstance": lambda x: [isinstance(x, c) for c in CLASSES], "callable": callable, "np.iterable": np.iterable,
    "np.isscalar": np.isscalar, "np.ndim": np.ndim, "match": matched, "is None": lambda x: x is None,
    "== None": lambda x: str(x == None),  # noqa: E711
    "hasattr": lambda x: (hasattr(x, "__iter__"), hasattr(x, "__len__"), hasattr(x, "dot"), hasattr(x, "is_integer"), hasattr(x, "ctypes"),
                          hasattr(x, "__array_interface__"), hasattr(x, "data"), hasattr(x, "detach"), hasattr(x, "append")),
    "getattr": lambda x: getattr(x, "__iter__", None) is None, "len": lambda x: len(x), "list": lambda x: len(list(x)),
    "in x": lambda x: 1.5 in x,
    "in a list": lambda x: np.ndim(x) == 0 and x in [2.0, 1.5], "in a set": lambda x: x in {1.5}, "not in": lambda x: x not in {2.0},
    "what it is": lambda x: (x.dtype, x.shape, x.ndim, x.size, x.itemsize, x.nbytes, x.strides, x.device, x.flags.c_contiguous),
    "class": lambda x: x.__class__, "is_integer": lambda x: x.is_integer(), "namespace": lambda x: x.__array_namespace__() is np,
    "dispatch": functools.singledispatch(lambda x: "other"), "hash": lambda x: [hash(x)][1:],
}  # fmt: skip
QUESTIONS["dispatch"].register(float, lambda x: "float")  # type: ignore[attr-defined]
QUESTIONS["dispatch"].register(np.ndarray, lambda x: "array")  # type: ignore[attr-defined]


def answer(question: Callable[[Any], Any], x: Any) -> str:
    try:
        return repr(question(x))
    except AttributeError:
        return "AttributeError"
    except TypeError:
        return "TypeError"


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_has_numpys_answer(name: str, kind: str) -> None:
    x, seen = VALUES[kind], []

    def f(y: Any) -> Any:
        seen.append(answer(QUESTIONS[name], y))
        return np.sum(y)

    def run() -> None:
        rg.grad(f)(x)
        rg.jvp(f, (x,), (np.ones_like(x),))

    expected = answer(QUESTIONS[name], x)
    if name == "hash" and expected != "TypeError":
        with pytest.raises(TracingError, match=r"key of a dict, a cache or a set.*x in \{1\.0, 2\.0\}"):
            run()
        return
    run()
    if expected == "TypeError":
        assert set(seen) <= {"TypeError", "AttributeError"}
    else:
        assert seen == [expected, expected]


def test_a_cache_cannot_hand_out_the_result_of_another_number() -> None:
    @functools.lru_cache
    def cached(v: Any) -> Any:
        return v * v

    memo: dict[Any, Any] = {1.5: 2.25}
    for f in (cached, lambda x: memo[x] if x in memo else x * x, lambda x: memo.setdefault(x, x)):
        with pytest.raises(TracingError, match="key of a dict, a cache or a set"):
            rg.grad(f)(1.5)
    assert rg.grad(lambda x: x * 2 if x in {1.5, 3.0} else x * 3)(1.5) == 2.0
    assert rg.hessian(lambda x: x**2 if x in {1.5, 3.0} else x**3)(1.5) == 2.0


def test_code_in_c_that_takes_a_number_for_a_sequence_is_refused() -> None:
    measure = len  # by a name that is not written where it is called
    with pytest.raises(TracingError, match="conversion to numbers"):
        rg.grad(lambda x: list(map(measure, [x])))(1.5)
