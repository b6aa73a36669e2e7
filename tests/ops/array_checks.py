"""What every op on whole arrays must satisfy: shared by the tests of reductions, scans, shapes, indices and sorting."""

import numpy as np

from refgrad import jvp, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY
from tests.within import assert_within, balls_of, lost_in, slopes


def confirm(name, seeds=range(40)):
    """Value, tangent, cotangent and second derivatives of an op at many draws of its domain."""
    op = REGISTRY[name]
    elements = 0
    for seed in seeds:
        rng = np.random.default_rng([seed, len(name)])
        xs, params = op.domain.sample(rng, len(op.signature.operands))
        elements += _confirm_one(op, xs, params, rng)
    assert elements > 100


def _confirm_one(op, xs, params, rng):
    def f(*a):
        return op(*a, **params)

    xs_dot = tuple([rng.standard_normal(np.shape(x)) for x in xs])
    balls, dots = balls_of(xs, "float64"), balls_of(xs_dot, "float64")
    y, y_dot = jvp(f, xs, xs_dot)
    assert np.array_equal(y, op.forward(*xs, **params))
    y_bar = rng.standard_normal(np.shape(y))
    (seed,) = balls_of([y_bar], "float64")
    (y_ball, y_dot_ball), x_bar_balls = jvp(f, balls, dots), vjp(f, *balls)[1](seed)
    noise = lost_in(f, xs, y_ball)
    assert_within(y_dot, y_dot_ball, f"tangent {params}")
    expected, error = slopes(f, xs, xs_dot, noise)
    assert_within(expected, y_dot_ball, f"tangent {params}", error)

    for k, (x, x_bar) in enumerate(zip(xs, vjp(f, *xs)[1](y_bar), strict=True)):
        assert_within(x_bar, x_bar_balls[k], f"cotangent {k} {params}")
        direction = [np.zeros(np.shape(v)) for v in xs]
        direction[k] = rng.standard_normal(np.shape(x))  # the VJP alone, along a direction of its own
        along, error = slopes(f, xs, direction, noise)
        told = np.sum(x_bar_balls[k] * balls_of([direction[k]], "float64")[0])
        assert_within(
            np.sum(along * y_bar),
            told,
            f"cotangent {k} {params}",
            np.sum(np.abs(y_bar) * error) + _summed(along * y_bar),
        )

    def pulled(y_bar, *a):
        return vjp(f, *a)[1](y_bar)

    forward_over_reverse = jvp(lambda *a: pulled(seed, *a), balls, dots)[1]
    reverse_over_forward = vjp(lambda *a: jvp(f, a, dots)[1], *balls)[1](seed)
    for k, (h, g) in enumerate(zip(forward_over_reverse, reverse_over_forward, strict=True)):
        second, error = slopes(lambda *a, k=k: pulled(y_bar.astype(np.longdouble), *a)[k], xs, xs_dot)
        assert_within(second, h, f"forward over reverse {params}", error)
        assert_within(second, g, f"reverse over forward {params}", error)
    return np.size(y) + sum(np.size(x) for x in xs)


def _summed(terms):
    """What rounding may do to a sum of float64 numbers, in any order."""
    return np.size(terms) * FORMATS["float64"].u * np.sum(np.abs(terms))


def confirm_special(name):
    """At special points the value is as recorded and our own derivative lies in the acceptable set, in both modes."""
    op = REGISTRY[name]
    for special in op.special:
        xs = tuple([np.asarray(x, float) for x in special.at])
        params = dict(special.params)
        with np.errstate(all="ignore"):
            y, pullback = vjp(lambda *a, params=params: op(*a, **params), *xs)
            assert np.array_equal(y, special.value, equal_nan=True), special.why
            x_bars = pullback(np.ones(np.shape(y)))
            for k, (x, x_bar, allowed) in enumerate(zip(xs, x_bars, special.allowed, strict=True)):
                if allowed is None:
                    continue
                low, high = allowed
                assert np.all(x_bar >= low), special.why
                assert np.all(x_bar <= high), special.why
                for place in np.ndindex(x.shape):
                    unit = [np.zeros(v.shape) for v in xs]
                    unit[k][place] = 1.0
                    _, y_dot = jvp(lambda *a, params=params: op(*a, **params), xs, tuple(unit))
                    assert np.allclose(np.sum(y_dot), x_bar[place], rtol=1e-14, atol=0), special.why
