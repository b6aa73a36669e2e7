"""The page of NumPy's functions is true: each function is called again, and the page that comes out is the one in docs."""

from __future__ import annotations

import operator
import re
from typing import Any

import numpy as np
import pytest

from refgrad.op import Traced
from tests.autograd_names import NAMES, WITHOUT_RULE
from tests.numpy_page import (
    CONSTANT,
    DIFFERENTIATED,
    PAGE,
    PLAIN,
    REFUSED,
    Entry,
    classified,
    methods_of_ufuncs,
    text,
)
from tests.numpy_walk import Call

Array = Any
V = np.array([0.7, -1.3, 2.1])


@pytest.fixture(scope="module")
def found() -> dict[str, list[Entry]]:
    return classified()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_the_page_is_what_calls_say(found: dict[str, list[Entry]]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    wrong = [line for entries in found.values() for e in entries for line in e.wrong]
    assert not wrong, "\n".join(wrong[:8])
    written = text(found, methods_of_ufuncs())
    if f"NumPy {'.'.join(np.__version__.split('.')[:2])}'s" in page:
        assert page == written, "run python -m tests.numpy_page"
        return
    # Another NumPy has other functions and parameters: what both have is of one kind.
    told, seen = [
        dict(re.findall(r"^\| (`[^`]+`|real[^|]*|other[^|]*) \| (.*?) \|", t, re.MULTILINE))
        for t in (page, written)
    ]
    both = told.keys() & seen.keys()
    assert len(both) > 200
    assert {name for name in both if bool(told[name]) != bool(seen[name])} <= LATER


@pytest.mark.long
def test_what_autograd_differentiates_is_differentiated(found: dict[str, list[Entry]]) -> None:
    """By any of the names under which NumPy has the function."""
    kinds: dict[int, str] = {}
    for entries in found.values():
        for e in entries:
            function: Any = np
            for part in e.name.split(".")[1:]:
                function = getattr(function, part, None)
            kinds[id(function)] = e.kind
    for name in NAMES - {"astype"} | ({"astype"} if hasattr(np, "astype") else set()):
        assert kinds[id(operator.attrgetter(name)(np))] in {DIFFERENTIATED, CONSTANT}, name
    assert not NAMES & WITHOUT_RULE


@pytest.mark.long
def test_a_function_that_is_refused_says_why(found: dict[str, list[Entry]]) -> None:
    refused = [e for entries in found.values() for e in entries if e.kind == REFUSED]
    assert refused
    assert all(e.reason for e in refused)


# Rows of the page in which a later NumPy than the page's differs: none is known.
LATER: frozenset[str] = frozenset()


def stripped(x: Array) -> Array:
    while isinstance(x, Traced):
        x = x._value
    return x


PLANTED = {
    "a derivative": (lambda x: x * 2, DIFFERENTIATED),
    "a constant": (np.sign, CONSTANT),
    "a refusal": (lambda x: np.asarray(x) * 2, REFUSED),
    "integers": (lambda x: [1, 2][int(np.size(x)) :], CONSTANT),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_a_function_is(name: str) -> None:
    function, kind = PLANTED[name]
    entry = Entry(name)
    assert entry.kind == PLAIN
    entry.add(Call(name, function, (V,)))
    assert not entry.wrong
    assert entry.kind == kind


def test_a_wrong_derivative_is_told() -> None:
    entry = Entry("half")
    entry.add(Call("half", lambda x: x * stripped(x), (V,)))
    assert entry.wrong
