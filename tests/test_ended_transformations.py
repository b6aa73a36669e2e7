"""Traced arrays that outlive their transformation, or reach another thread, are refused; legal uses of outer ones are not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import TracingError

Array = Any
X = np.array([0.5, -1.5, 2.0])


def custom(fwd: Callable[..., Any], bwd: Callable[..., Any]) -> Any:
    f = rg.custom_vjp(lambda x: fwd(x)[0])
    f.defvjp(fwd, bwd)
    return f


# --- what outlives its transformation ------------------------------------------------------------------------------------

MODES: dict[str, Callable[[Any], Any]] = {
    "grad": lambda f: rg.grad(lambda x: np.sum(f(x)))(X),
    "vjp": lambda f: rg.vjp(f, X),
    "jvp": lambda f: rg.jvp(f, (X,), (X,)),
    "jacfwd": lambda f: rg.jacfwd(f)(X),
    "jacrev": lambda f: rg.jacrev(f)(X),
    "hessian": lambda f: rg.hessian(lambda x: np.sum(f(x)))(X),
    "jvp of grad": lambda f: rg.jvp(rg.grad(lambda x: np.sum(f(x))), (X,), (X,)),
    "grad of jvp": lambda f: rg.grad(lambda x: rg.jvp(lambda z: np.sum(f(z)), (x,), (x,))[1])(X),
}
OUTLIVED = "used after the function that .* has returned"


def outlived(run: Callable[[Any], Any]) -> Array:
    """An array that a transformation traced, kept after its end."""
    found: list[Array] = []
    run(lambda z: (found.append(z * 1.0), z * z)[1])
    return found[-1]


USES: dict[str, Callable[[Array], Any]] = {
    "an op": np.sin,
    "an operator": lambda z: 2.0 * z,
    "in place": lambda z: z.__iadd__(1.0),
    "an element": lambda z: z[0],
    "a reduction": np.sum,
    "a constant of grad": lambda z: rg.grad(lambda x: np.sum(x * z))(X),
    "a constant of jvp": lambda z: rg.jvp(lambda x: x * z, (X,), (X,)),
    "added up in grad": lambda z: rg.grad(lambda x: np.sum(x + z))(X),
    "the result of grad": lambda z: rg.value_and_grad(lambda x: z)(X),
    "a result of vjp": lambda z: rg.vjp(lambda x: (x, z), X),
    "a result of jvp": lambda z: rg.jvp(lambda x: [x, z], (X,), (X,)),
    "the argument of grad": rg.grad(lambda x: np.sum(x * x)),
    "the argument of a constant": rg.grad(lambda x: 1.0),
    "the argument of the identity": lambda z: rg.vjp(lambda x: x, z),
    "the argument of vjp": lambda z: rg.vjp(lambda x: x * x, z),
    "the argument of jvp": lambda z: rg.jvp(lambda x: x * x, (z,), (X,)),
    "a tangent": lambda z: rg.jvp(lambda x: x * x, (X,), (z,)),
    "a tangent of the identity": lambda z: rg.jvp(lambda x: x, (X,), (z,)),
    "a cotangent of the identity": rg.vjp(lambda x: x, X)[1],
    "a cotangent": rg.vjp(lambda x: x * x, X)[1],
    "of a custom function": custom(lambda x: (x * x, x), lambda r, g: (2 * r * g,)),
    "in a nested grad": lambda z: rg.grad(lambda x: np.sum(rg.grad(lambda y: np.sum(y * z))(x)))(X),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("mode", MODES)
def test_a_traced_array_that_outlives_its_transformation_is_refused(mode: str, use: str) -> None:
    z = outlived(MODES[mode])
    with pytest.raises(TracingError, match=OUTLIVED):
        USES[use](z)


@pytest.mark.parametrize("mode", MODES)
def test_a_traced_array_of_a_function_that_raised_is_refused(mode: str) -> None:
    found: list[Array] = []

    def f(z: Array) -> Array:
        found.append(z)
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        MODES[mode](f)
    with pytest.raises(TracingError, match=OUTLIVED):
        np.sin(found[-1])


@pytest.mark.parametrize("inner", ["grad", "jvp", "vjp"])
def test_an_inner_traced_array_is_refused_in_the_outer_function(inner: str) -> None:
    def leaking(x: Array) -> Array:
        found: list[Array] = []
        g = lambda z: (found.append(z), np.sum(z**3))[1]  # noqa: E731
        {"grad": rg.grad(g), "vjp": lambda x: rg.vjp(g, x), "jvp": lambda x: rg.jvp(g, (x,), (x,))}[inner](x)
        return np.sum(x * found[0])

    for run in (
        lambda: rg.grad(leaking)(X),
        lambda: rg.jvp(leaking, (X,), (X,)),
        lambda: rg.hessian(leaking)(X),
    ):
        with pytest.raises(TracingError, match=OUTLIVED):
            run()


def test_an_inner_traced_array_is_no_result_of_the_outer_function() -> None:
    def f(x: Array) -> Array:
        found: list[Array] = []
        rg.grad(lambda z: (found.append(z), z * z)[1])(x)
        return found[0]

    for run in (lambda: rg.grad(f)(2.0), lambda: rg.vjp(f, 2.0), lambda: rg.jvp(f, (2.0,), (1.0,))):
        with pytest.raises(TracingError, match=OUTLIVED):
            run()


def test_what_a_finished_array_says_without_a_derivative_is_plain() -> None:
    z = outlived(MODES["grad"])
    assert np.argmax(z) == 2
    assert np.array_equal(z > 0, X > 0)
    assert z.shape == (3,)


def test_legal_uses_of_arrays_of_other_transformations() -> None:
    assert rg.grad(lambda x: rg.grad(lambda z: z * z * x)(3.0))(2.0) == 6.0  # a closure over an outer array
    assert np.array_equal(rg.grad(lambda x: np.sum(rg.grad(lambda z: np.sum(x))(X) + x))(X), np.ones(3))
    _, pullback = rg.vjp(lambda x: x**3, 2.0)
    assert rg.grad(lambda c: pullback(c)[0])(1.0) == 12.0  # a pullback inside another transformation
    assert rg.jvp(lambda c: pullback(c)[0], (1.0,), (1.0,)) == (12.0, 12.0)

    def again(x: Array, depth: int = 3) -> Array:
        return x * x if depth == 0 else x * rg.grad(lambda z: again(z, depth - 1))(x)

    # x d/dx of c x^n is n c x^n: x^2 becomes 2 x^2, 4 x^2, 8 x^2.
    assert rg.grad(again)(3.0) == 16 * 3.0


def test_the_pullback_of_an_inner_vjp_ends_with_the_outer_function() -> None:
    found: list[Any] = []

    def f(x: Array) -> Array:
        y, pullback = rg.vjp(lambda z: np.sin(z) * z, x)
        found.append(pullback)
        return np.sum(y)

    rg.grad(f)(X)
    with pytest.raises(TracingError, match=OUTLIVED):
        found[0](np.ones(3))


def test_the_argument_of_a_transposed_rule_ends_with_the_rule() -> None:
    found: list[Any] = []
    f = custom(lambda x: (x * x, x), lambda r, g: (found.append(g), (2 * r * g,))[1])
    assert np.array_equal(rg.jvp(f, (X,), (np.ones(3),))[1], 2 * X)
    with pytest.raises(TracingError, match=OUTLIVED):
        found[0] * 2.0


def test_another_thread_cannot_record() -> None:
    errors: list[BaseException] = []

    def f(x: Array, op: Callable[[Array], Any]) -> Array:
        def work() -> None:
            try:
                op(x)
            except TracingError as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return np.sum(x * x)

    ops: list[Callable[[Array], Any]] = [
        np.sin, lambda x: x * 2.0, lambda x: 2.0 - x, lambda x: x * x, np.sum, lambda x: x + np.zeros((2, 3)),
        custom(lambda x: (x, None), lambda r, g: (g,)),
    ]  # fmt: skip
    for op in ops:
        errors.clear()
        with pytest.raises(TracingError, match=r"caught an error of refgrad and went on.*another thread"):
            rg.grad(lambda x: f(x, op))(X)  # noqa: B023
        assert len(errors) == 1
        assert "another thread" in str(errors[0])


def test_threads_differentiate_each_for_itself() -> None:
    results: dict[int, Any] = {}

    def work(k: int) -> None:
        w = np.full(20_000, float(k))
        for _ in range(20):
            gradient = rg.grad(lambda x: np.sum(np.sin(x) * w))(np.zeros(20_000))
        results[k] = gradient

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(results[k], np.full(20_000, float(k))) for k in range(4))
