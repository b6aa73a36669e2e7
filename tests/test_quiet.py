"""quiet, quietly, unwarned: no floating-point warnings inside, as before outside, in any nesting."""

from __future__ import annotations

import inspect
import threading
import warnings

import numpy as np
import pytest

from refgrad.quiet import quiet, quietly, unwarned

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


# --- single functions ------------------------------------------------------------------------------------------------------


def test_a_function_is_run_in_silence_and_its_answer_comes_back() -> None:
    def f(x: float, *, k: float) -> tuple[float, bool]:
        return x + k, warned()

    assert quietly(f, 1.0, k=2.0) == (3.0, False)
    assert warned()


def test_functions_run_in_silence_may_nest() -> None:
    assert quietly(quietly, warned) is False
    with quiet():
        assert quietly(warned) is False
    assert quietly(lambda: [quiet().__enter__(), warned()][1]) is False
    assert warned()


def test_an_exception_ends_that_too() -> None:
    def f() -> None:
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            quietly(f)
    assert warned()


def test_threads_do_not_meet() -> None:
    inside, go, found = threading.Event(), threading.Event(), []

    def wait() -> bool:
        inside.set()
        assert go.wait(60)
        return warned()

    threads = [threading.Thread(target=lambda: found.append(quietly(wait))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(60)
    assert warned()
    go.set()
    for thread in threads:
        thread.join()
    assert found == [False, False]


def test_an_unwarned_function_keeps_its_signature() -> None:
    @unwarned
    def share(x: float, total: float = 0.0) -> float:
        """Its part."""
        return np.float64(x) / total

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert share(1.0) == np.inf
    assert list(inspect.signature(share).parameters) == ["x", "total"]
    assert share.__doc__ == "Its part."
