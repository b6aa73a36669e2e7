"""What every op on whole arrays must satisfy: shared by the tests of reductions, scans, shapes, indices and sorting."""

import numpy as np

from refgrad import grad, jvp, vjp
from refgrad.numeric import differences
from refgrad.op import REGISTRY

# Differences in long double are good to about 1e-12 for these moderate functions; where long double is double, to about 1e-8.
PRECISION = 1e-10 if np.finfo(np.longdouble).eps < 1e-18 else 1e-6


def close(a, b):
    """Whether two derivatives agree to the precision of the third judge."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, (a.shape, b.shape)
    return bool(np.all(np.abs(a - b) <= PRECISION * (1 + np.abs(b))))


def confirm(name, seeds=range(60)):
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
    y, y_dot = jvp(f, xs, xs_dot)
    assert np.array_equal(y, op.forward(*xs, **params))
    expected, _ = differences(f, xs, xs_dot)
    assert close(y_dot, expected), (xs, params)

    y_bar = rng.standard_normal(np.shape(y))
    x_bars = vjp(f, *xs)[1](y_bar)
    assert close(np.sum(y_bar * y_dot), sum(np.sum(b * d) for b, d in zip(x_bars, xs_dot, strict=True))), (
        xs,
        params,
    )
    for k, (x, x_bar) in enumerate(
        zip(xs, x_bars, strict=True)
    ):  # the VJP alone, along a direction of its own
        direction = [np.zeros(np.shape(v)) for v in xs]
        direction[k] = rng.standard_normal(np.shape(x))
        along, _ = differences(f, xs, direction)
        assert close(np.sum(x_bar * direction[k]), np.sum(along * y_bar)), (xs, params)

    def pulled(*a):
        return vjp(f, *a)[1](y_bar)

    _, forward_over_reverse = jvp(pulled, xs, xs_dot)
    reverse_over_forward = grad(lambda *a: np.sum(jvp(f, a, xs_dot)[1] * y_bar), tuple(range(len(xs))))(*xs)
    for k, (h, g) in enumerate(zip(forward_over_reverse, reverse_over_forward, strict=True)):
        second, _ = differences(lambda *a, k=k: vjp(f, *a)[1](y_bar.astype(np.longdouble))[k], xs, xs_dot)
        assert close(h, second), (xs, params)
        assert close(g, second), (xs, params)
    return np.size(y) + sum(np.size(x) for x in xs)


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
