"""What scripts are written with: numbers and arrays that read back exactly, and a run of a script."""

from __future__ import annotations

import base64
import math
import zlib

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.checks.script_text import (
    PACKED,
    array,
    expected_rows,
    number,
    numbers,
    numpy_expression,
    one_line,
    reason_without_array,
    run,
)
from tests.checked import part

SCOPE = {"np": np, "base64": base64, "zlib": zlib}
exec(PACKED, SCOPE)  # noqa: S102 - the text under test


def read(text: str) -> object:
    return eval(text, SCOPE)  # noqa: S307 - the text under test


@pytest.mark.parametrize("x", [0.1, -0.0, math.inf, -math.inf, math.nan, 5e-324, 3, True])
def test_a_number_reads_back(x: float) -> None:
    found = read(number(x))
    assert repr(found) == repr(x)


@pytest.mark.parametrize("size", [0, 1, 64, 65, 1000])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "uint8", "bool"])
def test_an_array_reads_back_long_ones_packed(dtype: str, size: int) -> None:
    x = (np.random.default_rng(0).standard_normal(size) * 100).astype(dtype)
    assert ("_unpacked" in array(x)) == (size > 64)
    for text in (array(x), numpy_expression(x)):
        found = read(text)
        assert np.array_equal(found, x)
    assert read(numpy_expression(x)).dtype == dtype
    if size % 8 == 0 and size:
        assert read(array(x.reshape(2, -1))).shape == (2, size // 2)


def test_other_things_are_no_plain_expression() -> None:
    assert read(numpy_expression(np.float32(0.1))) == np.float32(0.1)
    assert numpy_expression([1.0]) is None
    assert numpy_expression(np.array([1j])) is None
    assert numpy_expression(np.longdouble(1)) is None
    assert read(numbers(np.array([0.1, math.inf]), "f8")) == [0.1, math.inf]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("raise SystemExit(1)", 1, "it exits with 1"), ("print('unheard')", 0, "it ends without a verdict"),
        ("1 / 0", None, "ZeroDivisionError: division by zero"), ("raise SystemExit('why')", None, "it exits with None"),
        ("import warnings\nwarnings.warn('unheard')\nraise SystemExit(__name__ != '__main__')", None, "it exits with None"),
    ],
)  # fmt: skip
def test_a_script_is_run_and_heard(text: str, code: int | None, words: str, capsys) -> None:
    if "__name__" in text:
        text = text.replace(
            "raise SystemExit(__name__ != '__main__')", "raise SystemExit(int(__name__ != '__main__'))"
        )
        code, words = 0, "it exits with 0"
    assert run(text) == (code, words)
    assert capsys.readouterr().out == ""


def test_the_worst_elements_are_rows_of_place_expected_and_bound() -> None:
    wrong = part("gradient of input 0", [1.0, 5.0, 3.0], [1.0, 2.0, 3.0], 1e-9)
    rows = read(f"[{expected_rows(wrong, wrong.evidence, FORMATS['float64'])}]")
    [(place, near, rest, bound)] = rows
    assert (place, near + rest) == ((1,), 2.0)
    assert bound == wrong.wrong[0].bound


def test_what_has_no_array_is_told_in_words() -> None:
    wrong = part("gradient of input 0", [5.0], [2.0], 1e-9)
    assert reason_without_array(wrong).startswith("what is wrong: ")
    wrong.notes = ["no gradient", "another dtype"]
    assert reason_without_array(wrong) == "no gradient; another dtype"
    wrong.notes, wrong.wrong = [], []
    assert reason_without_array(wrong) == "nothing is known of the expected array"
    assert one_line("a\n  b\tc") == "a b c"
