"""The numbers that texts of traced numbers show while a function is differentiated, and what reads one of them back out of a text.

``"%.17g" % x`` and ``f"{x:.17g} m"`` are ordinary texts: Python offers no way to mark them. So each transformation keeps the numbers that
its traced arrays have shown. What makes numbers of texts (``float``, ``json.loads``, ``np.fromstring``) asks here in the code of a
differentiated function, and a number that was shown is refused: it would be a constant. A number counts as read back where it has the
same value, or at least three digits and the same ones. A text of several numbers, as that of a file of settings, is held to the digits.
"""

from __future__ import annotations

import ast
import builtins
import decimal
import fractions
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refgrad.errors import RUNS, TracingError
from refgrad.op import Traced

Function = Callable[..., Any]
Key = float | str

_NUMBER = re.compile(r"(?<![\w.])[-+]?(\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_FIELD = re.compile(r"%(?:\([^)]*\))?([-#0 +]*\d*(?:\.\d+)?)[hlL]?([diuoxXeEfFgG])")
_DIGITS = 3  # from here on digits alone tell a number
INSTEAD = "Use x itself; np.round(x, 3) rounds to three digits."


def remember(text: str, levels: tuple[int, ...]) -> None:
    """Keep the numbers of a text that shows traced ones of these levels."""
    if RUNS:
        keys = [key for found in _NUMBER.finditer(text) for key in _keys(found)]
        for run in tuple(RUNS):
            run.shown.update(dict.fromkeys(keys, levels))


def remember_formatted(x: float, templates: tuple[str, ...], levels: tuple[int, ...]) -> None:
    """Keep the number that ``template % x`` shows. Where the template is not known, x rounded to any number of digits, three at least."""
    if not RUNS:
        return
    fields = [_FIELD.sub(_one_field(x), t) for t in templates] if templates else []
    if not fields:
        rounded = [f"{x:.{k}e}" for k in range(17)]
        fields = [repr(x), *[t for t in rounded if len(_significant(t.partition("e")[0])) >= _DIGITS]]
    for text in fields:
        remember(text, levels)


def _one_field(x: float) -> Callable[[re.Match[str]], str]:
    def text(found: re.Match[str]) -> str:
        value = int(x) if found[2] in "diuoxX" and np.isfinite(x) else x
        return f" {'%' + found[1] + found[2]} " % value if found[2] in "eEfFgG" or np.isfinite(x) else " "

    return text


def _significant(mantissa: str) -> str:
    return mantissa.replace(".", "").strip("0")


def _keys(found: re.Match[str]) -> Iterator[Key]:
    """What a number in a text is known by."""
    yield abs(float(found[0]))
    digits = _significant(found[1])
    if len(digits) >= _DIGITS:
        yield digits


def refuse_read_back(text: Any, what: str) -> None:
    """Raise TracingError where ``what`` would read a number out of a text that shows a traced one."""
    runs = [run for run in tuple(RUNS) if run.shown and run.may_be_here()]
    if not runs:
        return
    if isinstance(text, (bytes, bytearray)):
        text = bytes(text).decode("latin-1")
    if not isinstance(text, str):
        return
    numbers = list(_NUMBER.finditer(text))
    keys = [key for found in numbers for key in _keys(found)]
    if len(numbers) > 1 and not getattr(text, "shows_traced", False):
        keys = [key for key in keys if isinstance(key, str)]
    for run in runs:
        for key in keys:
            if key in run.shown:
                raise lost(what, run.shown[key])


def lost(what: str, levels: tuple[int, ...]) -> TracingError:
    """The error of what reads a number of a text that shows a traced number."""
    return TracingError(
        f"{what} of a text that shows a traced number would lose its derivative. {INSTEAD}", levels
    )


# --- what reads numbers ------------------------------------------------------------------------------------------------


def _guarded(function: Function, name: str) -> Function:
    """``function``, which reads its first argument, a text."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], (str, bytes, bytearray)):
            refuse_read_back(args[0], f"{name}(text)")
        return function(*args, **kwargs)

    return call


def _number_of(kind: type) -> Function:
    """``kind`` as a function, which costs little where it gets a number."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if args and issubclass(type(args[0]), _TEXTS):
            refuse_read_back(args[0], f"{kind.__name__}(text)")
        elif args and issubclass(type(args[0]), Traced) and len(args) == 1:
            return getattr(args[0], f"__{kind.__name__}__")()
        return kind(*args, **kwargs)

    return call


_TEXTS = (str, bytes, bytearray)


def _evaluated(source: Any, *spaces: Any, **named: Any) -> Any:
    """``eval(source)``, with the names of the code that calls it by its stand-in (numpy_calls.py)."""
    if isinstance(source, _TEXTS):
        refuse_read_back(source, "eval(text)")
    if not spaces and not named:
        frame = sys._getframe(2)
        spaces = (frame.f_globals, frame.f_locals)
    return eval(source, *spaces, **named)  # noqa: S307  the program's own call


def _of_a_file(function: Function, name: str) -> Function:
    """``function``, which reads numbers from a file, or from texts in memory: what those hold is looked at."""

    def call(file: Any, *args: Any, **kwargs: Any) -> Any:
        lines = file if isinstance(file, (list, tuple)) else ()
        if hasattr(file, "getvalue"):
            lines = (file.getvalue(),)
        for line in lines:
            refuse_read_back(line, f"{name}(text)")
        return function(file, *args, **kwargs)

    return call


# The builtins by which a program makes a number of a text, and the names that its code loads instead.
NUMBERS: dict[str, tuple[type, str]] = {}
for _kind in (float, int, complex):
    NUMBERS[_kind.__name__] = _kind, f"__refgrad_{_kind.__name__}__"
    setattr(builtins, NUMBERS[_kind.__name__][1], _number_of(_kind))

_OF_TEXTS: dict[str, Any] = {
    "np.fromstring": np.fromstring, "Decimal": decimal.Decimal, "Fraction": fractions.Fraction, "json.loads": json.loads,
    "ast.literal_eval": ast.literal_eval,
}  # fmt: skip
_OF_FILES: dict[str, Any] = {"np.loadtxt": np.loadtxt, "np.genfromtxt": np.genfromtxt}
# Other functions, by their id: themselves and what stands for them where they are called.
READERS: dict[int, tuple[Any, Any]] = {
    **{id(function): (function, _guarded(function, name)) for name, function in _OF_TEXTS.items()},
    **{id(function): (function, _of_a_file(function, name)) for name, function in _OF_FILES.items()},
    id(eval): (eval, _evaluated),
}
