"""Functions as text: with what they take from around them, each after what it needs, and refused where a value cannot be written."""

from __future__ import annotations

import functools
import math
import random
from collections import OrderedDict

import numpy as np
import pytest

from refgrad.testing.checks.function_source import Source, UnwritableError, importable, installed
from refgrad.testing.checks.script_text import numpy_expression

FACTOR, TABLE, NESTED = 2.5, np.arange(3.0), {"k": (1, [2.0, None]), "inf": float("inf")}
STATE = random.Random(0)


def helper(x):
    return x * FACTOR


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


def decorated(f):
    @functools.wraps(f)
    def inner(*args):
        return f(*args) + 1

    return inner


@decorated
def wrapped(x):
    return helper(x)


class Base:
    scale = 3

    @staticmethod
    def apply_to(x):
        return Base.scale * x


class Derived(Base):
    @classmethod
    def call(cls, x):
        return cls.apply_to(x) + helper(x)


def stateful(x):
    return x * STATE.random()


def closed():
    depth, table = 2, np.ones(2)

    def inner(x):
        deeper = lambda y: y * depth  # noqa: E731  a name that is free two functions further in
        return deeper(x) + table.sum() + math.pi

    return inner


def evaluated(f, *args):
    source = Source(numpy_expression)
    expression = source.expression(f)
    imports, definitions = source.lines()
    text = "\n\n".join(["from __future__ import annotations", "import numpy as np", *imports, *definitions])
    names: dict[str, object] = {}
    exec(compile(text, "text", "exec"), names)  # noqa: S102  what is tested is that it runs
    return eval(expression, names)(*args)  # noqa: S307


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (helper, (2.0,)),
        (even, (7,)),
        (wrapped, (2.0,)),
        (Derived.call, (2.0,)),
        (Base.apply_to, (2.0,)),
        (closed(), (2.0,)),
        (lambda x: x + TABLE.sum() + NESTED["k"][1][0], (1.0,)),
        (functools.partial(helper, x=4.0), ()),
        (functools.partial(math.pow, 2.0), (3.0,)),
        (math.sqrt, (2.0,)),
        ((lambda x: x + 1), (1.0,)),
        ([lambda x: x * 3, lambda x: x * 5][1], (1.0,)),
        (lambda x, y=FACTOR: x * y, (3.0,)),
    ],
)
def test_the_text_computes_the_same(f, args) -> None:
    assert evaluated(f, *args) == f(*args)


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(UnwritableError, match="STATE: a value of type Random cannot be written"):
        Source().expression(stateful)
    with pytest.raises(UnwritableError, match="object"):
        Source().expression(object())
    with pytest.raises(UnwritableError, match="OrderedDict"):
        Source().value(OrderedDict())


def test_two_things_of_one_name_are_refused() -> None:
    def helper(x):
        return x

    source = Source()
    source.expression(helper)
    with pytest.raises(UnwritableError, match="two different things are called helper"):
        source.expression(wrapped)


def test_a_class_that_stands_twice_is_not_taken_for_another() -> None:
    def made(k):
        if k:

            class Twice:
                def f(self):
                    return 1
        else:

            class Twice:
                def f(self):
                    return 2

        return Twice

    found = []
    for k in (0, 1):
        source = Source()
        try:
            source.name_of(made(k))
            found.append(f"return {2 - k}" in source.lines()[1][0])
        except UnwritableError as error:
            found.append("is another one's" in str(error))
    assert found == [True, True]


def test_values() -> None:
    source = Source(numpy_expression)
    for value in (
        1,
        -2.5,
        "a'b",
        b"x",
        None,
        True,
        ...,
        (1,),
        (),
        [1, (2,)],
        {1, 2},
        set(),
        {"k": [1]},
        slice(1, None),
        1j,
    ):
        assert eval(source.value(value)) == value  # noqa: S307
    assert eval(source.value(float("nan"))) != 0  # noqa: S307


def test_where_a_function_can_be_imported_from() -> None:
    assert importable(math.sqrt) == "from math import sqrt"
    assert importable(closed()) == ""
    assert importable(STATE) == ""
    assert installed(math)
    assert installed(np)
    assert installed(pytest)
