"""NumPy's floating-point warnings, off for as long as Balls are computed with: infinities and NaN are among their numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from types import TracebackType

import numpy as np

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
