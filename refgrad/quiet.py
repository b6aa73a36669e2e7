"""NumPy's floating-point warnings, off where refgrad computes: infinities and NaN are among the numbers of derivatives and of Balls."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context, ContextVar
from types import TracebackType
from typing import Any, TypeVar, cast

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])
_ALREADY = ContextVar("already", default=False)
_NOTHING = nullcontext()


class _Quiet:
    """``np.errstate(all="ignore")``, and a note that it holds."""

    __slots__ = ("_errstate", "_token")

    def __enter__(self) -> None:
        self._errstate = np.errstate(all="ignore")
        self._errstate.__enter__()
        self._token = _ALREADY.set(True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _ALREADY.reset(self._token)
        self._errstate.__exit__(kind, error, trace)


def quiet() -> AbstractContextManager[None]:
    """No floating-point warnings inside.

    Within another ``quiet()`` it does nothing: a case has a hundred ops, and to enter errstate costs more than some of them.
    """
    return _NOTHING if _ALREADY.get() else _Quiet()


class _Rooms(threading.local):
    """For each thread a context in which the warnings are off: NumPy's error state is a context variable."""

    def __init__(self) -> None:
        self.run = Context().run
        self.run(silence)


def silence() -> None:
    """No floating-point warnings from here to the end of the running context."""
    np.seterr(all="ignore")
    _ALREADY.set(True)


_ROOMS = _Rooms()


def quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)`` without floating-point warnings, as inside ``quiet()``.

    For single rules: to go into a context that stands ready costs a sixth of entering errstate. No code of a user may run in it,
    for it has none of the user's own context variables.
    """
    return function(*args, **kwargs) if _ALREADY.get() else _ROOMS.run(function, *args, **kwargs)


def unwarned(function: Function) -> Function:
    """The function, which from now on gives no floating-point warnings. For formulas whose steps pass through infinity or NaN."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if _ALREADY.get() else _ROOMS.run(function, *args, **kwargs)

    return cast("Function", call)
