"""Draws of the arguments of losses of regression and classification, for their declarations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.nn.arguments import REDUCTIONS
from refgrad.nn.distance_draws import signs
from refgrad.op import Draws, Params

Drawer = Callable[[Draws], Params]


def alike(draws: Draws) -> Params:
    """An input and a target of one shape."""
    shape = draws.shape(0, 3)
    return {
        "input": draws.numbers(shape),
        "target": draws.numbers(shape),
        "reduction": draws.choice(REDUCTIONS),
    }


def weighted(draws: Draws) -> Params:
    """The same with or without a weight for each element."""
    drawn = alike(draws)
    weight = draws.numbers(drawn["input"].shape, 0.25, 4.0)
    return {**drawn, "weight": draws.choice((None, weight))}


def smooth(draws: Draws) -> Params:
    """Arguments of smooth_l1_loss."""
    return {**alike(draws), "beta": draws.choice((1.0, 0.5, 2.0, 0.0))}


def huber(draws: Draws) -> Params:
    """Arguments of huber_loss."""
    return {**weighted(draws), "delta": draws.choice((1.0, 0.5, 2.0))}


def gaussian(draws: Draws) -> Params:
    """Arguments of gaussian_nll_loss. Variances are above eps: torch documents that below it the gradient is not the derivative."""
    drawn = alike(draws)
    shape = drawn["input"].shape
    kind = draws.choice(("each", "one", "row"))
    of = shape if kind == "each" or not shape else (*shape[:-1], 1) if kind == "one" else shape[:-1]
    return {
        **drawn,
        "var": draws.numbers(of, 0.25, 4.0),
        "full": draws.choice((False, True)),
        "eps": draws.choice((1e-6, 0.125)),
    }


def poisson(draws: Draws) -> Params:
    """Arguments of poisson_nll_loss: logarithms of rates, or rates."""
    shape, logarithms = draws.shape(0, 3), draws.choice((True, False))
    return {
        "input": draws.numbers(shape) if logarithms else draws.numbers(shape, low=0.05),
        "target": draws.numbers(shape, low=0.0),
        "log_input": logarithms,
        "full": draws.choice((False, True)),
        "eps": draws.choice((1e-8, 0.125)),
        "reduction": draws.choice(REDUCTIONS),
    }


def divergence(draws: Draws) -> Params:
    """Arguments of kl_div, with targets or their logarithms. Targets of 0 are special points of the op kl_div."""
    shape, logarithms = draws.shape(0, 3), draws.choice((False, True))
    return {
        "input": draws.numbers(shape, high=0.0),
        "target": draws.numbers(shape, high=0.0) if logarithms else draws.numbers(shape, low=0.05),
        "reduction": draws.choice((*REDUCTIONS, "batchmean")),
        "log_target": logarithms,
    }


def _weights(draws: Draws, shape: tuple[int, ...]) -> Any:
    """No weight, or positive ones of the last axes of a shape."""
    weight = draws.numbers(shape[draws.integer(0, len(shape)) :], 0.25, 4.0)
    return draws.choice((None, weight))


def probabilities(draws: Draws) -> Params:
    """Arguments of binary_cross_entropy. torch takes no logarithm below -100, so the probabilities keep off 0 and 1."""
    shape = draws.shape(0, 3)
    return {
        "input": draws.numbers(shape, 0.015625, 0.984375),
        "target": draws.numbers(shape, 0.0, 1.0),
        "weight": _weights(draws, shape),
        "reduction": draws.choice(REDUCTIONS),
    }


def logits(draws: Draws) -> Params:
    """Arguments of binary_cross_entropy_with_logits."""
    shape = draws.shape(0, 3)
    return {
        "input": draws.numbers(shape),
        "target": draws.numbers(shape, 0.0, 1.0),
        "weight": _weights(draws, shape),
        "pos_weight": _weights(draws, shape),
        "reduction": draws.choice(REDUCTIONS),
    }


def soft_margin(draws: Draws) -> Params:
    """Arguments of soft_margin_loss."""
    shape = draws.shape(0, 3)
    return {
        "input": draws.numbers(shape),
        "target": signs(draws, shape),
        "reduction": draws.choice(REDUCTIONS),
    }


def several_labels(draws: Draws) -> Params:
    """Arguments of multilabel_soft_margin_loss."""
    shape = draws.shape(1, 3)
    return {
        "input": draws.numbers(shape),
        "target": draws.labels(shape, 2),
        "weight": _class_weights(draws, shape[-1]),
        "reduction": draws.choice(REDUCTIONS),
    }


def _class_weights(draws: Draws, classes: int) -> Any:
    weight = draws.numbers((classes,), 0.25, 4.0)
    return draws.choice((None, weight))


def margins(draws: Draws) -> Params:
    """Arguments of multi_margin_loss."""
    samples, classes = draws.shape(0, 1), draws.size()
    return {
        "input": draws.numbers((*samples, classes)),
        "target": draws.labels(samples, classes),
        "p": draws.choice((1, 2)),
        "margin": draws.choice((1.0, 0.5, 2.0)),
        "weight": _class_weights(draws, classes),
        "reduction": draws.choice(REDUCTIONS),
    }


def listed_labels(draws: Draws) -> Params:
    """Arguments of multilabel_margin_loss: different classes in each row, ended by -1."""
    samples, classes = draws.shape(0, 1), draws.size()
    target = np.full((*samples, classes), -1)
    for row in target.reshape(-1, classes):
        count = int(draws.rng.integers(0, classes + 1))
        row[:count] = draws.rng.permutation(classes)[:count]
    return {
        "input": draws.numbers((*samples, classes)),
        "target": target,
        "reduction": draws.choice(REDUCTIONS),
    }


def _counted(draws: Draws, target: PlainArray) -> tuple[PlainArray, int]:
    """Class indices, and the index that does not count; one of them counts at least, for the mean over none is NaN."""
    ignored = draws.choice((-100, 0, -1))
    target = np.array(target)
    if ignored < 0 and target.size > 1 and draws.choice((False, True)):
        target.flat[draws.rng.integers(target.size)] = ignored
    elif not np.any(target != ignored):
        ignored = -100
    return target, ignored


def log_likelihood(draws: Draws) -> Params:
    """Arguments of nll_loss: classes alone, samples, and samples with further axes."""
    classes, kind = draws.integer(1, 4), draws.choice(("samples", "class", "places"))
    samples = () if kind == "class" else (draws.size(),)
    places = draws.shape(1, 2) if kind == "places" else ()
    target, ignored = _counted(draws, draws.labels((*samples, *places), classes))
    return {
        "input": draws.numbers((*samples, classes, *places)),
        "target": target,
        "weight": _class_weights(draws, classes),
        "ignore_index": ignored,
        "reduction": draws.choice(REDUCTIONS),
    }


def scores(draws: Draws) -> Params:
    """Arguments of cross_entropy: class indices or probabilities, weights, smoothing, and the classes along any axis."""
    samples, classes = draws.shape(0, 2), draws.size()
    place = draws.choice((len(samples), min(1, len(samples))))
    shape = (*samples[:place], classes, *samples[place:])
    certain = draws.choice((True, True, False))
    target, ignored = _counted(draws, draws.labels(samples, classes))
    return {
        "input": draws.numbers(shape),
        "target": target if certain else draws.numbers(shape, 0.0, 1.0),
        "weight": _class_weights(draws, classes),
        "ignore_index": ignored if certain else -100,
        "label_smoothing": draws.choice((0.0, 0.0, 0.25)),
        "axis": place - len(shape),
        "reduction": draws.choice(REDUCTIONS),
    }
