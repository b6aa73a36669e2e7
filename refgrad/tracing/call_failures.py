"""The error of a NumPy call in which refgrad's own code failed: NumPy's error, or one that names the function and its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.errors import ArgumentError, DtypeError, NoRuleError, RefgradError, forget, note
from refgrad.op import Traced
from refgrad.tracing.differentiable_arguments import SEQUENCES, plain

Function = Callable[..., Any]

UNNAMED = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    OverflowError,
    ZeroDivisionError,
)


class _ShapeWithoutRuleError(NoRuleError):
    """refgrad's own code failed on arguments that NumPy accepts."""


def answered(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Any:
    """What a call gives in which refgrad's code ended in ``error``.

    Where NumPy refuses the plain arguments too, its error is raised. Where every traced array is empty, its value is the answer: there is
    nothing to differentiate by. Otherwise NoRuleError names the function and its arguments.
    """
    if isinstance(error, (RefgradError, np.linalg.LinAlgError)) and not isinstance(
        error, _ShapeWithoutRuleError
    ):
        if isinstance(error, RefgradError) and (
            isinstance(error, NoRuleError) or type(error) in {ArgumentError, DtypeError}
        ):
            _judge(function, args, kwargs, error)
        raise error
    try:
        y = _value(function, args, kwargs)
    except Exception as theirs:
        raise theirs from None
    traced = _traced((*args, *kwargs.values()))
    if traced and all(x.size == 0 for x in traced):  # none that is seen may still be one in a dict
        return y
    raise _ShapeWithoutRuleError(_without_rule(function, args, kwargs, error)) from error


def _judge(
    function: Function,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: RefgradError,
) -> None:
    """Have ``error`` raised again should the program catch it, unless NumPy refuses the plain arguments, too."""
    forget(error)
    try:
        with np.errstate(all="ignore"):
            _value(function, args, kwargs)
    except Exception:  # noqa: BLE001 - whatever NumPy refuses them with
        return
    traced = _traced((*args, *kwargs.values()))
    error.levels = tuple([level for x in traced for level in x._levels()])
    note(error)


def _value(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*[_copied(plain(x)) for x in args], **{k: _copied(plain(v)) for k, v in kwargs.items()})


def _copied(x: Any) -> Any:
    """An argument that NumPy may write into."""
    return x.copy() if type(x) is np.ndarray else x


def _traced(x: Any) -> list[Any]:
    """The traced arrays in arguments."""
    if isinstance(x, Traced):
        return [x]
    return [t for e in x for t in _traced(e)] if isinstance(x, SEQUENCES) else []


def _without_rule(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> str:
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or str(function)
    given = ", ".join([*map(_told, args), *[f"{k}={_told(v)}" for k, v in kwargs.items()]])
    return (
        f"np.{name}({given}): refgrad has no rule for these arguments, which NumPy accepts ({type(error).__name__}: {error}). Write it "
        "with other functions, or in another shape (np.atleast_1d(x) for a 0-d array)."
    )


def _told(x: Any) -> str:
    if isinstance(x, (Traced, np.ndarray)):
        return f"<{x.dtype} of shape {x.shape}>"
    if isinstance(x, (list, tuple)):
        return f"[{', '.join(map(_told, x))}]"
    return repr(x)
