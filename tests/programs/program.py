"""A program: a NumPy function as source text, with the arguments at which it is judged."""

from __future__ import annotations

import collections
import contextlib
import copy
import dataclasses
import functools
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import refgrad as rg

Array = Any
HEADER = """\
import collections, contextlib, copy, dataclasses, functools, pickle
import numpy as np
import refgrad as rg
from refgrad import stop_gradient
"""


@dataclasses.dataclass
class State:
    """A dataclass for programs."""

    a: Any
    b: Any
    name: str = "state"


STATE = """
@dataclasses.dataclass
class State:
    a: object
    b: object
    name: str = "state"
"""
Point = collections.namedtuple("Point", ["a", "b"])  # noqa: PYI024 - as it stands in the programs
POINT = '\nPoint = collections.namedtuple("Point", ["a", "b"])\n'


def names() -> dict[str, Any]:
    """What the text of a program may name."""
    return {
        "np": np, "rg": rg, "copy": copy, "functools": functools, "pickle": pickle, "dataclasses": dataclasses, "collections": collections,
        "contextlib": contextlib, "stop_gradient": rg.stop_gradient, "State": State, "Point": Point,
    }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Program:
    """Statements of a function (each may have several lines), what it returns, and its arguments as expressions."""

    seed: int
    arguments: tuple[tuple[str, str], ...]
    statements: tuple[str, ...]
    results: tuple[str, ...]

    def source(self) -> str:
        """The function as text."""
        lines = [line for statement in self.statements for line in statement.splitlines()]
        body = "".join(f"    {line}\n" for line in lines)
        given = ", ".join(name for name, _ in self.arguments)
        return (
            f"def f({given}):\n{body}    return {', '.join(self.results)}{',' * (len(self.results) == 1)}\n"
        )

    def script(self, check: str = "") -> str:
        """A script of its own: the function, its arguments, and what is to be seen."""
        text = self.source()
        extra = (STATE if "State(" in text else "") + (POINT if "Point(" in text else "")
        given = "".join(f"{name} = {expression}\n" for name, expression in self.arguments)
        return f"# program {self.seed}\n{HEADER}{extra}\n{text}\n{given}{check}"

    def values(self) -> list[Array]:
        """The arguments, made anew."""
        space = names()
        return [eval(expression, space) for _, expression in self.arguments]  # noqa: S307 - drawn here

    def single(self) -> bool:
        """Whether float32 occurs, so that results have its precision at best."""
        return "float32" in self.source() + "".join(e for _, e in self.arguments)


def as_traced(x: Any) -> Any:
    """An argument as a program sees it: a Python float is a float64 there."""
    return np.float64(x) if type(x) is float else x


def function(program: Program, wide: bool = False, stops: Stops | None = None) -> Callable[..., Any]:
    """The program as a function. A wide one has long double in place of float64 and float32."""
    text = program.source()
    if wide:
        text = text.replace("np.float32", "np.longdouble").replace("np.float64", "np.longdouble")
    space = names()
    if stops is not None:
        space["stop_gradient"] = stops
    exec(compile(text, f"<program {program.seed}>", "exec", dont_inherit=True), space)  # noqa: S102 - the point of it
    return space["f"]  # type: ignore[no-any-return]


class Stops:
    """stop_gradient for differences: what it returned at the point itself is what it returns beside the point."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.place: int | None = None

    def __call__(self, x: Any) -> Any:
        if self.place is None:
            self.kept.append(copy.deepcopy(x))
            return x
        self.place += 1
        return copy.deepcopy(self.kept[self.place - 1])

    @contextlib.contextmanager
    def replayed(self) -> Iterator[None]:
        """Calls give what they gave at the point, in their order."""
        self.place = 0
        try:
            yield
        finally:
            self.place = 0


__all__ = ["HEADER", "Array", "Point", "Program", "State", "Stops", "as_traced", "function", "names"]
