"""Draws of the arguments of the loss of alignments, for its declaration."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.nn.arguments import REDUCTIONS
from refgrad.op import Draws, Params

_MOST_STEPS = 65  # each step waits for the one before: 500 steps take as long as a hundred other cases


def sequences(draws: Draws) -> Params:
    """Arguments of ctc_loss: sequences and targets of several lengths, in rows or one after the other.

    A target that no alignment reaches is drawn where ``zero_infinity`` says what its loss is: else its loss is infinite.
    """
    steps = min(draws.size(), _MOST_STEPS)
    samples, classes = draws.integer(1, 3), draws.integer(2, 4)
    blank, zero = draws.choice((0, classes - 1)), draws.choice((False, True))
    inputs = [draws.integer(max(1, steps - 2), steps) for _ in range(samples)]
    found = []
    for length in inputs:
        others = [k for k in range(classes) if k != blank]
        target = draws.rng.choice(others, draws.integer(0, 3))
        while not zero and length < _least(target):
            target = target[:-1]
        found.append(target)
    lengths = tuple([len(target) for target in found])
    rows = np.full((samples, max(1, *lengths)), blank)
    for row, target in zip(rows, found, strict=True):
        row[: len(target)] = target
    flat = draws.choice((False, True)) and sum(lengths) > 0
    return {
        "log_probs": draws.numbers((steps, samples, classes), high=0.0),
        "targets": np.concatenate(found).astype(np.int64) if flat else rows,
        "input_lengths": tuple(inputs),
        "target_lengths": lengths,
        "blank": blank,
        "reduction": draws.choice(REDUCTIONS),
        "zero_infinity": zero,
    }


def _least(target: PlainArray) -> int:
    """How many steps an alignment of the target takes: one for each class, and a blank between equal ones."""
    return len(target) + int(np.sum(target[1:] == target[:-1]))
