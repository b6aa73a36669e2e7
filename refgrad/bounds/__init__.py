"""Rounding rules, the floating-point formats that they are for, and the arithmetic in which error bounds are computed."""

from __future__ import annotations

from refgrad.bounds.casts import cast
from refgrad.bounds.evaluation import Evaluation, RoundingRule, zero
from refgrad.bounds.exact_rules import compared, exact_rule, moved, same, steps
from refgrad.bounds.factors import multiplied, product_underflow
from refgrad.bounds.figures import figure, has_figure
from refgrad.bounds.formats import FORMATS, Format, format_of
from refgrad.bounds.products import above, bilinear, lost_subnormals, partial_overflow, shortened
from refgrad.bounds.rules import (
    added,
    corners,
    endless,
    fan_in,
    monotone,
    power_of_two,
    product,
    quotient,
    reached,
    reference_slack,
    running,
    scattered,
    smooth,
    summed,
)
from refgrad.bounds.signs import signed_product
from refgrad.bounds.small_arrays import some

__all__ = [
    "FORMATS",
    "Evaluation",
    "Format",
    "RoundingRule",
    "above",
    "added",
    "bilinear",
    "cast",
    "compared",
    "corners",
    "endless",
    "exact_rule",
    "fan_in",
    "figure",
    "format_of",
    "has_figure",
    "lost_subnormals",
    "monotone",
    "moved",
    "multiplied",
    "partial_overflow",
    "power_of_two",
    "product",
    "product_underflow",
    "quotient",
    "reached",
    "reference_slack",
    "running",
    "same",
    "scattered",
    "shortened",
    "signed_product",
    "smooth",
    "some",
    "steps",
    "summed",
    "zero",
]
