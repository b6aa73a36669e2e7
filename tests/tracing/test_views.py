"""Programs that write in place have the value and the derivatives that they have in NumPy: names, views, copies and scalars."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, TracingError
from refgrad.numeric import differences
from refgrad.tracing.ball import exact

Array = Any
X = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])
V = np.array([[0.3, 0.8, -0.5], [1.1, -0.2, 0.6]])
W = np.arange(1.0, 7.0).reshape(2, 3)


def agrees(f: Callable[[Array], Array], x: Array = X, v: Array = V) -> None:
    """The value is NumPy's. Both modes agree with differences of the plain program, so do second derivatives with those of the first."""

    def plain(x: Array) -> Array:
        return f(np.array(x))

    y, y_dot = rg.jvp(f, (x,), (v,))
    value, gradient = rg.value_and_grad(f)(x)
    assert y == value == plain(x)
    expected, _ = differences(plain, (x,), (v,))
    assert np.allclose(y_dot, expected, rtol=1e-7, atol=1e-9)
    assert np.allclose(np.sum(gradient * v), y_dot, rtol=1e-12, atol=1e-14)
    second, _ = differences(rg.grad(f), (x,), (v,))
    assert np.allclose(rg.hvp(f, (x,), (v,))[0], second, rtol=1e-6, atol=1e-8)


VIEWS: dict[str, Callable[[Array], Array]] = {
    "x[0]": lambda x: x[0], "x.T": lambda x: x.T, "x.reshape": lambda x: x.reshape(-1), "x.ravel": lambda x: x.ravel(),
    "np.reshape": lambda x: np.reshape(x, (3, 2)), "np.transpose": np.transpose, "x.swapaxes": lambda x: x.swapaxes(0, 1),
    "np.squeeze": lambda x: np.squeeze(x[None]), "np.ravel": np.ravel, "np.expand_dims": lambda x: np.expand_dims(x, 0),
    "np.moveaxis": lambda x: np.moveaxis(x, 0, 1), "np.flip": np.flip, "np.flipud": np.flipud, "np.rot90": np.rot90,
    "np.diagonal": np.diagonal, "np.atleast_3d": np.atleast_3d, "np.split": lambda x: np.split(x, 2)[0],
    "np.array_split": lambda x: np.array_split(x, 2, 1)[0], "np.broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "np.rollaxis": lambda x: np.rollaxis(x, 1), "np.swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "x.diagonal": lambda x: x.diagonal(), "x.mT": lambda x: x.mT, "row of rows": lambda x: list(x)[1],
    "np.diag": np.diag, "np.einsum": lambda x: np.einsum("ij->ji", x), "diagonal by einsum": lambda x: np.einsum("ii->i", x[:, :2]),
}  # fmt: skip


READ_ONLY = {"np.diag", "np.diagonal", "x.diagonal", "np.broadcast_to"}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("side", ["the view", "the array"])
def test_a_view_and_its_array_change_together(name: str, side: str) -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        view = VIEWS[name](y)
        if side == "the view":
            view *= view
        else:
            y *= W
        return np.sum(y**2 * W) + np.sum(view**3)

    if side == "the view" and name in READ_ONLY:
        with pytest.raises(ValueError, match="read-only"):
            f(X)
        with pytest.raises(ArgumentError, match=r"read-only, as in NumPy.*x = x.copy\(\)"):
            rg.grad(f)(X)
    else:
        agrees(f)


COPIES: dict[str, Callable[[Array], Array]] = {
    "list": lambda x: x[[0, 1]], "mask": lambda x: x[x > 0], "copy": lambda x: x.copy(), "flatten": lambda x: x.flatten(),
    "np.copy": np.copy, "+x": lambda x: +x, "reshape of a transpose": lambda x: x.T.reshape(-1), "astype": lambda x: x.astype(float),
    "element": lambda x: x[0, 1], "np.roll": lambda x: np.roll(x, 1), "take": lambda x: x.take([0, 1]),
    "concatenate": lambda x: np.concatenate([x]), "repeat": lambda x: np.repeat(x, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("side", ["the copy", "the array"])
def test_a_copy_keeps_its_own(name: str, side: str) -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        copy = COPIES[name](y)
        if side == "the copy":
            copy *= 3.0
        else:
            y *= W
        return np.sum(y**2 * W) + np.sum(copy**3)

    agrees(f)


def test_a_scalar_is_bound_anew() -> None:
    def f(x: Array) -> Array:
        s, seen = x[0, 0] * 0.0, []
        for v in x[0]:
            s += v
            seen.append(s)
        return seen[0] * seen[1] * seen[2]

    agrees(f)


def test_an_array_without_axes_is_no_scalar() -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        corner = y[0, 0, ...]
        other = corner
        other += 2.0
        other *= y[1, 1]
        assert isinstance(other, np.ndarray)
        assert other is corner
        return np.sum(y**2 * W) * corner

    agrees(f)


def test_views_of_views_with_writes_in_between() -> None:
    def f(x: Array) -> Array:
        y = x.copy()
        grid = y.reshape(3, 2)
        grid.T[0] *= 2 * y[1, 2]
        turned = grid[:, ::-1]
        turned[..., 0] = y[0, 0] ** 2
        grid[0] = 7.0
        y[-1] += turned[0, 0]
        for row in grid:
            row -= row[0] * 0.5
        return np.sum(y**2 * W) + np.sum(turned**3)

    agrees(f)


def test_a_view_outlives_its_array() -> None:
    def f(x: Array) -> Array:
        y = x * 2.0
        view, rest = y[0], y[:, 1:]
        del y
        gc.collect(1)  # of young objects, as these are
        view *= rest[1, 0]
        return np.sum(view**2) + np.sum(rest**2 * W[:, 1:])

    agrees(f)


def test_assignment() -> None:
    def f(x: Array) -> Array:
        y = x.copy()
        # Of two for one element the last one counts.
        y[[0, 0, 1], [1, 1, 2]] = np.stack([x[0, 0], x[1, 1], x[0, 2]])
        y[y > 1.5] *= x[1, 1]
        y[:, 0] = 3
        y[1:, 1:] = y[:1, :2] ** 2
        y[0, 2:] = x[None, 1, 0]
        return np.sum(y**2 * W)

    agrees(f)


def test_what_is_overwritten_has_no_gradient() -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        y[...] = 2.0
        return np.sum(y)

    assert np.array_equal(rg.grad(f)(X), np.zeros((2, 3)))


def test_a_ufunc_may_write_to_a_traced_array() -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        view = y[:, 1]
        assert np.multiply(y, x, out=y) is y
        np.sin(y[0], out=y[1])
        return np.sum(y**2 * W) + np.sum(view)

    agrees(f)


def test_what_was_written_may_change_afterwards() -> None:
    def f(x: Array) -> Array:
        y, z = x * 1.0, x * x
        view = y[0]
        np.conjugate(z, out=y)
        z *= 3.0
        view -= 0.5
        return np.sum(y**2 * W) + np.sum(z)

    agrees(f)


def test_a_scalar_over_balls_is_bound_anew() -> None:
    s = exact(np.float32(0.5), FORMATS["float32"])
    first = s
    s += 1.0
    assert isinstance(first, np.float32)
    assert (first.value, s.value) == (0.5, 1.5)


def test_in_place_keeps_the_dtype() -> None:
    x = X.astype(np.float32)

    def f(x: Array) -> Array:
        y = x * np.float32(1)
        y *= W
        y[0] = X[1]
        return y

    y, y_dot = rg.jvp(f, (x,), (V.astype(np.float32),))
    assert y.dtype == y_dot.dtype == np.float32
    assert np.array_equal(y, f(x))


def test_what_the_tape_has_seen_stays_as_it_was() -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        view = y[0]
        before = np.sum(y**2) * np.sum(view)
        y *= W
        view -= 1.0
        return before + np.sum(y**2)

    agrees(f)


def test_bounds_hold_after_a_write() -> None:
    def f(x: Array) -> Array:
        y = x / 3
        view = y[0]
        view *= x[1]
        y += x
        return y

    x = X.astype(np.float32)
    balls = exact(x, FORMATS["float32"])
    y = f(balls)
    assert np.all(np.abs(f(x) - y.value) <= y.radius)
    assert balls.radius is None


@pytest.mark.parametrize("wrong", [np.ones(4), np.ones((3, 3))])
def test_a_value_that_does_not_fit(wrong: Array) -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        y[0] = wrong
        return np.sum(y)

    with pytest.raises(ArgumentError, match=r"x\[...\] = value.*does not fit into a place of shape \(3,\)"):
        rg.grad(f)(X)


def test_an_outer_array_cannot_hold_an_inner_result() -> None:
    def f(x: Array) -> Array:
        y = x * 1.0

        def inner(z: Array) -> Array:
            y[0] = z
            return np.sum(y)

        return np.sum(rg.grad(inner)(x[0]))

    with pytest.raises(
        TracingError, match="result of an inner transformation into an array that belongs to an outer one"
    ):
        rg.grad(f)(X)


def test_what_a_rule_of_a_user_returned_as_its_argument_cannot_be_written_to() -> None:
    same = rg.custom_vjp(lambda x: x)
    same.defvjp(lambda x: (x, None), lambda kept, y_bar: (2 * y_bar,))

    def f(x: Array, side: str) -> Array:
        y = x * 1.0
        z = same(y)
        if side == "argument":
            y += 1.0
        else:
            z += 1.0
        return np.sum(y) + np.sum(z)

    for side in ("argument", "result"):
        with pytest.raises(TracingError, match=r"function with a derivative of its own.*return a copy"):
            rg.grad(f)(X, side)


def test_a_scalar_has_no_elements_to_write_to() -> None:
    def f(x: Array) -> Array:
        s = x[0, 0]
        s[()] = 1.0
        return s

    for call in (f, rg.grad(f)):
        with pytest.raises(TypeError, match="does not support item assignment"):
            call(X)


def test_a_number_that_was_broadcast_is_read_only() -> None:
    def f(x: Array) -> Array:
        y = np.broadcast_to(x[0, 0], (3,))
        y *= 2.0
        return np.sum(y)

    for call in (f, rg.grad(f)):
        with pytest.raises(ValueError, match="read-only"):
            call(X)


def test_a_shape_may_change_after_its_use() -> None:
    def f(x: Array) -> Array:
        dims = [3, 2]
        y = x * 1.0
        view = y.reshape(dims)
        dims[0] = 17
        y *= W
        return np.sum(view**2)

    agrees(f)


@pytest.mark.parametrize("view", [lambda y: y.ravel(), lambda y: y.reshape(1, 1), lambda y: y[None, None]])
def test_a_view_with_axes_of_an_array_without(view: Callable[[Array], Array]) -> None:
    def f(x: Array) -> Array:
        y = x[0, 1, ...] * x[1]
        corner = y[0, ...]
        seen = view(corner)
        seen[...] *= 0.25
        seen += x[0, 0]
        return np.sum(y**2) * corner

    agrees(f)


RAVELED: dict[str, Callable[[Array], Array]] = {
    "all": lambda y: y.ravel(), "reversed": lambda y: y[0, ::-1].ravel(), "every other": lambda y: np.ravel(y[0, ::2]),
    "columns": lambda y: y.T.ravel(), "flipped": lambda y: np.ravel(np.flip(y[0])), "reversed, reshaped": lambda y: y[0, ::-1].reshape(-1),
    "every other, reshaped": lambda y: y[0, ::2].reshape(1, -1), "diagonal": lambda y: np.diagonal(y).ravel(),
    "lower diagonal": lambda y: np.diag(y.T, -1).ravel("F"), "windows": lambda y: sliding_window_view(y[0], 2).ravel(),
    "windows, reshaped": lambda y: sliding_window_view(y, (1, 2)).reshape(-1),
}  # fmt: skip


@pytest.mark.parametrize("name", RAVELED)
def test_ravel_copies_where_numpy_does(name: str) -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        flat = RAVELED[name](y)
        flat *= flat
        return np.sum(y**2 * W) + np.sum(flat)

    agrees(f)


def test_an_array_keeps_its_layout() -> None:
    def f(x: Array) -> Array:
        y = x[..., np.array([2, 0, 1])]  # laid out as a transposed array
        y += x
        flat = y.ravel()  # a copy, therefore
        y *= 0.5
        return np.sum(flat**2) + np.sum(y**2 * W)

    agrees(f)


def test_a_view_without_its_array_keeps_its_layout() -> None:
    def f(x: Array) -> Array:
        y = (x * 2.0)[:, ::-1]
        y *= x
        flat = y.ravel()
        y *= 0.5
        return np.sum(flat**2) + np.sum(y**2 * W)

    agrees(f)


def test_many_short_lived_views_are_forgotten() -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        for _ in range(200):
            y[0] += y[1] * 0.01
        assert len(y._shared.memory.members) < 20
        return np.sum(y**2 * W)

    rg.grad(f)(X)
