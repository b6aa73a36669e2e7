"""Docstrings of public functions: every example runs as it stands and comes to what its comment says."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import numpy as np
import pytest

import refgrad as rg

PUBLIC = {name: getattr(rg, name) for name in rg.__all__ if callable(getattr(rg, name))}
PUBLIC |= {f"Graph.{name}": f for name, f in vars(rg.Graph).items() if not name.startswith("_")}
EXAMPLE = re.compile(r"::\n\n((?:    .*\n|\n)+)")


def examples(thing: Any) -> list[str]:
    text = inspect.cleandoc(thing.__doc__ or "") + "\n"
    return [textwrap.dedent(code) for code in EXAMPLE.findall(text)]


SHOWN = {name: examples(thing) for name, thing in PUBLIC.items() if not name.startswith("custom")}
SHOWN = {name: found for name, found in SHOWN.items() if found}


def loss(x: Any, w: Any) -> Any:
    return np.sum(np.tanh(x @ w))


def test_every_transformation_shows_an_example() -> None:
    wanted = {"grad", "value_and_grad", "vjp", "jvp", "jacrev", "hessian", "hvp", "Graph", "Graph.record"}
    assert wanted <= SHOWN.keys()


@pytest.mark.parametrize("name", SHOWN)
def test_examples_run_as_they_stand(name: str) -> None:
    rng = np.random.default_rng(5)
    x, w, x_dot, v = rng.normal(size=3), rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=3)
    for code in SHOWN[name]:
        scope = {"np": np, "rg": rg, "x": x, "w": w, "x_dot": x_dot, "v": v, "loss": loss}
        for line in code.splitlines():
            statement, _, comment = (part.strip() for part in line.partition("#"))
            if comment.startswith("array"):
                found, expected = eval(statement, scope), eval(comment, {"array": np.array})  # noqa: S307 - refgrad's own text
                assert np.array_equal(found, expected)
            else:
                exec(statement, scope)  # noqa: S102 - refgrad's own text


def test_examples_say_what_comes_out() -> None:
    x, v = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    assert np.array_equal(rg.jvp(np.sin, (x,), (v,))[1], np.cos(x) * v)
    assert np.array_equal(rg.hvp(lambda x: np.sum(x**3), (x,), (v,))[0], 6 * x * v)
    g = rg.Graph()
    a, b = g.input("a"), g.input("b")
    g.output(2 * a + b**2)
    assert g.forward(a=3.0, b=4.0) == 22.0
    assert g.backward() == {"a": 2.0, "b": 8.0}
