"""Memory that is used again: only when nobody else holds it, never by two at once, and sums that show a change."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from refgrad.tracing import buffer_pool
from refgrad.tracing.buffer_pool import Sums, copied, give_back, summable, taken, unchanged

Array = Any


@pytest.fixture(autouse=True)
def _empty_store() -> None:
    buffer_pool._STORE.free.clear()
    buffer_pool._STORE.total = 0


def spare_bytes() -> int:
    return sum(n * len(free) for n, free in buffer_pool._STORE.free.items())


@pytest.mark.parametrize("n", [10, 20_000, 5_000_000])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_a_copy_has_the_numbers_and_the_layout(n: int, layout: str) -> None:
    x = np.arange(2.0 * n).reshape(2, n)
    x = np.asfortranarray(x) if layout == "F" else x[:, ::2] if layout == "strided" else x
    copy = copied(x, [])
    assert np.array_equal(copy, x)
    assert not np.shares_memory(copy, x)
    if layout != "strided":
        assert copy.strides == x.strides


def test_memory_is_used_again_when_nobody_holds_it() -> None:
    lent: list[Any] = []
    copy = copied(np.ones(20_000), lent)
    address = copy.ctypes.data
    del copy
    give_back(lent)
    assert lent == []
    assert spare_bytes() == 160_000
    again = copied(np.zeros((100, 400), np.float32), lent)
    assert again.ctypes.data == address
    assert not again.any()
    assert spare_bytes() == buffer_pool._STORE.total == 0


def test_memory_that_somebody_holds_is_not_used_again() -> None:
    lent: list[Any] = []
    view = copied(np.ones(20_000), lent)[5:]
    give_back(lent)
    assert spare_bytes() == 0
    other = copied(np.zeros(20_000), lent)
    assert not np.shares_memory(view, other)
    assert view.all()


def test_a_thread_keeps_a_limited_amount() -> None:
    for n in range(100):
        lent: list[Any] = []
        copied(np.ones(1_000_000 + n, np.int32), lent)
        give_back(lent)
        assert spare_bytes() == buffer_pool._STORE.total <= buffer_pool._TOTAL
    assert spare_bytes() > 0


def test_each_thread_has_a_store_of_its_own() -> None:
    lent: list[Any] = []
    copied(np.ones(20_000), lent)
    give_back(lent)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(dict(buffer_pool._STORE.free)))
    thread.start()
    thread.join()
    assert found == [{}]


def test_taken_counts_who_else_holds_an_object() -> None:
    x = np.ones(3)
    assert not taken([x], 0)[1]
    assert taken([x], 0, holders=1)[1]
    assert taken([np.ones(3)], 0)[1]
    xs = [np.ones(3)]
    view = xs[0][1:]
    assert not taken(xs, 0)[1]
    assert view.base is not None


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.int8, bool])
@pytest.mark.parametrize("n", [7, 3_000, 100_003])
def test_a_change_of_one_element_shows(dtype: Any, n: int) -> None:
    x = np.zeros(n, dtype)
    copy = x.copy()
    assert unchanged(x, copy)
    x[n // 3] = 1
    assert not unchanged(x, copy)
    assert not unchanged(copy.reshape(1, n), copy)


def test_zeros_of_the_other_sign_and_nan_are_told_apart_from_numbers() -> None:
    for n in (3, 3_000):
        x = np.full(n, np.nan)
        copy = x.copy()
        assert unchanged(x, copy)
        x[:] = 0.0
        copy[:] = 0.0
        x[1] = -0.0
        assert not unchanged(x, copy)


CHANGES = {
    "one element": lambda x: x.__setitem__((24, 345), -9.0),
    "the last element": lambda x: x.__setitem__((-1, -1), -9.0),
    "half of all": lambda x: x.__imul__(0.5),
    "signs": lambda x: x.__imul__(-1.0),
    "sorted columns": lambda x: x.sort(axis=0),
    "sorted rows": lambda x: x.sort(),
    "reversed": lambda x: x.__setitem__(slice(None), x[::-1].copy()),
    "two rows exchanged": lambda x: x.__setitem__([0, 1], x[[1, 0]]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CHANGES)
def test_sums_show_a_change(name: str, dtype: Any) -> None:
    x = np.random.default_rng(0).standard_normal((200, 501)).astype(dtype)
    for y in (x, x.T.copy().T):
        assert summable(y)
        sums = Sums(y)
        assert sums.of(y)
        assert sums.of(y.copy("K"))
        CHANGES[name](y)
        assert not sums.of(y)


def test_small_and_scattered_arrays_are_not_summed() -> None:
    assert not summable(np.ones(100))
    assert not summable(np.ones((400, 400))[:, ::2])
    assert not summable(2.0)
