"""NumPy functions on traced arrays: the values of plain NumPy, the derivatives of the third judge, clear refusals."""

import numpy as np
import pytest

from refgrad import grad, jvp, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, DtypeError, NoRuleError, TracingError
from refgrad.tracing.ball import exact
from tests.function_checks import in_any_nesting, values_and_derivatives

A = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])  # distinct elements
B = np.array([[1.1, 0.2, -0.9], [-2.2, 0.3, 1.7]])
V = np.array([0.5, -1.5, 2.5])
C = np.arange(24.0).reshape(2, 3, 4) / 7 - 1.1
NAN = np.array([[1.0, np.nan, 2.5], [np.nan, -3.0, 0.5]])
ROWS = np.array([[0, 2, 1], [1, 1, 0]])

CASES = {
    # reductions and scans, by keyword and by position
    "sum": (lambda a: np.sum(a, 1, None, None, True), [A]),
    "sum dtype": (lambda a: np.sum(a, axis=0, dtype=np.float64), [A.astype(np.float32)]),
    "sum where": (lambda a: np.sum(a, where=a > 0, initial=2.0), [A]),
    "method sum": (lambda a: a.sum(axis=-1, keepdims=True), [A]),
    "add.reduce": (lambda a: np.add.reduce(a, axis=(0, 2), keepdims=True), [C]),
    "multiply.reduce": (np.multiply.reduce, [A]),
    "maximum.reduce": (lambda a: np.maximum.reduce(a, axis=1), [A]),
    "mean": (lambda a: np.mean(a, axis=(0, 2)), [C]),
    "mean where": (lambda a: a.mean(where=np.abs(A) > 0.5), [A]),
    "prod": (lambda a: np.prod(a, axis=0, initial=2.0), [A]),
    "max": (lambda a: np.max(a, 1), [A]),
    "amin": (lambda a: np.amin(a, axis=0, keepdims=True), [A]),
    "max where": (lambda a: np.max(a, where=B > 0, initial=0.0), [A]),
    "ptp": (lambda a: np.ptp(a, axis=1), [A]),
    "var": (lambda a: np.var(a, 1, ddof=1), [A]),
    "var correction": (lambda a: np.var(a, correction=1), [A]),
    "std": (lambda a: np.std(a, axis=0, keepdims=True), [A]),
    "method std": (lambda a: a.std(axis=1), [A]),
    "average": (lambda a, w: np.average(a, axis=1, weights=w), [A, np.abs(B)]),
    "average weights 1-d": (lambda a, w: np.average(a, axis=1, weights=w), [A, np.abs(V)]),
    "average returned": (lambda a: np.average(a, returned=True)[1], [A]),
    "average keepdims": (lambda a: np.average(a, axis=0, keepdims=True), [A]),
    "median": (np.median, [A]),
    "median axis": (lambda a: np.median(a, axis=1, keepdims=True), [A]),
    "median axes": (lambda a: np.median(a, axis=(0, 2)), [C]),
    "quantile": (lambda a: np.quantile(a, [0.1, 0.6], axis=1), [A]),
    "percentile": (lambda a: np.percentile(a, 30), [A]),
    "cumsum": (np.cumsum, [A]),
    "cumprod": (lambda a: np.cumprod(a, 1), [A]),
    "method cumsum": (lambda a: a.cumsum(axis=0), [A]),
    "diff": (lambda a: np.diff(a, n=2), [A]),
    "diff edges": (lambda a, b: np.diff(a, axis=0, prepend=0.0, append=b), [A, B]),
    "ediff1d": (lambda a: np.ediff1d(a, to_end=[1.0], to_begin=0.0), [A]),
    "trapezoid": (np.trapezoid, [A, V]),
    "trapezoid dx": (lambda a: np.trapezoid(a, dx=0.5, axis=0), [A]),
    "cross": (np.cross, [A, B]),
    "cross axis": (lambda a, b: np.cross(a, b, axis=0), [A.T, B.T]),
    "sum initial": (lambda a, v: np.sum(a, axis=1, initial=v[0], where=B > 0), [A, V]),
    "max initial": (lambda a, v: a.max(initial=v[2]), [A, V]),
    "nanmin initial": (lambda a, v: np.nanmin(a, axis=1, initial=v[0]), [NAN, V]),
    "var mean": (lambda a, v: np.var(a, axis=1, mean=v[:2, None], ddof=v[0], where=B > -1), [A, V]),
    "nanstd mean": (lambda a, v: np.nanstd(a, 1, mean=v[:2, None], correction=v[0]), [NAN, V]),
    "trace": (lambda a: np.trace(a, 1, 1, 2), [C]),
    "method trace": (lambda a: a.trace(), [A]),
    # NaN skipped
    "nansum": (lambda a: np.nansum(a, axis=0), [NAN]),
    "nanprod": (lambda a: np.nanprod(a, axis=1), [NAN]),
    "nanmean": (lambda a: np.nanmean(a, axis=1), [NAN]),
    "nanvar": (lambda a: np.nanvar(a, axis=1), [NAN]),
    "nanstd": (lambda a: np.nanstd(a, axis=1, ddof=1), [NAN]),
    "nanmax": (lambda a: np.nanmax(a, axis=0), [NAN]),
    "nanmin": (np.nanmin, [NAN]),
    "nancumsum": (lambda a: np.nancumsum(a, 1), [NAN]),
    "nancumprod": (lambda a: np.nancumprod(a, 1), [NAN]),
    # shapes
    "reshape": (lambda a: np.reshape(a, (3, -1)), [A]),
    "reshape order": (lambda a: np.reshape(a, 6, order="C"), [A]),
    "reshape F": (lambda a: np.reshape(a, (3, 2), order="F"), [A]),
    "ravel F": (lambda a: np.ravel(a, order="F"), [A]),
    "flatten F": (lambda a: a.flatten("F"), [A]),
    "ravel K": (lambda a: a.T.ravel("K"), [A]),
    "copy F": (lambda a: np.copy(a, order="F"), [A]),
    "einsum dtype": (
        lambda a: np.einsum("ij->j", a, dtype=np.float64, casting="unsafe", order="F"),
        [A.astype(np.float32)],
    ),
    "einsum lists": (lambda a, b: np.einsum(a, [0, 1], b, [2, 1], [2, 0], optimize=True), [A, B]),
    "method reshape": (lambda a: a.reshape(3, 2), [A]),
    "ravel": (np.ravel, [A]),
    "transpose": (np.transpose, [C]),
    "transpose axes": (lambda a: np.transpose(a, (1, 0, -1)), [C]),
    "permute_dims": (lambda a: np.permute_dims(a, (2, 0, 1)), [C]),
    "matrix_transpose": (np.matrix_transpose, [C]),
    "T": (lambda a: a.T, [C]),
    "mT": (lambda a: a.mT, [C]),
    "swapaxes": (lambda a: np.swapaxes(a, 0, -1), [C]),
    "moveaxis": (lambda a: np.moveaxis(a, [0, 1], [-1, 0]), [C]),
    "moveaxis one": (lambda a: np.moveaxis(a, 0, -1), [C]),
    "rollaxis": (lambda a: np.rollaxis(a, 2, 1), [C]),
    "squeeze": (lambda a: np.squeeze(a[None, :, None]), [A]),
    "squeeze axis": (lambda a: np.squeeze(a[None, :, None], axis=(0, -2)), [A]),
    "expand_dims": (lambda a: np.expand_dims(a, (0, -1)), [A]),
    "atleast_1d": (lambda a: np.atleast_1d(a[0, 0]), [A]),
    "atleast_2d": (np.atleast_2d, [V]),
    "atleast_3d": (np.atleast_3d, [A]),
    "broadcast_to": (lambda a: np.broadcast_to(a, (4, 2, 3)), [A]),
    "broadcast_arrays": (lambda a, v: np.broadcast_arrays(a, v)[1], [A, V]),
    "fliplr": (np.fliplr, [A]),
    "flipud": (np.flipud, [A]),
    "flip": (np.flip, [A]),
    "roll": (lambda a: np.roll(a, (1, -1), axis=(0, 1)), [A]),
    "roll flat": (lambda a: np.roll(a, 2), [A]),
    "rot90": (np.rot90, [A]),
    "rot90 twice": (lambda a: np.rot90(a, 2), [A]),
    "rot90 back": (lambda a: np.rot90(a, -1, (1, 2)), [C]),
    "tile": (lambda a: np.tile(a, (2, 1, 3)), [A]),
    "tile less": (lambda a: np.tile(a, 2), [A]),
    "repeat": (lambda a: np.repeat(a, 3, axis=1), [A]),
    "repeat each": (lambda a: np.repeat(a, [1, 0, 2], axis=-1), [A]),
    "repeat flat": (lambda a: np.repeat(a, 2), [A]),
    "resize": (lambda a: np.resize(a, (3, 3)), [A]),
    "astype": (lambda a: a.astype(np.longdouble) * 2, [A]),
    "copy": (np.copy, [A]),
    # joining and splitting
    "concatenate": (lambda a, b: np.concatenate([a, b, A], axis=1), [A, B]),
    "concatenate flat": (lambda a, b: np.concatenate((a, b), axis=None), [A, V]),
    "concatenate dtype": (lambda a: np.concatenate([a, a], dtype=np.float64), [A]),
    "stack": (lambda a, b: np.stack([a, b, np.ones((2, 3))], axis=-1), [A, B]),
    "stack numbers": (lambda a: np.stack([a[0], 2.0, a[2]]), [V]),
    "vstack": (lambda a, v: np.vstack([a, v]), [A, V]),
    "hstack": (lambda a, v: np.hstack([a, v]), [V, V]),
    "hstack 2-d": (lambda a, b: np.hstack([a, b]), [A, B]),
    "dstack": (lambda a, b: np.dstack([a, b]), [A, B]),
    "column_stack": (lambda a, v: np.column_stack([a, v]), [A, np.array([3.0, 4.0])]),
    "append": (lambda a, b: np.append(a, b, axis=0), [A, B]),
    "block": (lambda a, b: np.block([[a, b], [b, np.zeros((2, 3))]]), [A, B]),
    "array_split": (lambda a: np.array_split(a, 2, axis=1)[1], [A]),
    "split": (lambda a: np.split(a, [1, 2], axis=1)[1], [A]),
    "hsplit": (lambda a: np.hsplit(a, 3)[2], [A]),
    "vsplit": (lambda a: np.vsplit(a, 2)[0], [A]),
    "dsplit": (lambda a: np.dsplit(a, 2)[1], [C]),
    "pad": (lambda a: np.pad(a, ((1, 0), (0, 2)), constant_values=2.0), [A]),
    "pad width": (lambda a: np.pad(a, 1), [A]),
    "pad edge": (lambda a: np.pad(a, 2, mode="edge"), [A]),
    "pad wrap": (lambda a: np.pad(a, (1, 2), mode="wrap"), [A]),
    "pad reflect": (lambda a: np.pad(a, ((0, 1), (2, 1)), mode="reflect"), [A]),
    "pad symmetric": (lambda a: np.pad(a, 1, "symmetric"), [A]),
    "meshgrid": (lambda a, b: np.meshgrid(a, b)[0] * np.meshgrid(a, b)[1], [V, A[0]]),
    "meshgrid ij": (lambda a, b: np.meshgrid(a, b, indexing="ij", sparse=True)[1], [V, A[0]]),
    # choosing
    "take": (lambda a: np.take(a, [[0, 2], [2, 2]], axis=1), [A]),
    "take flat": (lambda a: np.take(a, 4), [A]),
    "take clip": (lambda a: np.take(a, [5, -7], mode="clip"), [A]),
    "take wrap": (lambda a: a.take([7, -8], mode="wrap"), [A]),
    "take_along_axis": (lambda a: np.take_along_axis(a, ROWS, axis=1), [A]),
    "take_along_axis flat": (lambda a: np.take_along_axis(a, np.array([1, 5]), axis=None), [A]),
    "compress": (lambda a: np.compress([True, False, True], a, axis=1), [A]),
    "extract": (lambda a: np.extract(A > 0, a), [A]),
    "diagonal": (lambda a: np.diagonal(a, -1, 2, 1), [C]),
    "diag": (np.diag, [A]),
    "diag of a vector": (lambda v: np.diag(v, -1), [V]),
    "diagflat": (lambda a: np.diagflat(a, 1), [A]),
    "tril": (lambda a: np.tril(a, 1), [C]),
    "triu": (np.triu, [A]),
    "sort": (np.sort, [A]),
    "sort flat": (lambda a: np.sort(a, axis=None), [A]),
    "unique": (np.unique, [A]),
    "delete": (lambda a: np.delete(a, [0, 2], axis=1), [A]),
    "insert": (lambda a, v: np.insert(a, 1, v, axis=0), [A, V]),
    "insert flat": (lambda a, v: np.insert(a, [1, 3, 3], v), [A, V]),
    "insert number": (lambda a: np.insert(a, 2, 9.0), [A]),
    "insert column": (lambda a: np.insert(a, 1, 5.0, axis=1), [A]),
    # sums over bins
    "histogram weights": (
        lambda w: np.histogram([0.5, 2.0, 1.0, 9.0], [0.0, 1.0, 2.0], None, None, np.append(w, 1.0))[0],
        [V],
    ),
    "histogram density": (lambda a, w: np.histogram(a, 3, density=True, weights=w)[0], [A, np.abs(B)]),
    "histogram range": (lambda a, r: np.histogram(a, 2, (r[1], r[2]), density=True)[0], [A, V]),
    "histogram edges": (lambda a: np.histogram(a, 3)[1], [A]),
    "histogram of one number": (lambda a: np.histogram(a[0, :1], 2)[1], [A]),
    "histogram_bin_edges": (lambda a: np.histogram_bin_edges(a, 4), [A]),
    "histogramdd": (lambda a: np.histogramdd(a.T, 2, density=True)[0], [A]),
    "histogramdd edges": (lambda a: np.histogramdd([a[0], a[1]], [2, 3])[1][1], [A]),
    "histogram2d": (lambda a: np.histogram2d(a[0], a[1], [[-2.0, 1.0, 3.0], 2], density=True)[0], [A]),
    "histogram2d range": (
        lambda a, r: np.histogram2d(a[0], A[1], 2, ((r[1], r[2]), (r[1], 2.5)), True)[0],
        [A, V],
    ),
    "ix_": (lambda a: np.ix_(a[0], [1, 0])[0] * np.ones(2), [A]),
    "full_like": (lambda a: np.full_like(a, a[0, 1], shape=(2, 2)) * np.full_like(a[0, :2], a[1, :2]), [A]),
    # indices
    "getitem": (lambda a: a[..., [0, 0, 2]][1:, None], [A]),
    "iteration": (lambda a: sum(row**2 for row in a), [A]),
}
if hasattr(np, "unstack"):
    CASES["unstack"] = (lambda a: np.unstack(a, axis=1)[2], [C])
if hasattr(np, "cumulative_sum"):
    CASES["cumulative_sum"] = (lambda a: np.cumulative_sum(a, axis=1, include_initial=True), [A])
    CASES["cumulative_prod"] = (np.cumulative_prod, [V])
if hasattr(np, "astype"):
    CASES["np.astype"] = (lambda a: np.astype(a, np.float64), [A])


def same(a, b):
    """Equal in shape, dtype and every element, NaN to NaN."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=b.dtype.kind == "f")


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    values_and_derivatives(*CASES[name])


@pytest.mark.parametrize("name", [n for n in CASES if "dtype" not in n and "astype" not in n])
def test_in_any_nesting(name):
    in_any_nesting(*CASES[name])


VALUES = {
    "shape": np.shape, "ndim": np.ndim, "size": np.size, "argmax": lambda a: np.argmax(a, axis=1), "argmin": np.argmin,
    "argsort": np.argsort, "all": lambda a: np.all(a > 0, axis=0), "any": np.any, "count_nonzero": np.count_nonzero,
    "isclose": lambda a: np.isclose(a, A), "allclose": lambda a: np.allclose(A, a), "array_equal": lambda a: np.array_equal(a, A),
    "array_equiv": lambda a: np.array_equiv(a, A), "result_type": lambda a: np.result_type(a, np.float32),
    "iscomplexobj": np.iscomplexobj, "isrealobj": np.isrealobj, "nonzero": np.nonzero, "flatnonzero": np.flatnonzero,
    "argwhere": np.argwhere, "searchsorted": lambda a: np.searchsorted(np.arange(3.0), a), "argpartition": lambda a: np.argpartition(a, 1),
    "digitize": lambda a: np.digitize(a, [0.0, 1.0]), "isin": lambda a: np.isin(a, [0.7]), "nanargmax": np.nanargmax,
    "method argmax": lambda a: a.argmax(), "unique indices": lambda a: np.unique(a, return_inverse=True)[1],
    "average of weights": lambda a: np.average(np.ones(3), returned=True)[1], "array_repr": np.array_repr,
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_what_has_no_derivative_sees_plain_values(name):
    function, seen = VALUES[name], []

    def f(a):
        seen.append(function(a))
        return np.sum(a)

    for transform in (
        lambda: grad(f)(A),
        lambda: jvp(f, (A,), (A,)),
        lambda: grad(lambda a: np.sum(grad(f)(a)))(A),
    ):
        transform()
    expected = function(A)
    for got in seen:
        if isinstance(expected, tuple) and expected and isinstance(expected[0], np.ndarray):
            assert all(np.array_equal(g, e) for g, e in zip(got, expected, strict=True))
        else:
            assert type(got) is type(expected)
            assert np.array_equal(got, expected)


def test_median_and_quantile_of_nan():
    x = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 4.0]])
    y, _ = jvp(lambda a: np.median(a, axis=1), (x,), (np.ones((2, 3)),))
    assert np.array_equal(y, [np.nan, 2.0], equal_nan=True)


REFUSALS = {
    "out": (lambda a: np.sum(a, out=np.zeros(())), TracingError, "out="),
    "out of take": (lambda a: np.take(a, 0, None, np.zeros(())), TracingError, "out="),
    "out of concatenate": (lambda a: np.concatenate([a, a], out=np.zeros((4, 3))), TracingError, "out="),
    "copyto": (lambda a: np.copyto(np.zeros((2, 3)), a), TracingError, "like=x"),
    "quantile of nothing": (lambda a: np.quantile(a[:0], 0.5), ArgumentError, "no elements"),
    "axis": (lambda a: np.swapaxes(a, 0, 5), np.exceptions.AxisError, "5"),
    "squeeze": (lambda a: np.squeeze(a, 0), ValueError, "not equal to one"),
    "stack": (lambda a: np.stack([a, a[0]]), ValueError, "same shape"),
    "split": (lambda a: np.split(a, 2, axis=1), ValueError, "equal division"),
    "expand_dims": (lambda a: np.expand_dims(a, (0, 0)), ValueError, "repeated"),
    "diag": (lambda a: np.diag(a[None]), ValueError, "1- or 2-d"),
    "add.at": (
        lambda a: np.add.at(np.zeros(3), [0, 1, 1], a[0]),
        TracingError,
        "to a plain array.*like=x",
    ),
    "add.at of too many rows": (lambda a: np.add.at(a, [0, 2], 1.0), IndexError, "out of bounds"),
    "bincount of floats": (lambda a: np.bincount(a[0]), TypeError, "safe"),
    "bincount of a list": (
        lambda a: np.bincount([a[0, 0], a[0, 1]]),
        TypeError,
        r"np\.bincount: .*pass integers",
    ),
    "bincount lengths": (lambda a: np.bincount([0, 1], a[0]), ValueError, "same length"),
    "histogram shapes": (lambda a: np.histogram(A, 2, weights=a[0]), ValueError, "same shape"),
    "order of a norm": (lambda a: np.linalg.norm(a[0], a[0, 0]), NoRuleError, "in p"),
    "complex": (
        lambda a: (1j * a).astype(float),
        DtypeError,
        "astype from complex128 to float64 would drop the imaginary part",
    ),
    "objects": (lambda a: np.sum(a, dtype=object), DtypeError, "astype to object"),
    "select": (lambda a: np.select([a], [a]), DtypeError, "condition 0 has dtype float64"),
    "no rule": (lambda a: np.packbits(a[0]), NoRuleError, "packbits"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_say_what_to_do(name):
    f, error, message = REFUSALS[name]
    with pytest.raises(error, match=message):
        jvp(f, (A,), (A,))


@pytest.mark.parametrize(
    ("a", "bins", "limits", "density"),
    [
        (A, 5, None, None), (A, "auto", None, True), (np.zeros(0), 3, None, None), (np.full(4, 2.0), 3, None, None),
        ([1, 2, 2, 5], 4, None, None), (A, 3, (0.5, 0.5), None), (A, [-1.0, 0.0, 0.5, 3.0], None, True), (A, 2, (-1.0, 1.0), True),
    ],
)  # fmt: skip
def test_a_histogram_is_numpys(a, bins, limits, density):
    x = np.asarray(a, float)
    (counts, edges), _ = vjp(lambda z: np.histogram(z, bins, limits, density), x)
    due = np.histogram(x, bins, limits, density)
    assert same(counts, due[0])
    assert same(edges, due[1])
    assert same(vjp(lambda z: np.histogram_bin_edges(z, bins, limits), x)[0], due[1])


def test_bincount_is_linear_in_its_weights():
    w, places = np.array([0.1, -1.5, 2.5]), np.array([2, 0, 2])

    def f(v):
        return np.bincount(places, weights=v, minlength=4)

    y, y_dot = jvp(f, (w,), (3 * w,))
    assert same(y, f(w))
    assert same(y_dot, f(3 * w))
    y_bar = np.array([1.0, 2.0, 3.0, 4.0])
    assert np.array_equal(vjp(f, w)[1](y_bar)[0], y_bar[places])
    assert np.array_equal(
        grad(lambda v: np.sum(grad(lambda z: np.sum(f(z) ** 3))(v)))(w),
        (6 * f(w) * f(np.ones(len(w))))[places],
    )
    ball = f(exact(w, FORMATS["float32"]))
    assert ball.radius[2] > 0
    for order in (slice(None), slice(None, None, -1)):
        told = np.zeros(4, np.float32)
        np.add.at(told, places[order], w[order].astype(np.float32))
        assert np.all(np.abs(told - ball.value) <= ball.radius + np.abs(f(w.astype(np.float32)) - f(w)))


def test_bincount_of_nothing():
    nothing = np.zeros(0, int)
    y, pullback = vjp(lambda v: np.bincount(nothing, weights=v, minlength=2), np.zeros(0))
    assert same(y, np.bincount(nothing, weights=np.zeros(0), minlength=2))
    assert pullback(np.ones(2))[0].shape == (0,)


def test_a_descending_sort_has_nan_last() -> None:
    from refgrad.functions.choosing import sort  # NumPy has the keyword from 2.5 on

    x = np.array([3.0, np.nan, 1.0, 2.0])
    value, pullback = vjp(lambda x: sort(x, descending=True), x)
    assert np.array_equal(value, [3.0, 2.0, 1.0, np.nan], equal_nan=True)
    assert pullback(np.array([1.0, 2.0, 3.0, 4.0]))[0].tolist() == [1.0, 4.0, 3.0, 2.0]


@pytest.mark.filterwarnings("ignore")
def test_histograms_of_several_variables_are_numpys():
    rng = np.random.default_rng(4)
    compared = 0
    for _ in range(60):
        n, d = int(rng.integers(0, 9)), int(rng.integers(1, 4))
        x, w = np.round(rng.standard_normal((n, d)), 1), rng.random(n)
        steps = np.array([-1.0, 0.0, 0.5, 2.0])
        bins = [3, [2] * d, [steps] * d, [2, *[steps] * (d - 1)]][rng.integers(4)]
        limits = [None, [(-1.0, 1.0)] * d, [None] * (d - 1) + [(-0.5, 2.0)]][rng.integers(3)]
        density, weights = bool(rng.integers(2)), [None, w][rng.integers(2)]

        def f(x, bins=bins, limits=limits, density=density, weights=weights):
            counts, edges = np.histogramdd(x, bins, limits, density, weights)
            return [counts, *edges]

        for got, due in zip(vjp(f, x)[0], f(x), strict=True):
            compared += due.size
            assert same(got, due)
    assert compared > 500
    x, w = A.T, np.abs(V)
    y, y_dot = jvp(lambda w: np.histogramdd(x, 2, weights=w)[0], (w,), (V,))
    assert same(y, np.histogramdd(x, 2, weights=w)[0])
    assert same(y_dot, np.histogramdd(x, 2, weights=V)[0])  # linear in the weights
