"""The share of planted errors that a run has to catch, and a test of an observed share against it."""

from __future__ import annotations

import math

from refgrad.bounds.formats import FORMATS, GROSS
from refgrad.records.audit import NODE_BY_NODE

# The kinds of planted errors with a required share in node-by-node judgement, and the key of the share in the record of a format. Other
# kinds are counted and reported without a requirement.
_KEYS = {
    **dict.fromkeys(
        (
            "sign", "factor 2", "dropped path", "missing broadcast sum", "transpose", "roll", "forgotten 1/n", "missing softmax term",
            "one wrong element", "uninitialised element", "wrong branch", "stale saved tensor", "misread memory order",
        ),
        GROSS,
    ),
    **{kind: kind for kind in ("relative 1e-2", "relative 1e-3", "relative 1e-4")},
}  # fmt: skip  # a list of names reads by lines
REQUIRED: dict[str, dict[str, float]] = {
    kind: {name: fmt.required[key] for name, fmt in FORMATS.items() if key in fmt.required}
    for kind, key in _KEYS.items()
}
CHANCE = 1e-6  # probability of a false rejection of a run that has the required share, for each kind of error


def required(check: str, mutation: str, dtype: str) -> float | None:
    """The share of these errors that has to be caught; None where there is no requirement."""
    return REQUIRED.get(mutation, {}).get(dtype) if check == NODE_BY_NODE else None


def minimum_sample(share: float) -> int:
    """The smallest number of planted errors with which a required share can be tested: fewer could all be missed by chance."""
    return math.ceil(math.log(CHANCE) / math.log1p(-share))


def falls_short(caught: int, planted: int, share: float) -> bool:
    """Whether significantly fewer errors were caught than the required share.

    The probability of catching so few with that share is at most exp(-n KL(caught/n, share)) (Chernoff's bound). Below CHANCE the share is
    rejected.
    """
    if planted == 0 or caught >= share * planted:
        return False
    p = caught / planted
    divergence = (p * math.log(p / share) if p else 0.0) + (1 - p) * math.log((1 - p) / (1 - share))
    return -planted * divergence < math.log(CHANCE)
