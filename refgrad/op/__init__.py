"""The record of an op (record.py), its registration (registry.py, checks.py), and how it is applied to arrays, traced or not."""

from refgrad.arrays import Params
from refgrad.op.registry import (
    BY_FUNCTION,
    BY_METHOD,
    REGISTRY,
    Op,
    Traced,
    apply,
    new_level,
    refuse_traced,
    register,
    reject_complex,
)
from refgrad.op.signature import Rule, RuleInputs, Signature, shape_of

__all__ = [
    "BY_FUNCTION",
    "BY_METHOD",
    "REGISTRY",
    "Op",
    "Params",
    "Rule",
    "RuleInputs",
    "Signature",
    "Traced",
    "apply",
    "new_level",
    "refuse_traced",
    "register",
    "reject_complex",
    "shape_of",
]
