"""Scientific programs in NumPy: buffers that are filled, lists of values, scattered sums. test_scientific.py judges them.

Each is a function of floating-point arrays and returns one array. It computes in the dtype of its arguments, so that long double can
confirm its derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def n_body(positions: Array, velocities: Array, masses: Array) -> Array:
    """Leapfrog of gravitating bodies; accelerations are summed pair by pair, and the trajectory is stored."""
    n, steps, h = len(masses), 3, 0.05

    def accelerations(x: Array) -> Array:
        acc = np.zeros_like(x)
        for i in range(n):
            for j in range(i + 1, n):
                d = x[j] - x[i]
                inverse = (np.sum(d * d) + 0.1) ** -1.5
                acc[i] += masses[j] * d * inverse
                acc[j] -= masses[i] * d * inverse
        return acc

    trajectory = np.empty((steps + 1, *positions.shape), positions.dtype, like=positions)
    trajectory[0] = positions
    v = velocities + 0.5 * h * accelerations(positions)
    for k in range(steps):
        trajectory[k + 1] = trajectory[k] + h * v
        v += h * accelerations(trajectory[k + 1])
    return trajectory[1:]


def hidden_markov(logits: Array, emissions: Array) -> Array:
    """The log-likelihood of a hidden Markov model by the forward recursion, with a table of messages."""
    transition = np.exp(logits) / np.sum(np.exp(logits), axis=1, keepdims=True)
    steps, states = emissions.shape
    alpha = np.zeros((steps, states), emissions.dtype, like=emissions)
    scale = np.zeros(steps, emissions.dtype, like=emissions)
    alpha[0] = np.exp(emissions[0]) / states
    scale[0] = np.sum(alpha[0])
    alpha[0] /= scale[0]
    for t in range(1, steps):
        for k in range(states):
            alpha[t, k] = np.exp(emissions[t, k]) * np.dot(alpha[t - 1], transition[:, k])
        scale[t] = alpha[t].sum()
        alpha[t] /= scale[t]
    return np.array([np.sum(np.log(scale)), *alpha[-1]])


def rotated(angles: Array, points: Array) -> Array:
    """Points turned by Euler angles; the matrices are written as nested lists."""
    a, b, c = angles
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(b), 0.0, np.sin(b)], [0.0, 1.0, 0.0], [-np.sin(b), 0.0, np.cos(b)]])
    about_x = np.asarray([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
    return points @ (about_z @ about_y @ about_x).T


def finite_elements(nodes: Array, conductivity: Array) -> Array:
    """The temperature on a bar: linear elements, assembled with np.add.at, boundary values by overwritten rows."""
    n = len(nodes)
    elements = np.array([[k, k + 1] for k in range(n - 1)])
    stiffness, load = np.zeros((n, n), nodes.dtype, like=nodes), np.zeros_like(nodes)
    lengths = nodes[elements[:, 1]] - nodes[elements[:, 0]]
    local = (conductivity / lengths)[:, None, None] * np.array([[1.0, -1.0], [-1.0, 1.0]])
    np.add.at(stiffness, (elements[:, :, None], elements[:, None, :]), local)
    np.add.at(load, elements, np.stack([lengths, lengths], axis=1) / 2)
    stiffness[[0, -1]] = 0.0
    stiffness[[0, -1], [0, -1]] = 1.0
    load[[0, -1]] = np.array([0.0, nodes[-1]])
    return thomas(np.diag(stiffness, -1), np.diag(stiffness), np.append(np.diag(stiffness, 1), 0.0), load)


def runge_kutta(state: Array, rates: Array) -> Array:
    """Predator and prey by the classical method of fourth order, from a table of coefficients and a list of stages."""
    nodes = [[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]]
    weights = [1 / 6, 1 / 3, 1 / 3, 1 / 6]

    def slope(u: Array) -> Array:
        prey, predators = u
        return np.array(
            [
                rates[0] * prey - rates[1] * prey * predators,
                rates[2] * prey * predators - rates[3] * predators,
            ]
        )

    h, path = 0.1, [state]
    for _ in range(4):
        stages: list[Array] = []
        for row in nodes:
            shift = sum((a * k for a, k in zip(row, stages, strict=True)), np.zeros_like(state))
            stages.append(slope(path[-1] + h * shift))
        path.append(path[-1] + h * np.sum([w * k for w, k in zip(weights, stages, strict=True)], axis=0))
    return np.array(path)


def thomas(lower: Array, diagonal: Array, upper: Array, right: Array) -> Array:
    """A tridiagonal system by elimination in preallocated buffers."""
    n = len(diagonal)
    c, d = np.empty_like(diagonal), np.empty_like(diagonal)
    c[0], d[0] = upper[0] / diagonal[0], right[0] / diagonal[0]
    for k in range(1, n):
        pivot = diagonal[k] - lower[k - 1] * c[k - 1]
        c[k] = upper[k] / pivot if k < n - 1 else 0.0
        d[k] = (right[k] - lower[k - 1] * d[k - 1]) / pivot
    x = np.zeros(n, diagonal.dtype, like=diagonal)
    x[-1] = d[-1]
    for k in reversed(range(n - 1)):
        x[k] = d[k] - c[k] * x[k + 1]
    return x


def warped(image: Array, flow: Array) -> Array:
    """An image read at displaced places by bilinear interpolation; what falls outside is zero."""
    rows, columns = image.shape
    y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    y, x = y + flow[0], x + flow[1]
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    out = np.zeros_like(image)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (1 - np.abs(y - (top + dy))) * (1 - np.abs(x - (left + dx)))
            i, j = top + dy, left + dx
            inside = (i >= 0) & (i < rows) & (j >= 0) & (j < columns)
            out[inside] += weight[inside] * image[i[inside], j[inside]]
    return out


def b_spline(knots: Array, coefficients: Array, points: Array) -> Array:
    """A quadratic spline by the recursion of Cox and de Boor; divisions by empty intervals are masked."""
    degree, n = 2, len(coefficients)
    basis = np.array(
        [np.where((knots[k] <= points) & (points < knots[k + 1]), 1.0, 0.0) for k in range(n + degree)]
    )
    basis = np.asarray(basis, knots.dtype, like=knots).copy()
    for p in range(1, degree + 1):
        for k in range(n + degree - p):
            left, right = knots[k + p] - knots[k], knots[k + p + 1] - knots[k + 1]
            rising = np.divide(points - knots[k], left, out=np.zeros_like(points), where=left > 0)
            falling = np.divide(knots[k + p + 1] - points, right, out=np.zeros_like(points), where=right > 0)
            basis[k] = rising * basis[k] + falling * basis[k + 1]
    return np.dot(coefficients, basis[:n])


def deposited(places: Array, charges: Array) -> Array:
    """Charges of particles spread over a grid, and the largest contribution to each cell."""
    density, largest = np.zeros(5, charges.dtype, like=charges), np.full(5, -1.0, charges.dtype, like=charges)
    cell = np.floor(places).astype(int)
    share = places - cell
    np.add.at(density, cell, charges * (1 - share))
    np.add.at(density, cell + 1, charges * share)
    np.maximum.at(largest, cell, charges * share)
    np.multiply.at(density, [0, 0, 3], charges[:3])
    np.subtract.at(density, [1, 1], charges[:2] ** 2)
    return np.concatenate([density, np.maximum(largest, 0.0)])


def heat(temperature: Array, source: Array) -> Array:
    """Explicit steps of the heat equation between two buffers, with out= and views."""
    old, new, flux = temperature.copy(), np.zeros_like(temperature), np.zeros_like(temperature[1:])
    for _ in range(3):
        np.subtract(old[1:], old[:-1], out=flux)
        np.multiply(flux, 0.2, out=flux)
        new[:] = old
        new[:-1] += flux
        new[1:] -= flux
        np.add(new, source, out=new, where=np.arange(new.size) % 2 == 0)
        old, new = new, old
    np.cumsum(old, out=new)
    return np.append(new, [np.max([old[0], old[1]]), np.mean([old[0] ** 2, source[0], 3])])


def assembled_jacobian(lengths: Array, angles: Array) -> Array:
    """A planar arm: its end point from lists of numbers, and the determinant of its derivatives."""
    totals = [np.sum(angles[: k + 1]) for k in range(len(angles))]
    x = np.sum([length * np.cos(t) for length, t in zip(lengths, totals, strict=True)])
    y = np.sum([length * np.sin(t) for length, t in zip(lengths, totals, strict=True)])
    columns = [
        [
            -np.sum([length * np.sin(t) for length, t in zip(lengths[k:], totals[k:], strict=True)])
            for k in range(2)
        ],
        [
            np.sum([length * np.cos(t) for length, t in zip(lengths[k:], totals[k:], strict=True)])
            for k in range(2)
        ],
    ]
    return np.concatenate(
        [
            [x, y],
            [np.dot(columns[0], [columns[1][1], -columns[1][0]])],
            np.ravel(columns),
            np.hypot([x, 1.0], [y, 2.0]),
        ]
    )


def drawn(seed: int, *shapes: tuple[int, ...], low: float = 0.3, high: float = 1.7) -> tuple[Array, ...]:
    """Arguments without a pattern."""
    rng = np.random.default_rng(seed)
    return tuple([rng.uniform(low, high, shape) for shape in shapes])


PROGRAMS: dict[str, tuple[Any, tuple[Array, ...]]] = {
    "n-body": (n_body, drawn(1, (3, 2), (3, 2), (3,))),
    "hidden Markov model": (hidden_markov, drawn(2, (3, 3), (4, 3))),
    "rotations": (rotated, drawn(3, (3,), (2, 3))),
    "finite elements": (finite_elements, (np.array([0.0, 0.3, 0.7, 1.2, 1.6]), *drawn(4, (4,)))),
    "Runge-Kutta": (runge_kutta, drawn(5, (2,), (4,))),
    "tridiagonal": (thomas, (*drawn(6, (4,)), 3 + drawn(7, (5,))[0], *drawn(8, (5,), (5,)))),
    "image warp": (warped, drawn(9, (4, 5), (2, 4, 5))),
    "B-spline": (
        b_spline,
        (
            np.array([0.0, 0.0, 0.0, 0.9, 1.7, 2.6, 2.6, 2.6]),
            *drawn(10, (5,)),
            np.array([0.2, 1.1, 1.9, 2.4]),
        ),
    ),
    "particles": (deposited, (np.array([0.3, 0.6, 2.2, 3.1, 0.8]), *drawn(11, (5,)))),
    "heat": (heat, drawn(12, (6,), (6,))),
    "arm": (assembled_jacobian, drawn(13, (3,), (3,))),
}
