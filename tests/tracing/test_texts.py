"""Texts of traced numbers may be shown, and are refused where a program would read a number or a decision out of them."""

from __future__ import annotations

import datetime as dt
import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import TracingError
from refgrad.tracing.texts import Formatted, Shown

TABLE = {"0.5": 2.0, "np.float64(0.5)": 2.0}
READ: dict[str, Callable[[Any], Any]] = {
    "float(str(x))": lambda x: float(str(x)) * x,
    "float of an f-string": lambda x: float(f"{x}") * x,
    "float of digits": lambda x: float(f"{x:.17g}") * x,
    "float of format": lambda x: float(format(x, ".3f")) * x,
    "float of str.format": lambda x: float("{:.3f}".format(x)) * x,  # noqa: UP032  as people write it
    "int of digits": lambda x: int(f"{x:.0f}") * x,
}
DECIDED: dict[str, Callable[[Any], Any]] = {
    "table.get(str(x))": lambda x: TABLE.get(str(x), 5.0) * x,
    "table.get(repr(x))": lambda x: TABLE.get(repr(x), 5.0) * x,
    "str(x) ==": lambda x: x if str(x) == "0.5" else 2 * x,
    "str(x) !=": lambda x: x if str(x) != "0.5" else 2 * x,
    "a set": lambda x: len({f"{x}", "0.5"}) * x,
    "a list": lambda x: x if str(x) in ["0.5", "0.25"] else 2 * x,
}


@pytest.mark.parametrize("name", READ)
def test_a_number_is_not_read_back(name: str) -> None:
    with pytest.raises(TracingError, match="of a text that shows a traced number would lose"):
        rg.grad(READ[name])(0.5)
    with pytest.raises(TracingError, match="of a text that shows a traced number would lose"):
        rg.jvp(READ[name], (0.5,), (1.0,))


@pytest.mark.parametrize("name", DECIDED)
def test_no_decision_is_made_by_a_text_that_differs_from_numpys(name: str) -> None:
    with pytest.raises(TracingError, match="a decision by the text of a traced number"):
        rg.grad(DECIDED[name])(0.5)


@pytest.mark.parametrize("f", [lambda x: dt.date.fromisoformat(" " + repr(x)), lambda x: {"a": x}[f"{x},"]])
def test_errors_that_name_a_traced_array_are_explained(f: Callable[[Any], Any]) -> None:
    with pytest.raises(TracingError, match="handed a traced array to code that does not know it"):
        rg.grad(f)(0.5)


def test_texts_are_printed_logged_and_compared_in_the_format_of_the_program() -> None:
    shown = []

    def f(x: Any) -> Any:
        sys.stdout.write(f"{x} {x:.2f} {[x]} { ({1: x}) }" + str(x))
        logging.getLogger("refgrad.tests").warning(str(x))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.warn(str(x), stacklevel=1)
        shown.append(str(x))
        return x * {"0.50": 3.0}[f"{x:.2f}"] if f"{x:.1f}" == "0.5" else x

    assert rg.grad(f)(0.5) == 3.0
    assert shown == ["Var(np.float64(0.5))"], "after the transformation it is a text like any other"
    assert set(shown) == {"Var(np.float64(0.5))"}
    assert shown[0] != "0.5"


def test_after_the_transformation_numbers_are_read() -> None:
    texts: list[Any] = []
    rg.grad(lambda x: texts.append(f"{x:.2f}") or x)(0.5)
    (text,) = texts
    assert isinstance(text, Formatted)
    assert not isinstance(text, Shown)
    assert float(text) == 0.5
    assert int(Formatted("3", ())) == 3


def test_arrays_are_shown_in_numpys_digits() -> None:
    text: list[str] = []
    rg.grad(lambda x: text.append(f"x = {x}") or np.sum(x))(np.array([1.0, 2.0]))
    assert text == ["x = Var(array([1., 2.]))"]
