"""What share of the planted errors a run has to catch, and how a share is judged that a few hundred samples give."""

from __future__ import annotations

import math

from refgrad.records.audit import NODE_BY_NODE

# Shares of the errors planted node by node, by dtype. Errors not listed are counted and shown, and nothing is required of them.
# tf32 is float32 but for the operands of products, which are cut to within 2^-10, between the unit roundoffs of float16 (2^-11) and
# bfloat16 (2^-8): gross errors are held to the share of both. Two cut operands leave 2^-9, a fifth of 1e-2, where float16 leaves less
# and bfloat16 a half; 1e-3 is below it, so in products it may go unseen, and a run may be of products alone.
_GROSS = {"float64": 0.99, "float32": 0.99, "bfloat16": 0.96, "float16": 0.96, "tf32": 0.96}
REQUIRED: dict[str, dict[str, float]] = {
    **dict.fromkeys(
        (
            "sign", "factor 2", "dropped path", "missing broadcast sum", "transpose", "roll", "forgotten 1/n", "missing softmax term",
            "one wrong element", "uninitialised element", "wrong branch", "stale saved tensor", "misread memory order",
        ),
        _GROSS,
    ),
    "relative 1e-2": {"float64": 0.99, "float32": 0.98, "bfloat16": 0.70, "float16": 0.95, "tf32": 0.95},
    "relative 1e-3": {"float64": 0.99, "float32": 0.97, "float16": 0.60},
    "relative 1e-4": {"float64": 0.99, "float32": 0.95},
}  # fmt: skip
CHANCE = 1e-6  # a run that has the required share is called short of it no more often than this, for each kind of error


def required(check: str, mutation: str, dtype: str) -> float | None:
    """The share of these errors that has to be caught; None where nothing is required."""
    return REQUIRED.get(mutation, {}).get(dtype) if check == NODE_BY_NODE else None


def fewest(share: float) -> int:
    """How many planted errors it takes before a required share can be judged at all: fewer could go unseen by chance."""
    return math.ceil(math.log(CHANCE) / math.log1p(-share))


def short(caught: int, planted: int, share: float) -> bool:
    """Whether the caught are too few for the required share, chance set aside.

    The probability of catching so few with that share is at most exp(-n KL(caught/n, share)) (Chernoff's bound); below CHANCE it
    is no chance.
    """
    if planted == 0 or caught >= share * planted:
        return False
    p = caught / planted
    divergence = (p * math.log(p / share) if p else 0.0) + (1 - p) * math.log((1 - p) / (1 - share))
    return -planted * divergence < math.log(CHANCE)
