"""An interrupt that judged code raises is told from one that a signal brings."""

from __future__ import annotations

import os
import signal

import pytest

from refgrad.errors import CaseInterruptedError, SignalInterrupt
from refgrad.testing.runs.interrupts import Interrupts


def kernel(number: int | None = None) -> None:
    """Raise an interrupt, after the signal of this number."""
    if number is not None:
        signal.raise_signal(number)
    raise KeyboardInterrupt("of a kernel")


def test_an_interrupt_without_a_signal_is_of_the_judged_code() -> None:
    noted: list[str] = []
    found = Interrupts(noted.append)
    with (
        pytest.raises(
            CaseInterruptedError,
            match=r"KeyboardInterrupt: of a kernel, raised by kernel \(test_interrupts\.py:\d+\)",
        ),
        found.watched(),
        found.told_apart(),
    ):
        kernel()
    assert not noted


def test_where_the_signal_is_ignored_it_stays_so_and_an_interrupt_is_of_the_judged_code() -> None:
    found, before = Interrupts(print), signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(CaseInterruptedError), found.watched(), found.told_apart():
            kernel(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_by_a_signal_stays_one() -> None:
    noted: list[str] = []
    found, before = Interrupts(noted.append), signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), found.watched(), found.told_apart():
        signal.raise_signal(signal.SIGINT)
    assert noted == ["the process was interrupted by the signal SIGINT"]
    assert signal.getsignal(signal.SIGINT) is before


def test_another_signal_that_ends_a_run_is_no_interrupt_of_the_judged_code() -> None:
    found = Interrupts(print)
    with pytest.raises(SignalInterrupt), found.watched(), found.told_apart():
        raise SignalInterrupt


def test_where_signals_are_not_told_nothing_is_told_apart() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts(print).told_apart():
        kernel()


def test_a_call_of_exit_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[object] = []
    monkeypatch.setattr(os, "_exit", noted.append)
    with Interrupts(noted.append).watched():
        os._exit(0)
    assert noted == ["the judged code called os._exit(0)", 0]
    os._exit(1)
    assert noted[2:] == [1]
