"""The scope of a program while it is drawn: statements are run as they are added, so that each is legal NumPy where it stands."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.programs.program import Program, as_traced, names

LIMIT = 100.0  # no array of a program exceeds it, so that roundings can be estimated
Test = Callable[[Any], bool]


class Refused(Exception):  # noqa: N818 - no fault: the scope has no variable of the kind that an idiom asks for
    """There is no such variable."""


def is_real(x: Any) -> bool:
    """Whether x is a floating-point array or scalar of NumPy's."""
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f"


def is_array(x: Any) -> bool:
    """Whether x is a floating-point array that is no scalar."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.ndim > 0


def is_vector(x: Any) -> bool:
    """Whether x is a vector of two elements or more."""
    return is_array(x) and x.ndim == 1 and x.size > 1


def is_matrix(x: Any) -> bool:
    """Whether x is a matrix."""
    return is_array(x) and x.ndim == 2


def is_scalar(x: Any) -> bool:
    """Whether x is a floating-point scalar of NumPy's."""
    return isinstance(x, np.floating)


class Scope:
    """Variables with their present values. Names that begin with v, x, y, z hold what may depend on the arguments."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.arguments: list[tuple[str, str]] = []
        self.statements: list[str] = []
        self.values: dict[str, Any] = {}
        self.later: list[list[str]] = []  # statements that other idioms may come before
        self.count = 0

    # --- what idioms ask for ---

    def pick(self, test: Test = is_real) -> str:
        """The name of a variable whose value passes the test; later ones are likelier. Raises Refused where there is none."""
        found = [name for name in self.variables() if test(self.values[name])]
        if not found:
            raise Refused
        return found[max(self.random.randrange(len(found)), self.random.randrange(len(found)))]

    def like(self, name: str) -> str:
        """A variable that may be combined with ``name`` elementwise without a change of its shape; often another one."""
        shape = np.shape(self.values[name])

        def fits(x: Any) -> bool:
            try:
                return is_real(x) and np.broadcast_shapes(np.shape(x), shape) == shape
            except ValueError:
                return False

        return self.pick(fits)

    def fresh(self, prefix: str = "v") -> str:
        """A new name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def number(self, least: float = 0.25, most: float = 1.75) -> str:
        """A positive number without a pattern, with a digit more than the elements of arguments: it ties with none of them."""
        return repr(round(round(self.random.uniform(least, most), 3) + 0.0004, 4))

    def plain(self, shape: tuple[int, ...]) -> str:
        """The expression of a constant array."""
        return f"np.{literal(self.random, shape)}"

    def choose(self, *options: str) -> str:
        """One of the options."""
        return self.random.choice(options)

    def value(self, name: str) -> Any:
        """The present value of a variable."""
        return self.values[name]

    def variables(self) -> list[str]:
        """Names of real arrays and scalars that may depend on the arguments."""
        return [n for n, x in self.values.items() if re.fullmatch(r"[xyz]|v\d+", n) and is_real(x)]

    # --- growing ---

    def add(self, statements: list[str]) -> bool:
        """Add statements if they run, and leave all values finite and of moderate size. Returns whether they were added."""
        if self._run(statements) and self._moderate():
            self.statements += statements
            return True
        self._restart()
        return False

    def begin(self, arguments: list[tuple[str, str]]) -> None:
        """Set the arguments."""
        self.arguments = arguments
        self._restart()

    def _restart(self) -> None:
        space = names()
        self.hidden = set(space)
        self.space = space
        for name, expression in self.arguments:
            space[name] = as_traced(eval(expression, space))  # noqa: S307 - drawn here
        assert self._run(self.statements)

    def _run(self, statements: list[str]) -> bool:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error")
                for statement in statements:
                    exec(compile(statement, "<drawn>", "exec", dont_inherit=True), self.space)  # noqa: S102 - the point of it
        except Exception:  # noqa: BLE001 - whatever it is, the statement is not legal here
            return False
        self.values = {n: x for n, x in self.space.items() if n not in self.hidden and n != "__builtins__"}
        return True

    def _moderate(self) -> bool:
        with np.errstate(all="ignore"):
            return all(
                np.all(np.isfinite(x)) and np.size(x) <= 24 and np.max(np.abs(x), initial=0) <= LIMIT
                for n, x in self.values.items()
                if is_real(x)
            )

    def program(self, results: list[str]) -> Program:
        """What has been drawn."""
        return Program(self.seed, tuple(self.arguments), tuple(self.statements), tuple(results))


def literal(source: random.Random, shape: tuple[int, ...]) -> str:
    """The text of an array of numbers without a pattern, of both signs: array([0.734, -1.25])."""

    def nested(shape: tuple[int, ...]) -> str:
        if not shape:
            return repr(round(source.uniform(0.3, 1.9) * source.choice((1, 1, -1)), 3))
        return f"[{', '.join(nested(shape[1:]) for _ in range(shape[0]))}]"

    return f"array({nested(shape)})"
