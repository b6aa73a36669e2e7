"""Convolutions: values by their definition as a sum, derivatives by the third judge, shapes at the edges, errors by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, DtypeError
from refgrad.op import REGISTRY
from refgrad.tracing.ball import exact, parts
from tests.nn.derivative_checks import check_derivatives

CONV = {1: nn.conv1d, 2: nn.conv2d, 3: nn.conv3d}
TRANSPOSED = {1: nn.conv_transpose1d, 2: nn.conv_transpose2d, 3: nn.conv_transpose3d}
GEOMETRIES = {  # input, weight, parameters
    "plain": ((2, 3, 7), (4, 3, 3), {}),
    "a kernel of 1": ((2, 3, 5), (4, 3, 1), {}),
    "one channel": ((1, 1, 5), (1, 1, 2), {"padding": 1}),
    "a stride above the kernel": ((2, 2, 9), (2, 2, 2), {"stride": 4}),
    "dilated, padded, in groups": (
        (2, 4, 8),
        (6, 2, 3),
        {"stride": 2, "padding": 2, "dilation": 2, "groups": 2},
    ),
    "depthwise": ((2, 3, 6), (3, 1, 3), {"padding": 1, "groups": 3}),
    "same": ((2, 2, 6), (3, 2, 4), {"padding": "same"}),
    "same, dilated": ((1, 2, 7), (3, 2, 2), {"padding": "same", "dilation": 3}),
    "valid": ((2, 2, 6), (3, 2, 4), {"padding": "valid", "stride": 2}),
    "padding beyond the kernel": ((1, 2, 3), (2, 2, 2), {"padding": 3}),
    "two axes": ((2, 2, 5, 6), (3, 2, 3, 2), {"stride": (1, 2), "padding": (1, 0), "dilation": (1, 2)}),
    "two axes in groups": ((2, 4, 4, 4), (4, 2, 3, 3), {"stride": 2, "padding": 1, "groups": 2}),
    "three axes": ((1, 2, 3, 4, 3), (2, 2, 2, 2, 2), {"stride": (1, 2, 1), "padding": (1, 0, 1)}),
    "no batch axis": ((3, 7), (4, 3, 3), {"padding": 1}),
}
OF_TRANSPOSED = {
    "plain": ((2, 3, 4), (3, 2, 3), {}),
    "a kernel of 1": ((2, 3, 5), (3, 4, 1), {}),
    "one channel": ((1, 1, 5), (1, 1, 2), {"padding": 1}),
    "a stride above the kernel": ((2, 2, 3), (2, 2, 2), {"stride": 4}),
    "output_padding": ((2, 2, 3), (2, 3, 3), {"stride": 3, "padding": 1, "output_padding": 2}),
    "output_padding below the dilation": ((2, 2, 3), (2, 3, 3), {"dilation": 3, "output_padding": 2}),
    "dilated, padded, in groups": (
        (2, 4, 4),
        (4, 3, 3),
        {"stride": 2, "padding": 2, "dilation": 2, "groups": 2},
    ),
    "two axes": ((2, 2, 3, 2), (2, 3, 3, 2), {"stride": (1, 2), "padding": (1, 0), "output_padding": (0, 1)}),
    "three axes": ((1, 2, 2, 2, 2), (2, 2, 2, 2, 2), {"stride": (1, 2, 1), "padding": (1, 0, 1)}),
    "no batch axis": ((3, 4), (3, 4, 3), {"padding": 1}),
}


def axes_of(weight):
    return len(weight) - 2


def drawn(*shapes):
    rng = np.random.default_rng(sum(map(sum, shapes)))
    return [rng.integers(-8, 9, shape) / 4 for shape in shapes]  # sums of products are exact


def tuples(params, axes):
    full = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0} | params
    return {k: (v,) * axes if isinstance(v, int) and k != "groups" else v for k, v in full.items()}


def by_definition(x, w, stride, padding, dilation, groups, output_padding):
    """Element by element: padding with zeros, then one sum of products for each place."""
    if padding == "valid":
        padding = [0] * len(stride)
    if padding == "same":
        whole = [d * (k - 1) for d, k in zip(dilation, w.shape[2:], strict=True)]
        pairs = [(n // 2, n - n // 2) for n in whole]
    else:
        pairs = [(p, p) for p in padding]
    x = np.pad(x, [(0, 0), (0, 0), *pairs])
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    places = [range(0, n - span + 1, s) for n, span, s in zip(x.shape[2:], spans, stride, strict=True)]
    y = np.zeros((x.shape[0], w.shape[0], *map(len, places)))
    inner, outer = w.shape[1], w.shape[0] // groups
    for n, o in itertools.product(range(x.shape[0]), range(w.shape[0])):
        group = x[n, o // outer * inner : (o // outer + 1) * inner]
        for at in itertools.product(*map(enumerate, places)):
            cut = [slice(p, p + span, d) for (_, p), span, d in zip(at, spans, dilation, strict=True)]
            y[(n, o, *[k for k, _ in at])] = np.sum(group[(slice(None), *cut)] * w[o])
    return y


def transposed_by_definition(x, w, stride, padding, dilation, groups, output_padding):
    """Element by element: each adds its multiple of the weight at its place."""
    kernel = w.shape[2:]
    whole = [
        s * (n - 1) + d * (k - 1) + 1 + m
        for n, k, s, d, m in zip(x.shape[2:], kernel, stride, dilation, output_padding, strict=True)
    ]
    inner, outer = x.shape[1] // groups, w.shape[1]
    y = np.zeros((x.shape[0], outer * groups, *whole))
    for n, c in itertools.product(range(x.shape[0]), range(x.shape[1])):
        group = slice(c // inner * outer, (c // inner + 1) * outer)
        for at in np.ndindex(*x.shape[2:]):
            cut = [
                slice(s * p, s * p + d * (k - 1) + 1, d)
                for p, k, s, d in zip(at, kernel, stride, dilation, strict=True)
            ]
            y[(n, group, *cut)] += x[(n, c, *at)] * w[c]
    return y[(..., *[slice(p, n - p) for p, n in zip(padding, whole, strict=True)])]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_values_of_convolutions(name):
    shape, weight, params = GEOMETRIES[name]
    x, w, b = drawn(shape, weight, weight[:1])
    axes = axes_of(weight)
    expected = by_definition(x.reshape(-1, *shape[-axes - 1 :]), w, **tuples(params, axes))
    expected = expected + b.reshape(-1, *[1] * axes)
    found = CONV[axes](x, w, b, **params)
    assert found.ndim == x.ndim
    assert np.array_equal(found, expected.reshape(found.shape))
    if params.get("padding") == "same":
        assert found.shape[-axes:] == x.shape[-axes:]


@pytest.mark.parametrize("name", OF_TRANSPOSED)
def test_values_of_transposed_convolutions(name):
    shape, weight, params = OF_TRANSPOSED[name]
    axes = axes_of(weight)
    x, w, b = drawn(shape, weight, (weight[1] * params.get("groups", 1),))
    expected = transposed_by_definition(x.reshape(-1, *shape[-axes - 1 :]), w, **tuples(params, axes))
    expected = expected + b.reshape(-1, *[1] * axes)
    found = TRANSPOSED[axes](x, w, b, **params)
    assert found.ndim == x.ndim
    assert np.array_equal(found, expected.reshape(found.shape))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_derivatives_of_convolutions(name):
    shape, weight, params = GEOMETRIES[name]
    f = CONV[axes_of(weight)]
    assert check_derivatives(lambda x, w, b: f(x, w, b, **params), *drawn(shape, weight, weight[:1]))


@pytest.mark.parametrize("name", OF_TRANSPOSED)
def test_derivatives_of_transposed_convolutions(name):
    shape, weight, params = OF_TRANSPOSED[name]
    f = TRANSPOSED[axes_of(weight)]
    operands = drawn(shape, weight, (weight[1] * params.get("groups", 1),))
    assert check_derivatives(lambda x, w, b: f(x, w, b, **params), *operands)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(dtype):
    x, w, b = [a.astype(dtype) for a in drawn((2, 3, 5), (4, 3, 2), (4,))]
    assert nn.conv1d(x, w, b).dtype == dtype
    assert nn.conv_transpose1d(x, w.swapaxes(0, 1), b).dtype == dtype


def test_an_empty_batch():
    x, w, b = np.zeros((0, 3, 5, 5)), np.ones((4, 3, 3, 3)), np.ones(4)
    assert nn.conv2d(x, w, b).shape == (0, 4, 3, 3)
    assert nn.conv_transpose2d(x, w.swapaxes(0, 1), b).shape == (0, 4, 7, 7)


def test_large_batches_are_computed_in_parts():
    rng = np.random.default_rng(3)
    x, w = rng.integers(-4, 5, (40, 16, 34, 34)) / 4, rng.integers(-4, 5, (8, 16, 3, 3)) / 4
    found = nn.conv2d(x, w, padding=1)
    assert np.array_equal(found[17:18], nn.conv2d(x[17:18], w, padding=1))
    wide = nn.conv_transpose2d(found, w, padding=1)
    assert np.array_equal(wide[17:18], nn.conv_transpose2d(found[17:18], w, padding=1))


X, W = np.ones((2, 4, 6)), np.ones((6, 2, 3))
REFUSED = {
    "another number of dimensions": (
        lambda: nn.conv1d(np.ones((2, 4)), np.ones((6, 4, 3))),
        r"weight of shape \(o, 2, k1\)",
    ),
    "four dimensions": (
        lambda: nn.conv1d(np.ones((2, 4, 6, 6)), W),
        r"\(n, c, d1\) or \(c, d1\).*\(2, 4, 6, 6\)",
    ),
    "channels of the weight": (
        lambda: nn.conv1d(X, W),
        r"weight of shape \(o, 4, k1\).*got shape \(6, 2, 3\)",
    ),
    "groups and the input": (
        lambda: nn.conv1d(X, W, groups=3),
        "groups=3 must divide the number of input channels, which is 4",
    ),
    "groups and the output": (
        lambda: nn.conv1d(X, np.ones((5, 2, 3)), groups=2),
        "output channels, which is 5",
    ),
    "no groups": (lambda: nn.conv1d(X, W, groups=0), "groups must be an integer of at least 1, got 0"),
    "a stride of 0": (
        lambda: nn.conv1d(X, W, stride=0, groups=2),
        "stride must be an integer of at least 1, got 0",
    ),
    "a stride of a half": (lambda: nn.conv1d(X, W, stride=0.5, groups=2), "stride must be an integer"),
    "three strides": (
        lambda: nn.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), stride=(1, 2, 3)),
        "or 2 of them",
    ),
    "a negative padding": (
        lambda: nn.conv1d(X, W, padding=-1, groups=2),
        "padding must be an integer of at least 0, got -1",
    ),
    "another word": (lambda: nn.conv1d(X, W, padding="full", groups=2), '"valid", "same" or a number'),
    "same with a stride": (
        lambda: nn.conv1d(X, W, padding="same", stride=2, groups=2),
        'padding="same" needs stride 1',
    ),
    "a window that is too long": (
        lambda: nn.conv1d(X, W, dilation=3, groups=2),
        r"spans 7 elements \(kernel 3, dilation 3\).*6",
    ),
    "a bias": (lambda: nn.conv1d(X, W, np.ones(4), groups=2), r"bias must have shape \(6,\), got \(4,\)"),
    "no channels": (lambda: nn.conv1d(np.ones((2, 0, 6)), np.ones((6, 0, 3))), "only the batch may be empty"),
    "no kernel": (lambda: nn.conv1d(X, np.ones((6, 4, 0))), "weight of shape"),
    "a transposed weight": (lambda: nn.conv_transpose1d(X, W), r"weight of shape \(4, o/groups, k1\)"),
    "output_padding": (
        lambda: nn.conv_transpose1d(X, np.ones((4, 2, 3)), output_padding=1),
        "smaller than the stride or the dilation",
    ),
    "nothing left": (lambda: nn.conv_transpose1d(X, np.ones((4, 2, 1)), padding=3), "would have shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()


def test_complex_numbers_are_refused():
    with pytest.raises(DtypeError, match="complex128"):
        nn.conv1d(X.astype(complex), W, groups=2)


def test_an_infinite_weight_at_the_padding_is_nan_or_skipped() -> None:
    """Kernels multiply the padding or skip it. An element that a window reads is multiplied by all of them."""
    fmt = FORMATS["float32"]
    x, w = np.array([0.25]).reshape(1, 1, 1), np.array([np.inf, 1.0, np.nan]).reshape(1, 1, 3)
    how = {"stride": (1,), "padding": ((2, 2),), "dilation": (1,), "groups": 1}
    value, radius = parts(REGISTRY["conv"](exact(x, fmt), exact(w, fmt), **how))
    assert np.isnan(value).all()
    assert np.isnan(radius[0, 0, 0])  # a number times NaN
    assert np.isinf(radius[0, 0, 1:]).all()
