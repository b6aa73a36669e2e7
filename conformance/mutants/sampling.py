"""Mutants of interpolation at image borders and of grouped convolution, in one dimension."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad.arrays import Array, Operand

from .record import Kind, Mutant, Way, normal

PIXELS = 5
GROUPS = 2
PLACES = np.array([-0.25, 0.75, 4.25, 5.5, -1.75])  # outside the image on either side, and within


def reflected(places: Array) -> Array:
    """Positions, reflected into [0, PIXELS - 1]."""
    last = PIXELS - 1
    return last - np.abs(np.mod(places, 2 * last) - last)


def weights(places: Array, fraction: Array) -> Array:
    """A row for each position: 1 - fraction for the pixel to the left, fraction for the one to the right."""
    left = np.minimum(np.floor(places).astype(int), PIXELS - 2)
    rows = np.arange(len(places))
    found = np.zeros((len(places), PIXELS))
    found[rows, left] = 1 - fraction
    found[rows, left + 1] = fraction
    return found


RIGHT = weights(reflected(PLACES), reflected(PLACES) - np.minimum(np.floor(reflected(PLACES)), PIXELS - 2))
BEFORE = weights(reflected(PLACES), PLACES - np.floor(PLACES))  # fractions of places before they were folded


# --- the border itself: beyond it the image goes on as its last pixel -------------------------------------------------


def bordered(image: Array, places: Array) -> Array:
    """The image as a sum of ramps, one between two pixels."""
    return image[0] + np.sum((image[1:] - image[:-1]) * ramps(places), axis=1)


def ramps(places: Array) -> Array:
    return np.clip(places[:, np.newaxis] - np.arange(PIXELS - 1), 0.0, 1.0)


def bordered_vjp(
    y_bar: Array, image: Array, places: Array, beyond: Callable[[Array], Operand]
) -> tuple[Array, Array]:
    """The slope at a position is the step from its left pixel to the next; ``beyond`` gives the pixel after the last."""
    steps_bar = np.sum(y_bar[:, np.newaxis] * ramps(places).astype(image.dtype), axis=0)
    none = np.zeros(1, image.dtype)
    first = np.concatenate([np.sum(y_bar)[np.newaxis], np.zeros(PIXELS - 1, image.dtype)])
    image_bar = first + np.concatenate([none, steps_bar]) - np.concatenate([steps_bar, none])
    longer = np.append(image, beyond(image)).astype(image.dtype)
    left = np.clip(np.floor(places).astype(int), 0, PIXELS - 1)
    inside = (places >= 0) & (places <= PIXELS - 1)
    return image_bar, y_bar * np.where(inside, longer[left + 1] - longer[left], 0).astype(image.dtype)


# --- convolution in two groups; the signal is made of integers, which are not differentiated --------------------------


def windows(signal: Array, width: int) -> Array:
    """All windows of a signal, (batch, channels, positions, width)."""
    places = signal.shape[2] - width + 1
    return np.stack([signal[:, :, k : k + places] for k in range(width)], axis=-1)


def halves(x: Array, axis: int) -> list[Array]:
    return list(np.split(x, GROUPS, axis=axis))


def convolved(kernel: Array, signal: Array) -> Array:
    parts = zip(halves(kernel, 0), halves(windows(signal * 1.0, kernel.shape[2]), 1), strict=True)
    return np.concatenate([np.einsum("ock,nctk->not", w, x) for w, x in parts], axis=1)


def convolved_vjp(
    y_bar: Array, kernel: Array, signal: Array, channels: tuple[int, ...]
) -> tuple[Array, None]:
    """The gradient in which each group of outputs uses the group of input channels given by ``channels``."""
    inputs = halves(windows(signal * 1.0, kernel.shape[2]), 1)
    parts = zip(halves(y_bar, 1), channels, strict=True)
    return np.concatenate([np.einsum("not,nctk->ock", g, inputs[c]) for g, c in parts], axis=0), None


MUTANTS = (
    Mutant(
        "pt-10051",
        "https://github.com/pytorch/pytorch/pull/10051",
        "grid_sample, reflection",
        Kind.SIGN,
        forward=lambda image: RIGHT @ image,
        right=lambda y_bar, image: RIGHT.T @ y_bar,
        wrong=lambda y_bar, image: BEFORE.T @ y_bar,
        inputs=lambda rng: [normal(rng, (PIXELS,)), normal(rng, (PIXELS, 2))],
    ),
    Mutant(
        "pt-23925",
        "https://github.com/pytorch/pytorch/issues/23925",
        "grid_sample, border",
        Kind.TIE,
        forward=bordered,
        right=lambda y_bar, image, places: bordered_vjp(y_bar, image, places, lambda image: image[-1]),
        wrong=lambda y_bar, image, places: bordered_vjp(y_bar, image, places, lambda image: 0.0),
        inputs=lambda rng: [
            (np.arange(PIXELS) * 2.0, np.array([4.0, 1.5])),
            (rng.integers(-8, 9, PIXELS) / 4.0, np.array([0.25, 2.5, 3.75])),
        ],
        way=Way.KERNEL,
        note="at the border any slope between the interior's and 0 is acceptable",
    ),
    Mutant(
        "pt-51430",
        "https://github.com/pytorch/pytorch/issues/51430",
        "conv1d, weight, two groups",
        Kind.FACTOR,
        forward=convolved,
        right=lambda y_bar, kernel, signal: convolved_vjp(y_bar, kernel, signal, (0, 1)),
        wrong=lambda y_bar, kernel, signal: convolved_vjp(y_bar, kernel, signal, (0, 0)),
        inputs=lambda rng: [(*normal(rng, (4, 2, 3)), rng.integers(-4, 5, (2, 4, 6))) for _ in range(2)],
    ),
)
