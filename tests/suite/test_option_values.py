"""Values of options: what is one, and what is not. tests/test_cli.py has the words that the command says."""

from __future__ import annotations

import argparse

import pytest

from refgrad.suite import option_values


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("1.5m", 90.0), ("2h", 7200.0)])
def test_a_time_has_a_unit(text: str, seconds: float) -> None:
    assert option_values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "nans", "infs", "-1s", "5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        option_values.duration(text)


def test_numbers_have_a_least_and_a_largest() -> None:
    assert option_values.count("0") == 0
    assert option_values.positive("1") == 1
    assert option_values.seed(str(2**63 - 1)) == 2**63 - 1
    assert option_values.seconds("0.5") == 0.5
    for value, text in (
        (option_values.positive, "0"),
        (option_values.seed, str(2**63)),
        (option_values.count, "1e3"),
    ):
        with pytest.raises(argparse.ArgumentTypeError):
            value(text)


def test_a_name_is_not_empty() -> None:
    for value in (option_values.file, option_values.folder):
        assert value("a b") == "a b"
        with pytest.raises(argparse.ArgumentTypeError):
            value("")


def test_a_dtype_is_one_of_the_formats() -> None:
    assert option_values.dtype("bfloat16") == "bfloat16"
    with pytest.raises(argparse.ArgumentTypeError, match="float64"):
        option_values.dtype("float8")
