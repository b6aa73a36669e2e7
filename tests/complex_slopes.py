"""Three orders of derivatives of functions of complex matrices against differences of NumPy's own numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import refgrad as rg
from refgrad.numeric import differences

Array = Any
EPS = np.finfo(float).eps


def parts(y: Array) -> Array:
    return np.stack([np.real(y), np.imag(y)])


def _sensitivity(a: Array) -> float:
    """How much more than by itself a change of a moves its factors: the largest over the least distance of its singular values, and of
    the eigenvalues of its triangles."""
    s = np.linalg.svd(a, compute_uv=False)
    spectra = [np.concatenate([s, -s], -1)]
    if a.shape[-1] == a.shape[-2]:
        spectra += [np.linalg.eigvalsh(a, uplo) for uplo in "LU"]
    gaps = [np.abs(w[..., None, :] - w[..., :, None]) + 1e9 * np.eye(w.shape[-1]) for w in spectra]
    return max(float(2 * np.max(np.abs(w)) / np.min(d)) for w, d in zip(spectra, gaps, strict=True))


def _slope(f: Callable[[Array], Array], a: Array, v: Array, order: int) -> tuple[Array, Array]:
    """The third judge's derivative of f along v, which holds derivatives of order - 1, and what it may err.

    LAPACK's factors are those of A + E, |E| <= n eps |A|, and each derivative multiplies this by the sensitivity once more.
    """

    def plain(t: Array) -> Array:
        return np.asarray(f(a + float(t) * v))

    noise = a.shape[-1] * EPS * _sensitivity(a) ** order * max(1.0, float(np.max(np.abs(plain(0.0)))))
    return differences(plain, (np.zeros(()),), (np.ones(()),), step=2.0**-8, noise=noise)


def _held(got: Array, want: tuple[Array, Array]) -> None:
    assert np.all(np.abs(got - want[0]) <= want[1])
    assert np.all(want[1] <= 1e-4 * (1 + np.max(np.abs(want[0])))), "a comparison with digits"


def derivatives_held(f: Callable[[Array], Array], a: Array) -> None:
    """The real values of f are NumPy's, and derivatives of three orders along complex directions are those of differences."""
    rng = np.random.default_rng(7)
    v = (rng.standard_normal(a.shape) + 1j * rng.standard_normal(a.shape)) / 4

    y, y_dot = rg.jvp(f, (a,), (v,))
    assert np.all(np.abs(y - f(a)) <= 64 * EPS * _sensitivity(a) * np.max(np.abs(y)))
    _held(y_dot, _slope(f, a, v, 1))
    y_bar = rng.standard_normal(np.shape(y))
    a_bar = rg.vjp(f, a)[1](y_bar)[0]
    off = np.abs(np.sum((np.conjugate(a_bar) * v).real) - np.sum(y_bar * y_dot))
    assert off <= 2**10 * EPS * _sensitivity(a) * np.sum(np.abs(y_bar * y_dot))

    total = rg.grad(lambda z: np.sum(np.sin(f(z))))

    def total_parts(z: Array) -> Array:
        return parts(total(z))

    second = _slope(total_parts, a, v, 2)
    _held(parts(rg.jvp(total, (a,), (v,))[1]), second)

    def along(z: Array) -> Array:
        return np.sum(rg.jvp(lambda u: np.sin(f(u)), (z,), (v,))[1])

    _held(np.sum((np.conjugate(rg.grad(along)(a)) * v).real), _slope(along, a, v, 2))

    def twice(z: Array) -> Array:
        return parts(rg.jvp(total, (z,), (v,))[1])

    _held(rg.jvp(twice, (a,), (v,))[1], _slope(twice, a, v, 3))
