"""quiet: no floating-point warnings inside, as before outside, in any nesting."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

from refgrad.quiet import quiet

ONE, ZERO = np.ones(1), np.zeros(1)


def warned() -> bool:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        ONE / ZERO
    return bool(found)


def test_nothing_is_said_inside_and_all_of_it_outside() -> None:
    with quiet():
        assert not warned()
        with quiet():
            assert not warned()
        assert not warned()
    assert warned()


def test_an_exception_ends_it() -> None:
    with pytest.raises(KeyError), quiet():
        raise KeyError
    assert warned()
    with quiet():
        assert not warned()


def test_the_caller_s_own_setting_comes_back() -> None:
    with np.errstate(divide="raise"):
        with quiet():
            assert not warned()
        with pytest.raises(FloatingPointError):
            ONE / ZERO


def test_another_thread_is_not_meant() -> None:
    found: list[bool] = []
    with quiet():
        thread = threading.Thread(target=lambda: found.append(warned()))
        thread.start()
        thread.join()
    assert found == [True]
