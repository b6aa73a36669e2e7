"""Rounding rules for sums of products of two operands: matrix products, contractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds import exactness, magnitudes
from refgrad.bounds.evaluation import Evaluation, Radius
from refgrad.bounds.formats import Format
from refgrad.bounds.small_arrays import every
from refgrad.quiet import quiet


def above(fmt: Format, forward: Any, operands: Any, params: Any, terms: int) -> Array:
    """An upper bound of a sum of ``terms`` products of two operands that are nowhere negative; large ones are computed by float64 BLAS.

    A radius needs few digits, and long double has no BLAS. Operands are rounded upwards. A sum of products in float64 is off by terms + 1
    roundings in any order, and by half a subnormal for each product. The rest of the slack is for the roundings of the caller's rule.
    A sum that might leave the range of float64 is computed in the wide format.
    """
    if fmt.wide != np.longdouble or len(operands) != 2 or max(np.size(x) for x in operands) < _BLAS:
        return forward(*operands, **params)
    upper = [magnitudes.upwards(x) for x in operands]
    tops = [float(np.max(x, initial=1.0, where=np.isfinite(x))) for x in upper]
    if not math.prod(tops) * terms < fmt.max:
        return forward(*operands, **params)
    return forward(*upper, **params) * (1 + 2 * (terms + 4) * 2.0**-53) + terms * 5e-324


_BLAS = 1024  # elements of an operand from which float64 BLAS is faster


def partial_overflow(
    fmt: Format, forward: Any, y: Array, radius: Array, full: Array, operands: Any, params: Any
) -> Array:
    """The radius of a sum of products, infinite where a partial sum overflows in some order although the whole sum does not.

    ``full`` is the sum of the products of absolute values ``operands``. Where y is beyond the range or infinite, a partial sum of
    the finite terms may become the opposite infinity: the radius is NaN there, for no result is defined.
    """
    if every(full <= fmt.max):
        return radius
    with quiet():
        unsafe = forward(*[np.where(np.isfinite(x), x, 0.0) for x in operands], **params) > fmt.max
        promised = np.where(np.abs(y) - radius < fmt.max, np.inf, np.nan)
    return np.where(unsafe, promised, radius)


def shortened(fmt: Format, terms: int, operands: int = 2) -> float:
    """Relative error of a sum of products that shortens its operands and truncates partial sums; 0 where the format does not."""
    return (1 + fmt.u_operand) ** operands - 1 + terms * fmt.u_acc if fmt.u_operand else 0.0


def lost_subnormals(fmt: Format, forward: Any, operands: Sequence[Array], params: Any, terms: int) -> Radius:
    """What a sum of products may lose where operands, products or partial sums are subnormal.

    A format that shortens its operands keeps the exponents. Its subnormal numbers are multiples of u_operand times the smallest normal
    number, and a subnormal operand is off by at most that. A format that flushes takes a subnormal operand as zero, and loses at most the
    smallest normal number in each product and in each partial sum.
    """
    if not fmt.u_operand and not fmt.flushed:
        return 0.0
    radius: Radius = 2 * terms * fmt.flushed
    for i, x in enumerate(operands):
        subnormal = (x > 0) & (x < fmt.least_normal)
        if np.any(subnormal):
            lost = np.where(subnormal, x if fmt.flushed else fmt.u_operand * fmt.least_normal, 0.0)
            radius = radius + above(fmt, forward, (*operands[:i], lost, *operands[i + 1 :]), params, terms)
    return radius * (1 + fmt.u_operand) ** (len(operands) - 1)


def bilinear(run: Evaluation, terms: int) -> Radius:
    """Rule of a sum of ``terms`` products of two operands (matmul, einsum): |A| e_B + e_A (|B| + e_B) + k u_acc |A||B| + k eta.

    Zero where no order rounds (exactness.py).
    """
    fmt, forward, y, xs, es, params = run
    fmt = fmt.computing
    a, b = np.abs(xs[0]), np.abs(xs[1])
    ea, eb = es
    radius: Radius = 0.0
    if eb is not None:
        radius = radius + above(fmt, forward, (a, np.broadcast_to(eb, b.shape)), params, terms)
        b = b + eb
    if ea is not None:
        radius = radius + above(fmt, forward, (np.broadcast_to(ea, a.shape), b), params, terms)
        a = a + ea
    size = above(fmt, forward, (a, b), params, terms)
    exact = exactness.products(fmt, size, xs, es)
    if exact is not None and every(exact):
        return None
    if np.count_nonzero(np.isinf(a)) or np.count_nonzero(np.isinf(b)):
        # inf * 0 is NaN, and BLAS may skip products by 0: neither is guaranteed
        left, right = (
            forward(np.isinf(a) * 1.0, (b == 0) * 1.0, **params),
            forward((a == 0) * 1.0, np.isinf(b) * 1.0, **params),
        )
        radius = np.where((left > 0) | (right > 0), np.nan, radius)
    radius = radius + (terms * fmt.u_acc + shortened(fmt, terms)) * size + terms * fmt.eta
    radius = radius + lost_subnormals(fmt, forward, (a, b), params, terms)
    radius = radius + (0.0 if fmt.u == fmt.u_acc else fmt.store(y, radius))
    return exactness.without(partial_overflow(fmt, forward, y, radius, size, (a, b), params), exact)
