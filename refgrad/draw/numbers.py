"""Formatting of values in drawings: small arrays in full, larger ones by shape and range."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

Lines = tuple[str, ...]

MOST = 4  # rows and columns of an array that is written out
SPACE = "\N{NO-BREAK SPACE}"  # SVG collapses ordinary spaces


def number(x: Any) -> str:
    """A number with three significant digits; integers below 10^6 in full."""
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    x = float(x)
    text = str(int(x)) if x.is_integer() and abs(x) < 1e6 else f"{x:.3g}"
    if "e" in text:
        digits, _, exponent = text.partition("e")
        text = f"{digits}e{int(exponent)}"
    return text.replace("-", "\N{MINUS SIGN}").replace("inf", "∞")


def array_lines(x: Any) -> Lines:
    """An array as lines of text: its numbers if it is small, one line for each row of a matrix; else its shape and range of values."""
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
    return (shape_text(x.shape), *range_lines([x]))


def shape_text(shape: Sequence[int]) -> str:
    """A shape as text: "64 × 10", or "64 elements" for one dimension."""
    return f"{shape[0]} elements" if len(shape) == 1 else " × ".join(map(str, shape))


def range_lines(arrays: Sequence[Any]) -> Lines:
    """The range of the numbers in all arrays, as one line; no line where there are no numbers."""
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


def common_lines(arrays: Sequence[Any]) -> Lines:
    """One array as ``array_lines``; several by their shape, if it is the same, and their common range."""
    if len(arrays) == 1:
        return array_lines(arrays[0])
    shapes = {np.shape(a) for a in arrays}
    return (*(map(shape_text, shapes - {()}) if len(shapes) == 1 else ()), *range_lines(arrays))


def columns(text: str) -> int:
    """The width of a text in columns of a fixed-width font; East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)
