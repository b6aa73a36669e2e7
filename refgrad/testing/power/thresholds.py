"""What share of the planted errors a run has to catch, and how a share is judged that a few hundred samples give."""

from __future__ import annotations

import math

from refgrad.bounds.formats import FORMATS, GROSS
from refgrad.records.audit import NODE_BY_NODE

# The kinds of planted errors of which a share is required, node by node, and the key of the share in the record of a format. Others
# are counted and shown, and nothing is required of them.
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
CHANCE = 1e-6  # a run that has the required share is called short of it no more often than this, for each kind of error


def required(check: str, mutation: str, dtype: str) -> float | None:
    """The share of these errors that has to be caught; None where nothing is required."""
    return REQUIRED.get(mutation, {}).get(dtype) if check == NODE_BY_NODE else None


def minimum_sample(share: float) -> int:
    """How many planted errors it takes before a required share can be judged at all: fewer could go unseen by chance."""
    return math.ceil(math.log(CHANCE) / math.log1p(-share))


def falls_short(caught: int, planted: int, share: float) -> bool:
    """Whether the caught are too few for the required share, chance set aside.

    The probability of catching so few with that share is at most exp(-n KL(caught/n, share)) (Chernoff's bound); below CHANCE it
    is no chance.
    """
    if planted == 0 or caught >= share * planted:
        return False
    p = caught / planted
    divergence = (p * math.log(p / share) if p else 0.0) + (1 - p) * math.log((1 - p) / (1 - share))
    return -planted * divergence < math.log(CHANCE)
