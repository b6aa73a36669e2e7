"""Arrays and parameters through JSON and back, exactly; and what is not one is refused by name."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refgrad.encode import DTYPES, decode_array, decode_param, encode_array, encode_param, number
from refgrad.errors import CaseFileError

Array = Any


def through_json(obj: Any) -> Any:
    return json.loads(json.dumps(obj, allow_nan=False))


def _nan(x: Array) -> Array:
    return np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)


def identical(a: Array, b: Array) -> bool:
    """Equal in dtype, shape and every bit, but for the payload of NaN."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    same = (a == b) | (_nan(a) & _nan(b))
    return bool(np.all(same)) and (
        a.dtype.kind != "f" or bool(np.all((np.signbit(a) == np.signbit(b)) | _nan(a)))
    )


SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


@given(ARRAYS)
def test_arrays_come_back_exactly(x: Array) -> None:
    assert identical(decode_array(through_json(encode_array(x))), x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_hard_numbers(dtype: str) -> None:
    info = np.finfo(dtype)
    x = np.array(
        [
            np.nan,
            np.inf,
            -np.inf,
            -0.0,
            0.0,
            info.max,
            info.tiny,
            info.smallest_subnormal,
            1 + info.eps,
            1 / 3,
        ],
        dtype,
    )
    assert identical(decode_array(through_json(encode_array(x))), x)


def test_elements_are_in_c_order_whatever_the_memory() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert encode_array(np.asfortranarray(x))["data"] == [0, 1, 2, 3, 4, 5]
    assert encode_array(x.T)["data"] == [0, 3, 1, 4, 2, 5]


def test_large_integers_are_exact() -> None:
    x = np.array([2**63 - 1, -(2**63)])
    assert identical(decode_array(through_json(encode_array(x))), x)


@pytest.mark.parametrize(
    "x",
    [np.array([1j]), np.array(["a"]), np.array([object()]), np.longdouble(1)],
    ids=["complex", "str", "object", "wide"],
)
def test_arrays_that_cannot_be_written(x: Array) -> None:
    with pytest.raises(CaseFileError, match=f"an array of dtype {x.dtype} cannot be written"):
        encode_array(x)


BROKEN_ARRAYS: dict[str, tuple[Any, str]] = {
    "no object": ([1, 2], "an array is an object with dtype, shape and data"),
    "no data": ({"dtype": "float64", "shape": [1]}, "an array is an object"),
    "a strange dtype": (
        {"dtype": "float128", "shape": [], "data": [1]},
        "an array has dtype 'float128'; supported are",
    ),
    "an unhashable dtype": ({"dtype": [], "shape": [], "data": [1]}, "an array has dtype"),
    "too few elements": (
        {"dtype": "float64", "shape": [3], "data": [1.0]},
        r"dtype float64 and shape \[3\] cannot be read",
    ),
    "a strange element": ({"dtype": "float64", "shape": [1], "data": ["NaN"]}, "cannot be read"),
    "an element too large": ({"dtype": "int8", "shape": [1], "data": [300]}, "cannot be read"),
    "a null": ({"dtype": "int64", "shape": [1], "data": [None]}, "cannot be read"),
    "no list": ({"dtype": "float64", "shape": [1], "data": 5}, "cannot be read"),
    "a strange shape": (
        {"dtype": "float64", "shape": ["x"], "data": [1.0]},
        r"whole numbers from 0 on; got \['x'\]",
    ),
}


@pytest.mark.parametrize("name", BROKEN_ARRAYS)
def test_what_is_not_an_array_is_refused(name: str) -> None:
    obj, message = BROKEN_ARRAYS[name]
    with pytest.raises(CaseFileError, match=message):
        decode_array(obj)


def test_messages_are_short() -> None:
    with pytest.raises(CaseFileError) as caught:
        decode_array("x" * 10_000)
    assert len(str(caught.value)) < 200


# --- numbers and parameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "written"),
    [(1.5, 1.5), (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan"), (np.float32(0.5), 0.5)],
)
def test_number(x: float, written: Any) -> None:
    assert number(x) == written
    assert isinstance(number(x), (float, str))


PARAMETERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | st.just(Ellipsis)
    | st.builds(slice, st.none() | st.integers(), st.none() | st.integers(), st.none() | st.integers())
    | st.sampled_from([np.dtype(name) for name in sorted(DTYPES)]),
    lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6,
)  # fmt: skip


@given(PARAMETERS)
def test_parameters_come_back(value: Any) -> None:
    again = decode_param(through_json(encode_param(value)))
    assert again == value
    assert type(again) is type(value)


def test_nan_as_a_parameter_comes_back() -> None:
    assert math.isnan(decode_param(through_json(encode_param(math.nan))))


def test_arrays_as_parameters_come_back() -> None:
    key = (np.array([True, False]), slice(None), np.array([[0, 1]]))
    again = decode_param(through_json(encode_param(key)))
    assert identical(again[0], key[0])
    assert identical(again[2], key[2])
    assert again[1] == slice(None)


@pytest.mark.parametrize(
    ("given_", "written"),
    [(np.int64(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True), ([1, 2], {"tuple": [1, 2]})],
)
def test_numpy_scalars_and_lists_are_written_as_pythons(given_: Any, written: Any) -> None:
    assert encode_param(given_) == written
    assert type(encode_param(given_)) is type(written)


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, np.sum])
def test_parameters_that_cannot_be_written(value: Any) -> None:
    with pytest.raises(CaseFileError, match=r"a parameter of type .* cannot be written"):
        encode_param(value)


@pytest.mark.parametrize("obj", [
    {}, {"tuple": [], "slice": []}, {"strange": 1}, [1], {"tuple": 3}, {"slice": [1, 2, 3, 4]}, {"dtype": "no"}, {"float": 1.0},
    {"float": "huge"}, {"float": []}, {"array": 1}, {"tuple": [{"strange": 1}]},
])  # fmt: skip
def test_what_is_not_a_parameter_is_refused(obj: Any) -> None:
    with pytest.raises(CaseFileError):
        decode_param(obj)
