"""Movements of elements against the third judge; casts."""

import numpy as np
import pytest

from refgrad import grad, jvp, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.ops import shape
from refgrad.tracing.ball import exact
from tests.ops import array_checks as checks


@pytest.mark.parametrize(
    "name", ["reshape", "transpose", "broadcast_to", "astype", "flip", "roll", "pad", "concatenate"]
)
def test_third_judge(name):
    checks.confirm(name)


def test_cotangents_of_a_cast_come_back_in_the_operands_dtype():
    x = np.array([1.0, 2.0])
    y, pullback = vjp(lambda a: a.astype(np.float32), x)
    assert y.dtype == np.float32
    assert pullback(np.ones(2, np.float32))[0].dtype == np.float64
    assert jvp(lambda a: a.astype(np.float32), (x,), (np.ones(2),))[1].dtype == np.float32


def test_casts_to_integers_have_no_derivative():
    assert np.array_equal(grad(lambda a: np.sum(a * a.astype(int)))(np.array([1.5, 2.5])), [1.0, 2.0])


def test_a_narrowing_cast_rounds_once():
    fmt = FORMATS["float64"]
    x = exact(np.array([0.1, 0.5, 1e300]), fmt)
    y = x.astype(np.float32)
    assert y.radius[0] >= abs(float(np.float32(0.1)) - 0.1)
    assert y.radius[1] == 0
    assert np.isinf(y.radius[2])
    assert x.astype(np.longdouble).radius is None


def test_casts_within_the_judged_format_are_exact():
    x = exact(np.array([0.1], np.float32), FORMATS["float32"])
    assert x.astype(np.float32).radius is None
    assert x.astype(np.float64).radius is None


def test_movements_of_exact_arrays_stay_exact():
    x = exact(np.ones((2, 3)), FORMATS["float64"])
    for y in (
        np.reshape(x, 6),
        x.T,
        np.broadcast_to(x, (4, 2, 3)),
        np.flip(x),
        np.roll(x, 1),
        np.concatenate([x, x]),
        np.pad(x, 1),
    ):
        assert y.radius is None


def test_sum_to_is_the_transpose_of_broadcasting():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(shape.sum_to(x, (3, 1)), x.sum((0, 2)).reshape(3, 1))
    assert shape.sum_to(x, (2, 3, 4)) is x


def test_inverse_permutation():
    x = np.zeros((2, 3, 4))
    for axes in [(2, 0, 1), (0, 1, 2), (-1, 0, 1)]:
        assert np.transpose(np.transpose(x, axes), shape.inverse(axes)).shape == x.shape


def test_integers_in_arrays_without_axes_become_numbers():
    mask, half = np.array([True]), np.array(0.5)
    given = {
        "axis": (np.array(0), 1),
        "n": np.array(2, np.int8),
        "where": mask,
        "initial": half,
        "axes": ([1], [0]),
    }
    found = shape.integers(given)
    assert found["axis"] == (0, 1)
    assert [type(k) for k in (*found["axis"], found["n"])] == [int] * 3
    assert found["where"] is mask
    assert found["initial"] is half
    assert found["axes"] is given["axes"]
    assert type(given["n"]) is np.ndarray
    assert shape.integers({"axis": 1}) == {"axis": 1}
