"""The list of idioms: each draws a few statements from the variables of a scope."""

from __future__ import annotations

from collections.abc import Callable

from tests.programs.scope import Scope

Idiom = Callable[[Scope], list[str]]
IDIOMS: dict[str, tuple[Idiom, int]] = {}


def idiom(weight: int = 2) -> Callable[[Idiom], Idiom]:
    """Register an idiom; it is drawn in proportion to its weight."""

    def register(function: Idiom) -> Idiom:
        IDIOMS[function.__name__] = function, weight
        return function

    return register
