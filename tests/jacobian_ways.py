"""A Jacobian by one run for all directions and by single runs: both ways, and whether they give the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad import jacobians
from refgrad.tree import flatten


def both_ways(
    monkeypatch: pytest.MonkeyPatch,
    together: str,
    transform: Callable[..., Any],
    f: Callable[..., Any],
    *xs: Any,
) -> tuple[Any, Any, int]:
    """The Jacobians of f with and without the function ``together`` of refgrad.jacobians, and how often it gave an answer."""
    at_once, answers = getattr(jacobians, together), []

    def spy(*given: Any) -> Any:
        found = at_once(*given)
        answers.append(found is not None)
        return found

    argnums = tuple(range(len(xs)))
    with monkeypatch.context() as patched:
        patched.setattr(jacobians, together, spy)
        once = transform(f, argnums)(*xs)
        patched.setattr(jacobians, together, lambda *_: None)
        return once, transform(f, argnums)(*xs), sum(answers)


def same(a: Any, b: Any) -> bool:
    """Whether two trees of arrays have the same dtypes, shapes and numbers."""
    pairs = zip(flatten(a)[0], flatten(b)[0], strict=True)
    return all(
        x.dtype == y.dtype and x.shape == y.shape and np.array_equal(x, y, equal_nan=True) for x, y in pairs
    )
