"""Differences of a plain program along a line, from both sides, with estimates of their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any
LARGEST_STEP, STEPS, NEAR = 2.0**-9, 7, 2.0**-20
ENOUGH = 2.0**-10  # an estimate of the error that is larger cannot tell a wrong slope from a right one


class Slopes(NamedTuple):
    """Central differences, their errors, and where they settled: the slopes from both sides exist and are one."""

    slope: Array
    error: Array
    settled: Array


def slopes(g: Callable[[Any], Array], dtype: Any) -> Slopes:
    """Derivative of the vector g(t) at t = 0; ``dtype`` is the precision in which g computes.

    Richardson extrapolation in steps h, h/2, h/4, ... of the central, right and left quotients. A slope is settled where the three
    have small errors and agree, with each other and with the quotients of a much smaller step: at a kink the left one is not the right
    one, at a jump none of them has a small error, and a kink or a jump within the larger steps is none for the small one.
    """
    here, eps = g(0.0), np.finfo(dtype).eps
    rows: list[list[Array]] = [[], [], []]
    floors = []

    def quotients(h: Any) -> tuple[list[Array], Array]:
        ahead, behind = g(h), g(-h)
        rounding = 4 * eps * (np.abs(ahead) + np.abs(behind) + np.abs(here)) / h
        return [(ahead - behind) / (2 * h), (ahead - here) / h, (here - behind) / h], rounding

    with np.errstate(all="ignore"):
        for k in range(STEPS):
            found, floor = quotients(np.longdouble(LARGEST_STEP) / 2**k)
            for row, quotient in zip(rows, found, strict=True):
                row.append(quotient)
            floors.append(floor)
        near, rounding = quotients(np.longdouble(NEAR))
        slope, error = _extrapolated(rows[0], floors, 4)
        right, right_error = _extrapolated(rows[1], floors, 2)
        left, left_error = _extrapolated(rows[2], floors, 2)
        allowed = ENOUGH * np.maximum(np.abs(slope), 1)
        settled = np.abs(right - left) <= 4 * (right_error + left_error)
        for bound in (
            error,
            right_error,
            left_error,
            *(np.abs(quotient - slope) + rounding for quotient in near),
        ):
            settled &= bound <= allowed
    return Slopes(slope, error, settled)


def _extrapolated(rows: list[Array], floors: list[Array], base: int) -> tuple[Array, Array]:
    """The entry of the tableau that differs least from its neighbours, and by how much, with what rounding makes of it."""
    best, error = rows[0], np.full(rows[0].shape, np.inf, np.longdouble)
    previous = [rows[0]]
    for k in range(1, len(rows)):
        row = [rows[k]]
        for m in range(1, k + 1):
            factor = np.longdouble(base) ** m
            row.append((factor * row[m - 1] - previous[m - 1]) / (factor - 1))
            spread = np.maximum(np.abs(row[m] - row[m - 1]), np.abs(row[m] - previous[m - 1])) + floors[k]
            better = spread < error
            best, error = np.where(better, row[m], best), np.where(better, spread, error)
        previous = row
    return best, error
