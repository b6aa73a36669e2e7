"""Draws of the arguments of activations with parameters, for their declarations."""

from __future__ import annotations

from refgrad.op import Draws, Params


def scaled_exponential(draws: Draws) -> Params:
    """Arguments of celu."""
    return {
        "input": draws.numbers(draws.shape(0, 3)),
        "alpha": draws.choice((1.0, 0.5, 2.0, 0.7, -1.0, -0.7)),
    }


def halves(draws: Draws) -> Params:
    """Arguments of glu: an even size along one axis."""
    shape = list(draws.shape(1, 3))
    dim = draws.integer(-len(shape), len(shape) - 1)
    shape[dim] = 2 * draws.integer(1, 3)
    return {"input": draws.numbers(tuple(shape)), "dim": dim}


def slopes(draws: Draws) -> Params:
    """Arguments of prelu: one slope, or one for each channel."""
    shape = draws.shape(0, 3)
    channels = shape[1] if len(shape) > 1 else 1
    return {
        "input": draws.numbers(shape),
        "weight": draws.numbers((draws.choice((1, channels)),)),
    }


def mean_slope(draws: Draws) -> Params:
    """Arguments of rrelu in evaluation."""
    lower, upper = draws.choice(((1 / 8, 1 / 3), (0.25, 0.25), (-0.5, 0.25)))
    return {"input": draws.numbers(draws.shape(0, 3)), "lower": lower, "upper": upper, "training": False}


def threshold(draws: Draws) -> Params:
    """Arguments of threshold. Both numbers are in every format."""
    return {
        "input": draws.numbers(draws.shape(0, 3)),
        "threshold": draws.choice((0.0, 1.0, -0.5)),
        "value": draws.choice((0.0, 20.0, -1.0)),
    }


def along(draws: Draws) -> Params:
    """An input and an axis."""
    shape = draws.shape(1, 3)
    return {"input": draws.numbers(shape), "dim": draws.integer(-len(shape), len(shape) - 1)}


def sharpness(draws: Draws) -> Params:
    """Arguments of softplus: a factor in the exponent, and the threshold of frameworks."""
    return {
        "x": draws.numbers(draws.shape(0, 3)),
        "threshold": draws.choice((20.0, 2.0, 8.0)),
        "beta": draws.choice((2.0, 0.5, 1.0, 3.0)),
    }
