"""The record of an op (record.py), its registration (registry.py, checks.py), and how it is applied to arrays, traced or not.

Compositions of ops with a record of their own: function.py.
"""

from refgrad.arrays import Params
from refgrad.op.draws import Draws
from refgrad.op.function import FUNCTIONS, Function, known, twin
from refgrad.op.record import OpRecord
from refgrad.op.registry import (
    BY_FUNCTION,
    BY_METHOD,
    REGISTRY,
    Op,
    Traced,
    apply,
    in_dtype,
    new_level,
    refuse_traced,
    register,
)
from refgrad.op.signature import Rule, RuleInputs, Signature, shape_of

__all__ = [
    "BY_FUNCTION",
    "BY_METHOD",
    "FUNCTIONS",
    "REGISTRY",
    "Draws",
    "Function",
    "Op",
    "OpRecord",
    "Params",
    "Rule",
    "RuleInputs",
    "Signature",
    "Traced",
    "apply",
    "in_dtype",
    "known",
    "new_level",
    "refuse_traced",
    "register",
    "shape_of",
    "twin",
]
