"""Turns NumPy's floating-point warnings off where refgrad computes. Infinities and NaN are ordinary values of derivatives and of Balls."""

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
_ALREADY = ContextVar("already", default=False)  # whether the warnings are off in the running context
_NOTHING = nullcontext()


class _Quiet:
    """``np.errstate(all="ignore")``, noted in ``_ALREADY``."""

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
    """A context manager that turns floating-point warnings off.

    Within another ``quiet()`` it does nothing: a case has a hundred ops, and entering errstate costs more than some of them.
    """
    return _NOTHING if _ALREADY.get() else _Quiet()


class _Contexts(threading.local):
    """For each thread a context in which the warnings are off: NumPy's error state is a context variable."""

    def __init__(self) -> None:
        self.run = Context().run
        self.run(silence)


def silence() -> None:
    """Turn floating-point warnings off until the running context ends."""
    np.seterr(all="ignore")
    _ALREADY.set(True)


_CONTEXTS = _Contexts()


def quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)`` without floating-point warnings, as inside ``quiet()``.

    Meant for single rules: entering a prepared context costs a sixth of entering errstate. The context lacks the user's context
    variables, so no code of a user may run in it.
    """
    return function(*args, **kwargs) if _ALREADY.get() else _CONTEXTS.run(function, *args, **kwargs)


def unwarned(function: Function) -> Function:
    """A decorator: the function without floating-point warnings, for formulas whose steps pass through infinity or NaN."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if _ALREADY.get() else _CONTEXTS.run(function, *args, **kwargs)

    return cast("Function", call)
