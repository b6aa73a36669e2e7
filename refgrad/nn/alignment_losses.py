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
    each = [_one(log_probs[: inputs[n], n], rows[n], blank, zero_infinity) for n in range(samples)]
    losses = np.stack(each) if each else np.zeros(0, log_probs.dtype)
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


def _one(log_probs: Any, target: Array, blank: int, zero_infinity: bool) -> Any:
    """The loss of one sample: alpha_s is the log-probability of all alignments of the first steps that end in state s.

    States are the target's classes with blanks around them. A state is entered from itself, from the one before, and from the one before
    that unless a blank would be left out between equal classes. States that no alignment reaches are constants.
    """
    states = np.full(2 * target.size + 1, blank)
    states[1::2] = target
    skips = np.zeros(states.size, bool)
    skips[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    reached = np.arange(states.size) < 2
    alpha = np.where(reached, log_probs[0][states], -np.inf)
    for step in log_probs[1:]:
        ways = np.stack([alpha, _behind(alpha, 1), np.where(skips, _behind(alpha, 2), -np.inf)])
        reached = reached | _behind(reached, 1) | (skips & _behind(reached, 2))
        total = logsumexp(np.where(reached, ways, 0.0), axis=0)
        alpha = np.where(reached, total + step[states], -np.inf)
    ends = reached[-2:]
    if not np.any(ends):
        return np.asarray(0.0 if zero_infinity else np.inf, log_probs.dtype)
    return -logsumexp(alpha[-2:][ends])


def _behind(x: Any, places: int) -> Any:
    """The element ``places`` states before each one: -inf, or False, where there is none."""
    if x.shape[0] <= places:
        return np.zeros(x.shape, bool) if x.dtype == bool else np.full(x.shape, -np.inf, x.dtype)
    first = np.zeros(places, bool) if x.dtype == bool else np.full(places, -np.inf, x.dtype)
    return np.concatenate([first, x[:-places]])
