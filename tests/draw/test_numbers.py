import numpy as np
import pytest

from refgrad.draw.numbers import SPACE, array_lines, columns, common_lines, number, range_lines


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.7310585, "0.731"), (-12.0, "−12"), (123456.0, "123456"), (1e6, "1e6"), (1.5e-9, "1.5e−9"), (-0.0, "0"), (3, "3"),
        (np.inf, "∞"), (-np.inf, "−∞"), (np.nan, "nan"), (True, "True"), (np.float32(0.1), "0.1"), (np.float16(2), "2"),
        (1234.5, "1.23e3"),
    ],
)  # fmt: skip
def test_a_number_is_written_with_three_digits(x, text):
    assert number(x) == text


def test_small_arrays_are_written_out():
    assert array_lines(np.array([1.0, -2.0, 3.0, -1.0])) == ("[1, −2, 3, −1]",)
    rows = array_lines(np.array([[2.0, 1.0, -3.0], [-3.0, 4.0, 2.0]]))
    assert [row.replace(SPACE, " ") for row in rows] == ["[ 2  1  −3]", "[−3  4   2]"]


def test_large_arrays_are_written_as_shape_and_range():
    assert array_lines(np.linspace(-1, 2, 640).reshape(64, 10)) == ("64 × 10", "−1 … 2")
    assert array_lines(np.zeros(5)) == ("5 elements", "all 0")
    assert array_lines(np.zeros((0, 3))) == ("0 × 3",)
    assert array_lines(np.ones((2, 2, 2))) == ("2 × 2 × 2", "all 1")


def test_nan_is_said():
    assert range_lines([np.array([np.nan, 1.0, 2.0])]) == ("1 … 2 and NaN",)
    assert range_lines([np.array([np.nan])]) == ("NaN",)


def test_several_arrays_by_common_shape_and_range():
    assert common_lines([np.zeros((2, 2)), np.ones((2, 2))]) == ("2 × 2", "0 … 1")
    assert common_lines([np.zeros(5), np.ones(6)]) == ("0 … 1",)
    assert common_lines([1.0, 3.0]) == ("1 … 3",)


def test_wide_and_combining_letters():
    assert columns("x²") == 2
    assert columns("重み") == 4
    assert columns("x\N{COMBINING CIRCUMFLEX ACCENT}") == 1
