"""Functions that return a pair (value, aux), for the transformations with has_aux=True: aux is handed on and not differentiated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refgrad.arguments import outline
from refgrad.errors import ArgumentError
from refgrad.op import Traced
from refgrad.tracing.copies import snapshot
from refgrad.tree import flatten

Function = Callable[..., Any]


def split(f: Function, who: str) -> tuple[Function, list[Any]]:
    """f without the second entry of the pair that it returns, and a list whose one entry is that of the last call.

    Traced arrays in it become plain: they have the values that they had in f.
    """
    kept: list[Any] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        pair = f(*args, **kwargs)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ArgumentError(
                f"{who}: with has_aux=True f returns a pair (value, aux), got {outline(pair)}. Return what is not differentiated second."
            )
        level = max([x._level for x in flatten((args, kwargs))[0] if isinstance(x, Traced)], default=0)
        leaves, rebuild = flatten(pair[1])
        kept[:] = [rebuild([_lowered(x, level) for x in leaves])]
        return pair[0]

    return call, kept


def _lowered(x: Any, level: int) -> Any:
    """x, without the derivative of the transformation of this level."""
    return snapshot(x._value) if isinstance(x, Traced) and x._level == level else x
