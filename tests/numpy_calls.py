"""A call of every NumPy function that accepts traced arrays, with floating-point numbers in each place that takes any.

``CALLS`` maps a function to examples, (args, kwargs). Each float and each floating-point array in them, in lists and tuples too, is a place
that tests may trace. ``INTEGRAL`` names the parameters that take shapes, axes, counts, flags, dtypes and words, in all functions or in one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
Example = tuple[tuple[Any, ...], dict[str, Any]]

A = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])
B = np.array([[1.1, 0.2, -0.9], [-2.2, 0.3, 1.7]])
V = np.array([0.5, -1.5, 2.5])
W = np.array([0.3, 1.2, 0.8])  # positive
U = np.array([1.3, 0.25, 0.4, 2.2])
T = np.arange(24.0).reshape(2, 3, 4) / 7 - 1.1
S = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.6], [-0.2, 0.7, 1.8]])
NAN = np.array([[1.0, np.nan, 2.5], [np.nan, -3.0, 0.5]])
MASK = np.array([[True, False, True], [True, True, False]])
SOME = np.array([True, False, True])
INDEX = np.array([2, 0, 1])

INTEGRAL = frozenset({
    "axis", "axes", "axis1", "axis2", "axisa", "axisb", "axisc", "out", "dtype", "keepdims", "order", "kind", "stable", "subok", "copy",
    "casting", "device", "mode", "method", "interpolation", "sparse", "indexing", "returned", "equal_nan", "return_index", "return_inverse",
    "return_counts", "sorted", "descending",
    "side", "right", "n", "k", "offset", "decimals", "shape", "newshape", "reps", "repeats", "shift", "new_shape",
    "source", "destination", "start", "include_initial", "density", "minlength", "max_work", "assume_unique", "invert", "overwrite_input",
    "optimize", "wrap", "indices_or_sections", "pad_width", "kth", "obj", "to", "from_", "sorter", "subscripts", "kwargs",
    "max_line_width", "precision", "suppress_small", "separator", "prefix", "formatter", "threshold", "edgeitems", "sign", "floatmode",
    "suffix", "legacy", "style", "numpy.linalg.matrix_norm: ord", "numpy.linalg.cond: p", "numpy.linalg.tensorinv: ind",
    "full_matrices", "compute_uv", "UPLO", "hermitian", "discont", "window_shape",
    "writeable", "edge_order", "N", "increasing", "left", "choose: a", "cov: ddof", "corrcoef: ddof", "more", "upper", "num", "endpoint",
    "retstep", "func1d", "func", "condlist", "args", "kw", "tol", "rowvar", "bias", "fweights", "varargs",
    "einsum_call", "return_indices", "polyder: m", "polyint: m", "trim",
    "norm", "s", "deg", "polyfit: full", "polyfit: cov",
})  # fmt: skip


def on(*args: Any, **kwargs: Any) -> Example:
    """One example."""
    return args, kwargs


CALLS: dict[Callable[..., Any], list[Example]] = {
    np.clip: [on(A, -0.5, W), on(A, min=V - 2, max=1.0)],
    np.round: [on(A)], np.around: [on(A, 1)], np.fix: [on(A)],
    np.nan_to_num: [on(NAN, nan=0.5, posinf=2.5, neginf=-2.5)],
    np.real: [on(A)],
    np.select: [on([A > 0, B > 0], [A, B], 0.5), on([A, B], [A, B])],
    np.isposinf: [on(A)], np.isneginf: [on(A)],
    np.take: [on(A, INDEX, 1), on(A, np.array([0.0, 1.0]))],
    np.take_along_axis: [on(A, np.array([[1, 0, 2]]), 1), on(A, np.array([[1.0, 0.0]]), 1)],
    np.compress: [on(SOME, A, 1), on(np.array([1.0, 0.0]), A, 0)],
    np.extract: [on(MASK, A), on(A, B)],
    np.diagonal: [on(A)], np.diag: [on(V)], np.diagflat: [on(A)], np.trace: [on(A)], np.tril: [on(A)], np.triu: [on(A)],
    np.sort: [on(A)], np.partition: [on(A, 1)], np.unique: [on(A), on(V, return_counts=True)],
    np.union1d: [on(A, V + 0.1)], np.intersect1d: [on(A, B)], np.setdiff1d: [on(A, V), on(V, W, True)],
    np.setxor1d: [on(A, V + 0.1), on(V, W, True)], np.unique_all: [on(A)], np.unique_counts: [on(A)], np.unique_inverse: [on(A)],
    np.unique_values: [on(A)], np.trim_zeros: [on(V), on(A[:, :2], "f")],
    np.delete: [on(A, 1, 1)], np.insert: [on(A, 1, V, axis=0)],
    np.copyto: [on(A.copy(), B), on(A.copy(), B, where=A)], np.put: [on(A.copy(), [1], 0.5), on(A.copy(), [1.0], [0.5])],
    np.put_along_axis: [on(A.copy(), np.array([[1, 0, 2]]), B, 1), on(A.copy(), np.array([[1.0]]), B, 1)],
    np.place: [on(A.copy(), MASK, V), on(A.copy(), A, V)],
    np.putmask: [on(A.copy(), MASK, V), on(A.copy(), A, V)], np.fill_diagonal: [on(S.copy(), 0.5)],
    np.concatenate: [on([A, B])], np.stack: [on([A, B])], np.vstack: [on([A, B])], np.hstack: [on([A, B])], np.dstack: [on([A, B])],
    np.column_stack: [on([A, B])], np.append: [on(A, V)], np.block: [on([[A, B], [B, A]])],
    np.array_split: [on(A, 2)], np.split: [on(A, 2)], np.hsplit: [on(A, 3)], np.vsplit: [on(A, 2)], np.dsplit: [on(T, 2)],
    np.pad: [on(A, 1, constant_values=0.5), on(A, 1, "linear_ramp", end_values=0.5), on(A, 1, "edge")],
    np.meshgrid: [on(V, W)],
    np.reshape: [on(A, (3, 2))], np.ravel: [on(A)], np.transpose: [on(A)], np.permute_dims: [on(A)], np.matrix_transpose: [on(A)],
    np.swapaxes: [on(A, 0, 1)], np.moveaxis: [on(A, 0, 1)], np.rollaxis: [on(A, 1)], np.squeeze: [on(A[None])],
    np.expand_dims: [on(A, 0)], np.atleast_1d: [on(A, V)], np.atleast_2d: [on(A, V)], np.atleast_3d: [on(A, V)],
    np.broadcast_to: [on(A, (2, 2, 3))], np.broadcast_arrays: [on(A, V)], np.fliplr: [on(A)], np.flipud: [on(A)], np.flip: [on(A)],
    np.rot90: [on(A)], np.tile: [on(A, 2)], np.repeat: [on(A, 2)], np.resize: [on(A, (3, 3))], np.roll: [on(A, 1)], np.copy: [on(A)],
    np.var: [on(A, ddof=0.5), on(A, correction=0.5), on(A, mean=np.mean(A), where=MASK), on(A, where=B)],
    np.std: [on(A, ddof=0.5), on(A, correction=0.5), on(A, mean=np.mean(A), where=MASK), on(A, where=B)],
    np.average: [on(A, weights=B + 3), on(A, 1, W, returned=True)],
    np.median: [on(A)], np.ptp: [on(A)],
    np.quantile: [on(A, 0.3), on(A, np.array([0.3, 0.7]), axis=1), on(V, 0.3, method="inverted_cdf", weights=W)],
    np.percentile: [on(A, 30.0), on(A, np.array([30.0, 70.0]), axis=1), on(V, 30.0, method="inverted_cdf", weights=W)],
    np.nanvar: [on(NAN, ddof=0.5), on(NAN, correction=0.5), on(NAN, mean=0.5, where=MASK), on(NAN, where=B)],
    np.nanstd: [on(NAN, ddof=0.5), on(NAN, correction=0.5), on(NAN, mean=0.5, where=MASK), on(NAN, where=B)],
    np.nansum: [on(NAN, initial=0.5, where=MASK), on(NAN, where=B)], np.nanprod: [on(NAN, initial=0.5, where=MASK), on(NAN, where=B)],
    np.nancumsum: [on(NAN)], np.nancumprod: [on(NAN)], np.nanmean: [on(NAN, where=MASK), on(NAN, where=B)],
    np.nanmax: [on(NAN, initial=0.5, where=MASK), on(NAN, initial=9.5), on(NAN, initial=0.5, where=B)],
    np.nanmin: [on(NAN, initial=0.5, where=MASK), on(NAN, initial=-9.5), on(NAN, initial=0.5, where=B)],
    np.sum: [on(A, initial=0.5, where=MASK), on(A, where=B)], np.prod: [on(A, initial=0.5, where=MASK), on(A, where=B)],
    np.mean: [on(A, where=MASK), on(A, where=B)],
    np.max: [on(A, initial=9.5, where=MASK), on(A, initial=0.5, where=B)], np.min: [on(A, initial=-9.5), on(A, initial=0.5, where=B)],
    np.amax: [on(A, initial=9.5, where=MASK), on(A, initial=0.5, where=B)], np.amin: [on(A, initial=-9.5), on(A, initial=0.5, where=B)],
    np.cumsum: [on(A)], np.cumprod: [on(A)],
    np.diff: [on(A, prepend=0.5, append=np.array([[0.1], [0.2]]))],
    np.ediff1d: [on(A, to_end=0.5, to_begin=V)],
    np.trapezoid: [on(A, V), on(A, dx=0.5)],
    np.cross: [on(A, B)],
    np.shape: [on(A)], np.ndim: [on(A)], np.size: [on(A)], np.result_type: [on(A, V)], np.can_cast: [on(A.dtype, "float64")],
    np.min_scalar_type: [on(A)], np.common_type: [on(A, V)],
    np.iscomplexobj: [on(A)], np.isrealobj: [on(A)], np.may_share_memory: [on(A, B)], np.shares_memory: [on(A, B)],
    np.zeros_like: [on(A)], np.ones_like: [on(A)], np.empty_like: [on(A, shape=0)],
    np.full_like: [on(A, 0.5), on(A, V), on(A, 0.5, shape=4), on(A, 0.5, float)],
    np.argmax: [on(A)], np.argmin: [on(A)], np.argsort: [on(A)], np.argpartition: [on(A, 1)], np.lexsort: [on((V, W))],
    np.nonzero: [on(A)], np.flatnonzero: [on(A)], np.argwhere: [on(A)],
    np.searchsorted: [on(np.sort(W), V)], np.digitize: [on(V, np.sort(W))],
    np.count_nonzero: [on(A)], np.all: [on(A, where=B)], np.any: [on(A, where=B)],
    np.allclose: [on(A, B, 0.1, 0.2)], np.isclose: [on(A, B, 0.1, 0.2)], np.array_equal: [on(A, B)], np.array_equiv: [on(A, B)],
    np.isin: [on(A, V)], np.nanargmax: [on(A)], np.nanargmin: [on(A)],
    np.bincount: [on(INDEX, W), on(INDEX, W, 5), on(V, W)],
    np.histogram: [
        on(A, 3), on(A, 4, (-2.5, 2.0)), on(A, np.array([-1.5, 0.5, 2.5])), on(A, 3, weights=B), on(A, 3, density=True),
        on(A, 3, weights=B + 3, density=True), on(A, np.array([-1.0, 0.5, 1.5]), weights=B), on(A, "sturges"),
    ],
    np.histogram_bin_edges: [
        on(A, 3), on(A, 4, (-2.5, 2.0)), on(A, np.array([-1.5, 0.5, 2.5])), on(A, "sturges"), on(A, 3, weights=B)
    ],
    np.histogramdd: [on(T[0], 3), on([V, W], [np.array([-2.0, 1.0, 3.0]), 2]), on([V, W], 3, weights=U[:3], density=True),
                     on(T[0], 3, [(-2.0, 2.0)] * 4)],
    np.histogram2d: [on(V, W, 3, [(-2.0, 2.75), (0.0, 1.5)]), on(V, W, [np.array([-2.0, 1.0, 3.0]), 2], weights=U[:3], density=True)],
    np.isreal: [on(A)], np.iscomplex: [on(A)], np.array2string: [on(A)], np.array_repr: [on(A)], np.array_str: [on(A)],
    np.tril_indices_from: [on(S)], np.triu_indices_from: [on(S)], np.diag_indices_from: [on(S)],
    np.dot: [on(A, S)], np.inner: [on(A, B)], np.vdot: [on(A, B)], np.outer: [on(V, W)], np.kron: [on(A, V)],
    np.linalg.outer: [on(V, W)], np.linalg.matmul: [on(A, S)], np.linalg.tensordot: [on(A, B)], np.linalg.vecdot: [on(A, B)],
    np.linalg.multi_dot: [on([A, S, V])], np.linalg.matrix_power: [on(S, 3)], np.tensordot: [on(A, B)],
    np.einsum: [on("ij,jk->ik", A, S), on(A, [0, 1], B, [0, 1], [1], optimize=True)],
    np.einsum_path: [on("ij,jk->ik", A, S)],
    np.linalg.norm: [on(A), on(V, 3.0), on(A, 1)], np.linalg.vector_norm: [on(A, ord=3.0)],
    np.linalg.matrix_norm: [on(A, ord=1)], np.linalg.slogdet: [on(S)], np.linalg.det: [on(S)], np.linalg.inv: [on(S)],
    np.linalg.solve: [on(S, V)],
    np.where: [on(A > 0, A, B), on(A, A, B)],
    np.sinc: [on(A)],
    np.interp: [
        on(U, np.array([-0.5, 0.9, 1.7, 2.1]), U[::-1]), on(U, np.array([0.5, 0.9, 1.7]), V, 1, 2), on(U, W[[0, 2, 1]], V, period=1.1),
        on(0.7, np.array([0.5, 0.9, 1.7]), V), on(U, W[:1], V[:1], left=1),
    ],
    np.convolve: [on(U, V), on(V, U, "same"), on(U, V, "valid")],
    np.correlate: [on(U, V), on(V, U, "same"), on(U, V, "full"), on(V, U, "full"), on(U, V, "same"), on(V[:2], U, "valid")],
    np.gradient: [on(A), on(T, 0.5, axis=1), on(A, V[:2], np.sort(V), edge_order=1), on(T, np.array([0.3, 1.8, 4.2]), axis=1, edge_order=2),
                  on(U, 0.7, edge_order=2)],
    np.i0: [on(A)],
    np.unwrap: [on(5 * A), on(A, period=1.3)],
    np.lib.stride_tricks.sliding_window_view: [on(A, 2, 1), on(T, (2, 2), (1, 2))],
    np.polyval: [on(V, A), on(V, 0.7)], np.vander: [on(V), on(V, 2, increasing=True)],
    np.logspace: [on(0.5, 2.1, 4), on(V, W, 3, axis=1, base=2.5), on(V, W, 2, base=W + 1)],
    np.geomspace: [on(0.5, 2.1, 4), on(-W, -2 * W, 3)],
    np.polyadd: [on(V, U)], np.polysub: [on(V, U)], np.polymul: [on(V, U)], np.polydiv: [on(U, V[:2]), on(V, U)], np.polyder: [on(V, 2)],
    np.polyint: [on(V), on(V, 2, 0.5), on(V, 2, [0.5, 1.5])], np.poly: [on(V)], np.roots: [on(np.array([2.0, 0.3, -1.1]))],
    np.polyfit: [on(U, W[[0, 2, 1, 1]], 1), on(U, T[0].T, 2, 1e-12, w=U + 1), on(U, W[[0, 2, 1, 1]], 1, full=True),
                 on(U, U * U, 1, cov=True)],
    np.sort_complex: [on(A)], np.ix_: [on(V, W)],
    np.linspace: [on(0.5, 2.1, 4), on(V, W, 3, axis=1), on(V, 2.5, 4, False, True), on(0.5, 2.1, 1)],
    np.apply_along_axis: [
        on(np.sum, 0, A), on(lambda r, s, t=1.0: r[:, None] * r * s * t, 1, A, 0.7, t=1.3), on(lambda r: r * r[0], 1, T), on(np.max, 0, V),
    ],
    np.apply_over_axes: [on(np.sum, T, [0, 2]), on(np.max, A, 1)],
    np.piecewise: [
        on(A, [A > 0.5, A < -0.5], [lambda t: t * t, 0.5, lambda t: 2 * t]), on(A, MASK, [lambda t, s: s * t, 0.5], 0.7),
        on(V, [[True, False, True], [False, False, True]], [W[:2], 0.5]),
    ],
    np.choose: [on(np.array([0, 2, 1]), [V, W, 0.5]), on(np.array([[0, 3], [-1, 1]]), [0.5, W[:2]], mode="wrap")],
    np.emath.sqrt: [on(W)], np.emath.log: [on(W)], np.emath.log2: [on(W)], np.emath.log10: [on(W)], np.emath.logn: [on(W, W + 0.5)],
    np.emath.power: [on(W, V)], np.emath.arccos: [on(W / 2)], np.emath.arcsin: [on(W / 2)], np.emath.arctanh: [on(W / 2)],
    np.real_if_close: [on(A)], np.imag: [on(A)],
    np.nanmedian: [on(NAN), on(NAN, axis=1)], np.nanquantile: [on(NAN, 0.3), on(NAN, np.array([0.3, 0.7]), axis=1),
                                         on(V, 0.3, method="inverted_cdf", weights=W)],
    np.nanpercentile: [on(NAN, 30.0), on(V, 30.0, method="inverted_cdf", weights=W), on(NAN, np.array([30.0, 70.0]), axis=1)],
    np.cov: [on(A), on(A, B, rowvar=False), on(V, W, ddof=0), on(A, aweights=W, fweights=[1, 2, 1]), on(V)],
    np.corrcoef: [on(T[0]), on(U, U[::-1] * U)],
    np.linalg.diagonal: [on(T)], np.linalg.trace: [on(T)], np.linalg.matrix_transpose: [on(T)], np.linalg.cross: [on(A, B)],
    np.linalg.cholesky: [on(S @ S.T), on(S @ S.T, upper=True)],
    np.angle: [on(A), on(A, True)],
    np.fft.fft: [on(A), on(A, 5, 0, "ortho")], np.fft.ifft: [on(A), on(A, 2, 1, "forward")],
    np.fft.rfft: [on(A), on(U, 6, norm="ortho"), on(T, 3, 1)], np.fft.irfft: [on(A), on(U, 5, norm="forward"), on(T, 7, 0)],
    np.fft.hfft: [on(A), on(U, 5, norm="ortho")], np.fft.ihfft: [on(A), on(U, 5, norm="forward")],
    np.fft.fftn: [on(T), on(T, (3, 2), (2, 0), "ortho")], np.fft.ifftn: [on(T), on(T, (3, -1), (2, 0), "ortho")],
    np.fft.rfftn: [on(T), on(T, (5, 3), (0, 1))], np.fft.irfftn: [on(T), on(T, (5, 4), (2, 1), "ortho")],
    np.fft.fft2: [on(T), on(A, (3, 3))], np.fft.ifft2: [on(T), on(A, (3, 3))],
    np.fft.rfft2: [on(T), on(A, (3, 4))], np.fft.irfft2: [on(T), on(A, (3, 5))],
    np.fft.fftshift: [on(T), on(A, 1)], np.fft.ifftshift: [on(T), on(U, (0,))],
    np.linalg.eigh: [on(S), on(S, "U")], np.linalg.eigvalsh: [on(S), on(S, "U")], np.linalg.eig: [on(S + S.T)],
    np.linalg.eigvals: [on(S + S.T)],
    np.linalg.svd: [on(S), on(A, full_matrices=False), on(A), on(A, compute_uv=False), on(S, hermitian=True)],
    np.linalg.svdvals: [on(A)], np.linalg.qr: [on(A), on(S, "complete"), on(A, mode="r")],
    np.linalg.pinv: [on(A), on(A, 1e-10), on(S, hermitian=True), on(A, rtol=1e-10)],
    np.linalg.lstsq: [on(S, V), on(A.T, W), on(A.T, B.T, 1e-10)], np.linalg.matrix_rank: [on(A), on(A, 1e-3), on(A, rtol=1e-3)],
    np.linalg.cond: [on(S), on(S, 1), on(A, -2), on(S, "fro")], np.linalg.tensorsolve: [on(S, V), on(S.reshape(3, 3), V, axes=(0,))],
    np.linalg.tensorinv: [on(S, ind=1)],
}  # fmt: skip

for _name, _examples in {
    "unstack": [on(A)], "astype": [on(A, float)], "cumulative_sum": [on(V)], "cumulative_prod": [on(V)],
    "vecdot": [on(A, B)], "matvec": [on(A, V)], "vecmat": [on(V, S)],
}.items():  # fmt: skip
    if hasattr(np, _name):  # NumPy 2.1 and 2.2
        CALLS[getattr(np, _name)] = _examples

_UNUSUAL: dict[str, list[Example]] = {
    "rint": [on(A)], "floor": [on(A)], "ceil": [on(A)], "trunc": [on(A)],
    "arccosh": [on(W + 1.5)], "arctanh": [on(W / 2)], "arcsin": [on(V / 3)], "arccos": [on(V / 3)], "sqrt": [on(W)], "log": [on(W)],
    "log2": [on(W)], "log10": [on(W)], "log1p": [on(W)], "power": [on(W, V)], "float_power": [on(W, V)], "matmul": [on(A, S)],
    "ldexp": [on(V, INDEX), on(V, W)], "frexp": [on(V + 0.2)], "heaviside": [on(V, W)],
    "bitwise_and": [on(A > 0, B > 0), on(A, B)], "bitwise_or": [on(A > 0, B > 0), on(A, B)],
    "bitwise_xor": [on(A > 0, B > 0), on(A, B)], "invert": [on(A > 0), on(A)],
}  # fmt: skip


def examples(function: Callable[..., Any]) -> list[Example]:
    """Examples of a function; of a ufunc that needs no particular numbers they are made here. KeyError for one without."""
    if function in CALLS:
        return CALLS[function]
    if not isinstance(function, np.ufunc):
        raise KeyError(function)
    return _UNUSUAL.get(function.__name__, [on(*(V, W)[: function.nin])])
