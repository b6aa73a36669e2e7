"""All of NumPy's public functions with a traced array in every argument place: right, refused by name, or NumPy's own error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad.op import Traced
from tests.numpy_surface import TAKES_NO_FLOATS, functions, tried, written
from tests.numpy_walk import Call, complexified, is_place, judged, plain_error

Array = Any
FUNCTIONS = list(functions())
WRITTEN = list(written())
# Functions that ask in C for an array of NumPy's own class, in words that name the argument; a traced array cannot answer them.
ASK_FOR_NDARRAYS = frozenset({
    "np.random.Generator.shuffle", "np.random.Generator.permuted", "np.random.Generator.standard_gamma", "np.random.shuffle",
    "np.ndarray.dot", "np.ndarray.conj", "np.ndarray.conjugate",
})  # fmt: skip


def findings(call: Call) -> tuple[int, list[str]]:
    """How many places of a call were traced, alone and beside all others, and what is wrong with the answers."""
    places = [k for k, x in enumerate(call.leaves()) if is_place(x)]
    found = []
    for place in places:
        rest = tuple([k for k in places if k != place])
        for beside in ((), rest) if rest else ((),):
            outcome = judged(call, place, beside)
            if not outcome.accepted and not (outcome.kind == "raw" and call.name in ASK_FOR_NDARRAYS):
                found.append(f"{call}, leaf {place}, beside {beside}: {outcome.kind}: {outcome.why}")
    return len(places), found


@pytest.mark.parametrize(("name", "function"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_a_traced_array_in_any_place_is_answered_or_refused(name: str, function: Callable[..., Any]) -> None:
    traced, found = 0, []
    for call in tried(name, function):
        count, wrong = findings(call)
        traced += count
        found += wrong
    assert not found, "\n".join(found[:8])
    written_ones = any(call.name == name for call in WRITTEN)
    assert traced or written_ones or name in TAKES_NO_FLOATS, (
        "no call was made: write one in numpy_surface.written"
    )


@pytest.mark.parametrize("call", WRITTEN, ids=str)
def test_written_calls(call: Call) -> None:
    _, found = findings(call)
    assert not found, "\n".join(found)


# --- with complex numbers in all places -----------------------------------------------------------------------------------

# Rooms whose functions have no complex numbers, or change nothing of them.
WITHOUT_COMPLEX = ("np.random", "np.char", "np.strings", "np.rec", "np.ctypeslib", "np.testing", "np.ma")
IN_COMPLEX = [(name, function) for name, function in FUNCTIONS if not name.startswith(WITHOUT_COMPLEX)]
RIGHT = frozenset(
    {
        "np.fft.fft",
        "np.abs",
        "np.exp",
        "np.matmul",
        "np.vdot",
        "np.cov",
        "np.angle",
        "np.ndarray.conj",
        "np.linalg.inv",
        "np.sum",
    }
)


@pytest.mark.parametrize(("name", "function"), IN_COMPLEX, ids=[name for name, _ in IN_COMPLEX])
def test_complex_numbers_in_any_place_are_answered_or_refused(
    name: str, function: Callable[..., Any]
) -> None:
    calls = [c for c in map(complexified, tried(name, function)) if plain_error(c) is None]
    wrong = [line for call in calls for line in findings(call)[1]]
    assert not wrong, "\n".join(wrong[:8])
    if name in RIGHT:
        assert "right" in {
            judged(call, k).kind for call in calls for k, x in enumerate(call.leaves()) if is_place(x)
        }


@pytest.mark.parametrize("call", [c for c in map(complexified, WRITTEN) if plain_error(c) is None], ids=str)
def test_written_calls_of_complex_numbers(call: Call) -> None:
    _, wrong = findings(call)
    assert not wrong, "\n".join(wrong)


# --- the walk sees what it is made for -----------------------------------------------------------------------------------

V = np.array([0.7, -1.3, 2.1])


def stripped(x: Array) -> Array:
    while isinstance(x, Traced):
        x = x._value
    return x


def failing(x: Array) -> Array:
    return np.sum(x) if not isinstance(x, Traced) else {}["missing"]


def writing(x: Array) -> None:
    x *= stripped(x)


def unconjugated(z: Array) -> Array:
    return np.matmul(z, z) if isinstance(z, Traced) else np.vdot(z, z)


PLANTED = {
    "a constant": (lambda x: stripped(x) ** 2, "silent"),
    "a constant in an iterator": (lambda x: iter([stripped(x) ** 2]), "silent"),
    "a complex constant": (lambda x: stripped(x) * 1j, "silent"),
    "half a derivative": (lambda x: x * stripped(x), "wrong"),
    "another value": (lambda x: x + isinstance(x, Traced), "wrong"),
    "another shape": (lambda x: np.sum(x) if isinstance(x, Traced) else x, "wrong"),
    "another dtype": (lambda x: x.astype(np.float32) if isinstance(x, Traced) else x, "wrong"),
    "an error of Python": (failing, "raw"),
    "no error": (lambda x: x if isinstance(x, Traced) else np.reshape(x, 7), "wrong"),
    "NumPy's error": (lambda x: np.reshape(x, (2, 2)), "as NumPy"),
    "a refusal": (lambda x: np.asarray(x) * 2, "refused"),
    "half a derivative, written": (writing, "wrong"),
    "a function": (lambda x: [x * 2, np.shape(x)], "right"),
}


def test_the_judge_of_a_call_of_complex_numbers() -> None:
    z = V + 1j * np.cos(V)
    planted = {
        unconjugated: "wrong", (lambda z: z.real * stripped(z).imag): "wrong", (lambda z: stripped(z) ** 2): "silent",
        (lambda z: np.maximum(z, 1j)): "refused", (lambda z: z * z.conj()): "right",
    }  # fmt: skip
    for function, kind in planted.items():
        assert judged(Call("planted", function, (z,)), 0).kind == kind


@pytest.mark.parametrize("name", PLANTED)
def test_the_judge_of_a_call(name: str) -> None:
    function, kind = PLANTED[name]
    assert judged(Call(name, function, (V,)), 0).kind == kind
