"""Covariances and correlations."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.functions.registry import implements, operand
from refgrad.ops.complex_numbers import from_parts
from refgrad.tracing.differentiable_arguments import plain

_NONE: Any = np._NoValue


@implements(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None, aweights: Any = None,
    *, dtype: Any = None,
) -> Array:  # fmt: skip
    with warnings.catch_warnings():  # said below
        warnings.simplefilter("ignore")
        # Raises where NumPy does.
        found = np.cov(plain(m), plain(y), rowvar, bias, ddof, fweights, plain(aweights), dtype=dtype)
    if np.iscomplexobj(plain(aweights)):
        raise NoRuleError(
            "np.cov: argument aweights is complex; weights are real numbers. Write aweights.real."
        )
    parts = [operand(x) for x in (m, y) if x is not None]
    dtype = np.result_type(np.float64, *[x.dtype for x in parts]) if dtype is None else dtype
    x = _variables(parts, rowvar, dtype, True)
    if x.shape[0] != (found.shape[0] if found.ndim else 1):
        x = _variables(parts, rowvar, dtype, False)
    if x.shape[0] == 0:
        return np.array([]).reshape(0, 0)
    w: Array | None = None if fweights is None else np.asarray(fweights, float)
    if aweights is not None:
        w = operand(aweights).astype(float) if w is None else w * operand(aweights)
    total = x.shape[1] if w is None else np.sum(w)
    mean = np.mean(x, axis=1) if w is None else np.sum(x * w, axis=1) / total
    ddof = (0 if bias else 1) if ddof is None else ddof
    lost = ddof if aweights is None or ddof == 0 else ddof * np.sum(w * operand(aweights)) / total
    freedom = total - lost
    if plain(freedom) <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        freedom = 0.0
    x = x - mean[:, None]
    turned = (x if w is None else x * w).T
    c = np.matmul(x, np.conjugate(turned) if turned.dtype.kind == "c" else turned)
    return np.squeeze(c * np.true_divide(1, freedom))


def _variables(parts: list[Array], rowvar: bool, dtype: Any, single: bool) -> Array:
    """The variables as rows. ``single``: whether a single row is turned to a column, which differs between releases of NumPy."""
    rows = []
    for x in parts:
        turned = not rowvar and x.ndim != 1 and (single or x.shape[0] != 1)
        x = np.atleast_2d(x).astype(dtype)
        rows.append(x.T if turned else x)
    return np.concatenate(rows, 0) if len(rows) > 1 else rows[0]


@implements(np.corrcoef)
def corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, bias: Any = _NONE, ddof: Any = _NONE, *, dtype: Any = None
) -> Array:
    # Without effect, and gone in NumPy 2.4.
    old = {k: v for k, v in (("bias", bias), ("ddof", ddof)) if v is not _NONE}
    np.corrcoef(plain(x), plain(y), rowvar, dtype=dtype, **old)  # raises and warns where NumPy does
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    spread = np.sqrt(np.diagonal(c).real)
    c = c / spread[:, None] / spread[None, :]
    if c.dtype.kind == "c":
        return from_parts(np.clip(c.real, -1, 1), np.clip(c.imag, -1, 1))
    return np.clip(c, -1, 1)
