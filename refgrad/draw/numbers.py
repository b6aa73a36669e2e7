"""Values as a drawing shows them: small ones in full, larger ones by shape and range."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

Lines = tuple[str, ...]

MOST = 4  # rows, and columns, of an array that is written out
SPACE = "\N{NO-BREAK SPACE}"  # SVG folds ordinary ones


def number(x: Any) -> str:
    """A number with three significant digits; whole numbers below a million in full."""
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    x = float(x)
    text = str(int(x)) if x.is_integer() and abs(x) < 1e6 else f"{x:.3g}"
    if "e" in text:
        digits, _, exponent = text.partition("e")
        text = f"{digits}e{int(exponent)}"
    return text.replace("-", "\N{MINUS SIGN}").replace("inf", "∞")


def shown(x: Any) -> Lines:
    """An array in lines of text: numbers if it is small, a row of a matrix in each line; else its shape, and the range of its values."""
    x = np.asarray(x)
    if x.ndim == 0:
        return (number(x[()]),)
    if x.size and x.ndim <= 2 and max(x.shape) <= MOST:
        rows = [[number(v) for v in row] for row in np.atleast_2d(x)]
        if x.ndim == 1:
            return (f"[{', '.join(rows[0])}]",)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return tuple(
            "[" + (2 * SPACE).join(t.rjust(w, SPACE) for t, w in zip(row, widths, strict=True)) + "]"
            for row in rows
        )
    return (sizes(x.shape), *spread([x]))


def sizes(shape: Sequence[int]) -> str:
    """A shape: 64 × 10; one dimension says that it is one."""
    return f"{shape[0]} elements" if len(shape) == 1 else " × ".join(map(str, shape))


def spread(arrays: Sequence[Any]) -> Lines:
    """From the smallest to the largest number in all arrays, in one line; no line where there is none."""
    flat = (
        np.concatenate([np.ravel(np.asarray(a)).astype(np.float64) for a in arrays])
        if arrays
        else np.zeros(0)
    )
    known = flat[~np.isnan(flat)]
    if not known.size:
        return ("NaN",) if flat.size else ()
    low, high = number(known.min()), number(known.max())
    nan = " and NaN" if known.size < flat.size else ""
    return ((f"all {low}" if low == high and known.min() == known.max() else f"{low} … {high}") + nan,)


def together(arrays: Sequence[Any]) -> Lines:
    """One array as ``shown``, several by their shape (if it is the same) and their common range."""
    if len(arrays) == 1:
        return shown(arrays[0])
    shapes = {np.shape(a) for a in arrays}
    return (*(map(sizes, shapes - {()}) if len(shapes) == 1 else ()), *spread(arrays))


def columns(text: str) -> int:
    """How many columns of a fixed-width font a text fills: letters of East Asian scripts fill two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)
