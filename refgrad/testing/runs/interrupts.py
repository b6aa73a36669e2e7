"""Tells what judged code does to its own process from what comes from outside: a raised KeyboardInterrupt, a call of os._exit."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from refgrad.errors import CaseInterruptedError, SignalInterrupt


class Interrupts:
    """The interrupts of a process. ``note`` takes a line that says why the process ends."""

    def __init__(self, note: Callable[[str], object]) -> None:
        self.note, self._watching = note, False

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Tell of the signal SIGINT, and note a call of ``os._exit``. Outside of the main thread no signal can be told.

        Where the signal is ignored, as in the background of a shell, it stays so, and no interrupt comes from it.
        """
        here, leave = os.getpid(), os._exit

        def end(status: int) -> NoReturn:
            if os.getpid() == here:
                self.note(f"the judged code called os._exit({status})")
            leave(status)

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            self.note("the process was interrupted by the signal SIGINT")
            raise SignalInterrupt

        before = signal.getsignal(signal.SIGINT)
        in_main = threading.current_thread() is threading.main_thread()
        self._watching = in_main and before in (signal.default_int_handler, signal.SIG_IGN)
        if in_main and before is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
        os._exit = end
        try:
            yield
        finally:
            os._exit = leave
            if self._watching:
                signal.signal(signal.SIGINT, before)
            self._watching = False

    @contextlib.contextmanager
    def told_apart(self) -> Iterator[None]:
        """Raise CaseInterruptedError for a KeyboardInterrupt without a signal; it names the function that raised it."""
        try:
            yield
        except SignalInterrupt:
            raise
        except KeyboardInterrupt as error:
            if not self._watching:
                raise
            raise CaseInterruptedError(
                f"KeyboardInterrupt{_said(error)}, raised by {_place(error)}"
            ) from error


def _said(error: BaseException) -> str:
    text = str(error)
    return f": {text}" if text else ""


def _place(error: BaseException) -> str:
    """The function that raised an exception, with file and line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "the judged code"
    code = trace.tb_frame.f_code
    return f"{code.co_name} ({Path(code.co_filename).name}:{trace.tb_lineno})"
