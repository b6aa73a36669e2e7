"""The share of planted errors that a run has to catch, and a test of an observed share against it."""

from __future__ import annotations

import math

from refgrad.bounds.formats import FORMATS, GROSS
from refgrad.records.audit import EXACT_CASES, NODE_BY_NODE

# The kinds of planted errors with a required share in node-by-node judgement, and the key of the share in the record of a format. Other
# kinds are counted and reported without a requirement, errors of one unit in the last place among them: a correct kernel may have one.
# In exact cases no correct kernel has an error, so all of every kind have to be caught.
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
    if check == EXACT_CASES:
        return 1.0
    return REQUIRED.get(mutation, {}).get(dtype) if check == NODE_BY_NODE else None


def minimum_sample(share: float) -> int:
    """The smallest number of planted errors with which a required share can be tested: fewer could all be missed by chance."""
    return math.ceil(math.log(CHANCE) / math.log1p(-share)) if share < 1 else 1


def falls_short(caught: int, planted: int, share: float) -> bool:
    """Whether significantly fewer errors were caught than the required share.

    The probability of catching so few with that share is at most exp(-n KL(caught/n, share)) (Chernoff's bound). Below CHANCE the share is
    rejected. A share of 1 leaves nothing to chance.
    """
    if planted == 0 or caught >= share * planted:
        return False
    if share == 1:
        return True
    p = caught / planted
    divergence = (p * math.log(p / share) if p else 0.0) + (1 - p) * math.log((1 - p) / (1 - share))
    return -planted * divergence < math.log(CHANCE)
