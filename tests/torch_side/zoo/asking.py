"""Puts a specimen before refgrad's check and before torch's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import refgrad.torch as checks
from refgrad.testing import Report

from . import (
    arithmetic,
    attention,
    effects,
    graphs,
    guarded,
    indexing,
    layouts,
    losses,
    normalisation,
    sliding,
    stated,
    uses,
)
from .record import Kind, Specimen

SPECIMENS: tuple[Specimen, ...] = (
    *normalisation.SPECIMENS, *losses.SPECIMENS, *attention.SPECIMENS, *sliding.SPECIMENS, *indexing.SPECIMENS, *layouts.SPECIMENS,
    *uses.SPECIMENS, *stated.SPECIMENS, *arithmetic.SPECIMENS, *effects.SPECIMENS, *guarded.SPECIMENS,
    *graphs.SPECIMENS,
)  # fmt: skip


def judged(specimen: Specimen, which: str, dtype: str, seed: int = 0) -> Report:
    """What refgrad says of the right or the wrong twin in one dtype."""
    check = checks.gradgradcheck if specimen.kind is Kind.SECOND else checks.gradcheck
    return check(
        getattr(specimen, which), specimen.drawn(seed), reference=specimen.reference, dtypes=(dtype,), seed=seed,
        raise_exception=False,
    )  # fmt: skip


def in_float64(x: Any) -> Any:
    """The input as torch's own check wants it: float64, laid out as it is."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return x
    wide = torch.empty_strided(x.shape, x.stride(), dtype=torch.float64).copy_(x.detach())
    return wide.requires_grad_(x.requires_grad)


def accepted_by_torch(
    func: Callable[..., Any], inputs: tuple[Any, ...], *, second: bool = False, fast: bool = False
) -> bool:
    """Whether torch.autograd.gradcheck (gradgradcheck) with its defaults accepts ``func``; whatever it raises is a refusal."""
    check = torch.autograd.gradgradcheck if second else torch.autograd.gradcheck
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        try:
            return bool(check(func, tuple(map(in_float64, inputs)), fast_mode=fast))
        except (RuntimeError, AssertionError, ArithmeticError, IndexError, TypeError, ValueError):
            return False
