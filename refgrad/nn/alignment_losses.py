"""The loss of connectionist temporal classification: a sum over all alignments, by the forward recursion in logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import alignment_draws
from refgrad.nn.arguments import array_of, reduced
from refgrad.nn.normalized_exponentials import logsumexp
from refgrad.op import twin


@twin(
    torch=lambda torch, x, targets, inputs, lengths, blank, reduction, zero_infinity: (
        torch.nn.functional.ctc_loss(x, targets, inputs, lengths, blank, reduction, zero_infinity)
    ),
    draw=alignment_draws.sequences,
)
def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Sequence[int],
    target_lengths: Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Array:
    """-log of the probability of each target, summed over its alignments with the first ``input_lengths`` steps.

    ``log_probs`` has shape (T, N, C), or (T, C) for one sample; ``targets`` (N, S), or all targets one after the other. The mean is that
    of the losses over their target lengths. A target that no alignment reaches has an infinite loss, or 0 if ``zero_infinity``; its
    derivative is 0.
    Raises ArgumentError for shapes and lengths that do not fit. Graves et al., "Connectionist temporal classification" (2006).
    """
    log_probs = array_of(log_probs)
    alone = log_probs.ndim == 2
    if alone:
        log_probs = log_probs[:, np.newaxis, :]
    if log_probs.ndim != 3:
        raise ArgumentError(
            f"ctc_loss: log_probs of shape (T, N, C) or (T, C) are expected, got {log_probs.shape}"
        )
    steps, samples, classes = log_probs.shape
    inputs, lengths = (np.atleast_1d(np.asarray(x, int)) for x in (input_lengths, target_lengths))
    if inputs.shape != (samples,) or lengths.shape != (samples,):
        raise ArgumentError(
            f"ctc_loss: {samples} input lengths and target lengths are expected, got shapes {inputs.shape} and {lengths.shape}"
        )
    if not 0 <= blank < classes or np.any(inputs > steps) or np.any(inputs < 1):
        raise ArgumentError(
            f"ctc_loss: blank must lie in 0 ... {classes - 1} and input lengths in 1 ... {steps}, got {blank} and {inputs}"
        )
    rows = _rows(np.asarray(targets), lengths)
    losses = (
        _losses(log_probs, inputs, rows, blank, zero_infinity) if samples else np.zeros(0, log_probs.dtype)
    )
    if reduction == "mean":
        return np.mean(losses / np.maximum(lengths, 1).astype(log_probs.dtype))
    found: Array = reduced(losses, reduction, "ctc_loss")
    return found[0] if alone and reduction == "none" else found


def _rows(targets: Array, lengths: Array) -> list[Array]:
    """The target of each sample."""
    if targets.dtype.kind not in "iu":
        raise ArgumentError(f"ctc_loss: targets must be integers, got dtype {targets.dtype}")
    if targets.ndim == 2 and targets.shape[0] == len(lengths) and np.all(lengths <= targets.shape[1]):
        return [row[:length] for row, length in zip(targets, lengths, strict=True)]
    if targets.ndim == 1 and targets.size == int(np.sum(lengths)):
        return list[Array](np.split(targets, np.cumsum(lengths)[:-1]))
    raise ArgumentError(
        f"ctc_loss: targets of shape ({len(lengths)}, S) or ({int(np.sum(lengths))},) are expected, got {targets.shape}"
    )


def _losses(log_probs: Any, inputs: Array, rows: Sequence[Array], blank: int, zero_infinity: bool) -> Any:
    """The loss of each sample: alpha_s is the log-probability of all alignments of the first steps that end in state s.

    States are the target's classes with blanks around them. A state is entered from itself, from the one before, and from the one before
    that unless a blank would be left out between equal classes. States that no alignment reaches are constants. The states of a shorter
    target end in some that nothing reaches, and the recursion of a shorter sequence stands still after its last step.
    """
    steps = log_probs.shape[0]
    states, there = _states(rows, blank)
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = there[:, 2:] & (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    reached = there & (np.arange(states.shape[1]) < 2)
    entered = np.take_along_axis(log_probs, np.broadcast_to(states, (steps, *states.shape)), axis=2)
    alpha = np.where(reached, entered[0], -np.inf)
    for step in range(1, steps):
        going_on = (step < inputs)[:, np.newaxis]
        reached = reached | (
            going_on & there & (_behind(reached, 1, False) | (skips & _behind(reached, 2, False)))
        )
        ways = np.stack(
            [alpha, _behind(alpha, 1, -np.inf), np.where(skips, _behind(alpha, 2, -np.inf), -np.inf)]
        )
        total = logsumexp(np.where(reached, ways, 0.0), axis=0)
        found = np.where(reached, total + entered[step], -np.inf)
        alpha = found if going_on.all() else np.where(going_on, found, alpha)
    # The last two states of each sample; that of an empty target is its blank alone.
    last = np.sum(there, axis=1)[:, np.newaxis] - np.array([1, 2])
    ends = np.take_along_axis(reached, np.maximum(last, 0), axis=1) & (last >= 0)
    possible = np.any(ends, axis=1)
    ways = np.where(ends, np.take_along_axis(alpha, np.maximum(last, 0), axis=1), -np.inf)
    total = logsumexp(np.where(possible[:, np.newaxis], ways, 0.0), axis=1)
    return np.where(possible, -total, 0.0 if zero_infinity else np.inf)


def _states(rows: Sequence[Array], blank: int) -> tuple[Array, Array]:
    """The states of all samples, blanks where a sample has fewer, and a mask of those that a sample has."""
    counts = np.array([2 * row.size + 1 for row in rows])
    states = np.full((len(rows), counts.max()), blank)
    for n, row in enumerate(rows):
        states[n, 1 : counts[n] : 2] = row
    return states, np.arange(states.shape[1]) < counts[:, np.newaxis]


def _behind(x: Any, places: int, before: Any) -> Any:
    """The element ``places`` states before each one; ``before`` where there is none."""
    first = np.full((x.shape[0], min(places, x.shape[1])), before, x.dtype)
    return np.concatenate([first, x[:, :-places]], axis=1)
