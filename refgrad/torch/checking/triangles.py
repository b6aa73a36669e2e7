"""Gradients of symmetric matrices in two conventions: that of one triangle, and that spread over both."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import PlainArray

_PART = 2.0**-10  # of the largest element; the note is a hint and decides nothing


def note(k: int, x: PlainArray, got: PlainArray | None, expected: PlainArray) -> str:
    """Advice where func and the reference only differ in how they spread the gradient of symmetric matrices; "" elsewhere.

    k               the position of the input
    x               its matrices
    got, expected   its gradient from func and from the reference, of its shape
    """
    if got is None or not (
        x.ndim > 1 and x.shape[-1] == x.shape[-2] > 1 and got.shape == expected.shape == x.shape
    ):
        return ""
    if not (np.all(np.isfinite(got)) and np.all(np.isfinite(expected)) and np.array_equal(x, x.mT)):
        return ""
    lower, upper = np.any(np.tril(expected, -1)), np.any(np.triu(expected, 1))
    room = _PART * np.max(np.abs(expected))
    same = np.all(np.abs(got + got.mT - (expected + expected.mT)) <= room)
    if lower == upper or not same or np.all(np.abs(got - expected) <= room):
        return ""
    name = "lower" if lower else "upper"
    return (
        f"the gradient of input {k} is right up to a convention: the reference reads the {name} triangle of the symmetric matrices (as "
        "np.linalg.cholesky, eigh and eigvalsh do), and func spreads the gradient over both triangles. Judge "
        "lambda a: func((a + a.mT) / 2), with (a + np.swapaxes(a, -1, -2)) / 2 in the reference"
    )
