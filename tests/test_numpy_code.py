"""Unmodified NumPy code (plain_numpy.py knows nothing of refgrad), right to the last digits in both modes.

The judge is the complex step, which differentiates by NumPy's own complex arithmetic. Both sides round: refgrad's part is
bounded by running it over Balls, and the complex step computes the same program, so it is allowed the bound of the tangent.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refgrad import Graph, grad, hvp, jacfwd, jacrev, jvp, value_and_grad
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rules import reference_slack
from refgrad.numeric import complex_step, differences
from refgrad.tracing.ball import exact, parts
from refgrad.tree import flatten
from tests import plain_numpy

Array = Any
FMT = FORMATS["float64"]
RNG = np.random.default_rng(7)
SIGNAL = RNG.normal(size=(2, 7))
PARAMS = {
    "gains": np.array([0.3, 1.7, 0.4]), "width": np.array(0.21), "embed": RNG.normal(size=4),
    "query": RNG.normal(size=(4, 3)) / 2, "key": RNG.normal(size=(4, 3)) / 2,
}  # fmt: skip
LEAVES, REBUILD = flatten((PARAMS, SIGNAL))


def energy(*leaves: Array) -> Array:
    return plain_numpy.energy(*REBUILD(list(leaves)))


def directions(seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-8, 9, x.shape) / 8 for x in LEAVES]


def balls(arrays: list[Array]) -> list[Any]:
    return [exact(x, FMT) for x in arrays]


def bound(ball: Any) -> Array:
    return reference_slack(FMT) * parts(ball)[1].astype(float)


def test_the_code_is_plain() -> None:
    path = Path(plain_numpy.__file__)
    imported = [
        ast.unparse(n)
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, (ast.Import, ast.ImportFrom))
    ]
    assert imported == ["import numpy as np"]
    assert len(path.read_text().splitlines()) >= 40


def test_the_value_is_numpys() -> None:
    value, _ = value_and_grad(plain_numpy.energy)(PARAMS, SIGNAL)
    assert abs(value - plain_numpy.energy(PARAMS, SIGNAL)) <= 2 * bound(energy(*balls(LEAVES)))


@pytest.mark.parametrize("seed", range(5))
def test_forward_mode(seed: int) -> None:
    v = directions(seed)
    found = jvp(energy, LEAVES, v)[1]
    reach = bound(jvp(energy, balls(LEAVES), balls(v))[1])
    expected = complex_step(energy, LEAVES, v)
    assert abs(found - expected) <= 2 * reach
    assert reach <= 1e-9 * abs(expected)  # sharp enough to mean something
    assert abs(found - expected) <= 1e-14 * abs(expected)  # the last digits, of sixteen


def test_reverse_mode_element_by_element() -> None:
    argnums = tuple(range(len(LEAVES)))
    found = grad(energy, argnums)(*LEAVES)
    reach = [bound(b) for b in grad(energy, argnums)(*balls(LEAVES))]
    worst, size = 0.0, max(np.abs(g).max() for g in found)
    for k, x in enumerate(LEAVES):
        for place in np.ndindex(x.shape):
            v = [np.zeros(z.shape) for z in LEAVES]
            v[k][place] = 1.0
            off = abs(found[k][place] - complex_step(energy, LEAVES, v))
            assert off <= 2 * reach[k][place]
            worst = max(worst, off)
    assert worst <= 1e-14 * size * 8  # the last digits


def test_a_planted_slip_of_a_millionth_is_caught() -> None:
    # The comparison above can fail: the same, with 1 in a million too much of one path.
    def slipped(*leaves: Array) -> Array:
        return energy(leaves[0] * (1 + 1e-6), *leaves[1:])

    v = directions(0)
    reach = bound(jvp(energy, balls(LEAVES), balls(v))[1])
    assert abs(jvp(slipped, LEAVES, v)[1] - complex_step(energy, LEAVES, v)) > 2 * reach


def test_the_gradient_has_the_structure_of_the_parameters() -> None:
    gradient = grad(plain_numpy.energy)(PARAMS, SIGNAL)
    assert {k: g.shape for k, g in gradient.items()} == {k: x.shape for k, x in PARAMS.items()}
    flat = grad(energy, tuple(range(len(LEAVES))))(*LEAVES)
    assert all(np.array_equal(a, b) for a, b in zip(gradient.values(), flat, strict=False))


def test_jacobians_by_both_modes() -> None:
    def f(signal: Array) -> Any:
        return plain_numpy.features(PARAMS, signal)

    forward, reverse = jacfwd(f)(SIGNAL), jacrev(f)(SIGNAL)
    assert forward["ends"].shape == (2, 2, 2, 7)
    for place in np.ndindex(SIGNAL.shape):
        v = np.zeros(SIGNAL.shape)
        v[place] = 1.0
        expected = complex_step(lambda x: f(x)["ends"], (SIGNAL,), (v,))
        _, ball = jvp(lambda x: f(x)["ends"], (exact(SIGNAL, FMT),), (exact(v, FMT),))
        for found in (forward, reverse):
            assert np.all(np.abs(found["ends"][(..., *place)] - expected) <= 4 * bound(ball))
    for a, b in zip(flatten(forward)[0], flatten(reverse)[0], strict=True):
        assert np.allclose(a, b, rtol=1e-12, atol=1e-15)


def test_second_order_against_differences_of_the_gradient() -> None:
    v = directions(3)
    argnums = tuple(range(len(LEAVES)))
    found = hvp(energy, LEAVES, v)
    for k, h in enumerate(found):
        expected, error = differences(
            lambda *xs, k=k: grad(energy, argnums)(*xs)[k], LEAVES, v, step=2.0**-7, noise=1e-18
        )
        assert np.all(np.abs(h - expected) <= error + 1e-12 * np.max(np.abs(expected)))
        assert np.all(error <= 1e-8 * np.max(np.abs(expected)))


def test_the_recorded_graph_tells_the_same() -> None:
    g = Graph.record(energy, *LEAVES)
    g.forward(*LEAVES)
    found = list(g.backward().values())
    expected = grad(energy, tuple(range(len(LEAVES))))(*LEAVES)
    assert all(np.allclose(a, b, rtol=1e-13, atol=1e-16) for a, b in zip(found, expected, strict=True))
    assert len(g.nodes) > 150


def test_float32_stays_float32() -> None:
    narrow = [x.astype(np.float32) for x in LEAVES]
    found = grad(energy, tuple(range(len(LEAVES))))(*narrow)
    assert {g.dtype for g in found} <= {np.dtype(np.float32), np.dtype(np.float64)}
    assert all(g.dtype == x.dtype for g, x in zip(found, narrow, strict=True))
