"""Ordinary NumPy code, written without a thought of differentiation. test_numpy_code.py differentiates it as it stands."""

import numpy as np


def smooth_spectrum(signal, width):
    """Smooth a signal by a Gaussian low-pass in the cosine basis."""
    n = signal.shape[-1]
    k = np.arange(n)
    basis = np.cos(np.pi / n * (k[:, None] + 0.5) * k)
    weight = np.full(n, 2.0 / n)
    weight[0] = 1.0 / n
    spectrum = signal @ basis
    damping = np.exp(-0.5 * (k * width) ** 2)
    return (spectrum * weight * damping) @ basis.T


def recurrent_filter(signal, gains):
    """Run a saturating second-order filter along the last axis, two states a channel."""
    state = np.zeros(signal.shape[:-1])
    memory = np.zeros_like(state)
    outputs = []
    for t in range(signal.shape[-1]):
        drive = signal[..., t] - gains[0] * memory
        gate = 1.0 / (1.0 + np.exp(-gains[1] * drive))
        memory = 0.5 * memory + state / 4
        state = gate * state + (1 - gate) * np.tanh(drive + gains[2] * state**2)
        outputs.append(state)
    return np.stack(outputs, axis=-1)


def attention(queries, keys, values):
    """Scaled dot-product attention with a soft distance penalty."""
    scores = queries @ np.swapaxes(keys, -1, -2) / np.sqrt(queries.shape[-1])
    steps = np.arange(scores.shape[-1])
    scores = scores - 0.1 * np.sqrt(1.0 + (steps[:, None] - steps) ** 2)
    weights = np.exp(scores)
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("...ij,...jd->...id", weights, values)


def standardized(x, axis=-1):
    """Zero mean and unit variance along an axis."""
    centred = x - np.mean(x, axis=axis, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=axis, keepdims=True) + 1e-3)


def energy(params, signal):
    """One number from the whole: filter, smooth, attend, and compare with a shifted copy of the signal."""
    filtered = recurrent_filter(signal, params["gains"])
    smoothed = smooth_spectrum(filtered, params["width"])
    tokens = standardized(np.transpose(smoothed)[:, :, np.newaxis] * params["embed"])
    tokens = np.moveaxis(tokens, 1, 0)
    mixed = attention(tokens @ params["query"], tokens @ params["key"], tokens)
    late = mixed[:, 1:, ::2]
    early = np.concatenate([tokens[:, :1, ::2], mixed[:, :-2, ::2]], axis=1)
    difference = (late - early).reshape(late.shape[0], -1)
    trend = np.cumsum(difference, axis=1)[:, -3:]
    return np.sum(difference**2) / difference.size + np.log(1.0 + np.prod(np.mean(trend, axis=1) ** 2 + 0.5))


def features(params, signal):
    """Several numbers: what the energy looks at, before it is summed up."""
    smoothed = smooth_spectrum(recurrent_filter(signal, params["gains"]), params["width"])
    return {
        "ends": smoothed[:, [0, -1]],
        "moments": (smoothed.mean(), np.sqrt(smoothed[0] ** 2 + smoothed[1] ** 2).sum()),
    }
