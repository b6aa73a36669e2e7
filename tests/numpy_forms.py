"""Forms of NumPy code that are no functions: methods of ufuncs, indices to read and to write, and keywords that many functions take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.numpy_walk import Call

A = np.array([[0.7, -1.3, 2.1], [1.9, 0.4, -0.6]])
P = np.array([[0.7, 1.3, 2.1], [1.9, 0.4, 0.6]])
V = np.array([0.5, 1.5, 2.5])
MASK = np.array([[True, False, True], [True, True, False]])
UFUNC_METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")


def of_two() -> list[np.ufunc]:
    """NumPy's ufuncs of two floating-point operands with one result, each once, by name."""
    found = {
        f.__name__: f
        for f in vars(np).values()
        if isinstance(f, np.ufunc) and (f.nin, f.nout, f.signature) == (2, 1, None)
    }
    return [f for _, f in sorted(found.items()) if "dd->d" in f.types or "dd->?" in f.types]


def of_a_ufunc(ufunc: np.ufunc, method: str) -> list[Call]:
    """Calls of a method of a ufunc; some of them are errors of NumPy's."""

    def at(a: Any, v: Any) -> Any:
        y = a.copy()
        ufunc.at(y, [0, 0], v)
        return y

    calls: dict[str, list[tuple[Callable[..., Any], tuple[Any, ...]]]] = {
        "reduce": [
            (ufunc.reduce, (P,)),
            (lambda a: ufunc.reduce(a, axis=1, keepdims=True), (P,)),
        ],
        "accumulate": [(lambda a: ufunc.accumulate(a, axis=1), (P,))],
        "reduceat": [(lambda a: ufunc.reduceat(a, [0, 2, 1], axis=1), (P,))],
        "outer": [(ufunc.outer, (P, V + 0.137))],
        "at": [(at, (P.copy(), V + 0.137))],
    }
    return [Call(f"np.{ufunc.__name__}.{method}", f, args) for f, args in calls[method]]


KEYS: dict[str, Any] = {
    "x[0]": 0, "x[-1, 2]": (-1, 2), "x[1:, ::-1]": (slice(1, None), slice(None, None, -1)),
    "x[...]": Ellipsis, "x[()]": (),
    "x[:, None]": (slice(None), None), "x[[1, 0, 1]]": [1, 0, 1], "x[[1, 0], [2, 2]]": ([1, 0], [2, 2]),
    "x[:, [2, 0]]": (slice(None), [2, 0]),
    "x[np.ix_([1, 0], [2, 0])]": np.ix_([1, 0], [2, 0]), "x[mask]": MASK,
    "x[:, mask]": (slice(None), MASK[0]), "x[np.newaxis, 1]": (None, 1),
}  # fmt: skip


def _reading(key: Any) -> list[Call]:
    return [Call("", lambda x: x[key], (A,))]


def _writing(key: Any) -> list[Call]:
    def f(x: Any, v: Any) -> Any:
        y = x.copy()
        y[key] = v
        return y

    def added(x: Any, v: Any) -> Any:
        y = x.copy()
        y[key] += v
        return y

    value = np.full(A[key].shape, 0.3) + np.arange(A[key].size).reshape(A[key].shape)
    once = np.unique(np.arange(A.size).reshape(A.shape)[key]).size == A[key].size
    return [Call("", g, (A, v)) for g in (f, added) for v in (0.7, value) if once or np.ndim(v) == 0]


FUNCTIONS: dict[str, list[Callable[..., Any]]] = {
    "axis=": [lambda x: np.sum(x, axis=(0, 1)), lambda x: np.sort(x, axis=None), lambda x: np.max(x, axis=-1)],
    "keepdims=": [lambda x: np.mean(x, axis=0, keepdims=True), lambda x: np.median(x, keepdims=True)],
    "dtype=": [lambda x: np.sum(x, dtype=np.float64), lambda x: np.exp(x, dtype=np.float64), lambda x: np.cumsum(x, dtype=float)],
    "order=": [lambda x: np.reshape(x, (3, 2), order="F"), lambda x: x.ravel("F"), lambda x: np.copy(x, order="F")],
    "where= of a reduction": [lambda x: np.sum(x, where=MASK), lambda x: np.var(x, axis=1, where=MASK)],
    "where= with out=": [lambda x: np.exp(x, where=MASK, out=x.copy())],
    "out=, a traced array": [lambda x: np.multiply(x, 2.0, out=x.copy())],
    "casting=": [lambda x: np.add(x, x, casting="safe")],
    "subok=": [lambda x: np.sin(x, subok=True)],
    "mode=": [lambda x: np.take(x, [7, -8], mode="wrap"), lambda x: np.convolve(x[0], x[1], mode="same")],
    "method=": [lambda x: np.quantile(x, 0.3, method="hazen")],
    "kind=": [lambda x: np.sort(x, kind="stable")],
    "optimize=": [lambda x: np.einsum("ij,ij->i", x, x, optimize=True)],
}  # fmt: skip
WITH_NUMBERS: dict[str, list[Call]] = {
    "initial=": [
        Call("", lambda x, v: np.sum(x, axis=0, initial=v), (A, 0.5)),
        Call("", lambda x, v: np.max(x, initial=v), (A, 9.5)),
    ],
    "ddof=, correction=, mean=": [
        Call("", lambda x, v: np.var(x, ddof=v), (A, 0.5)),
        Call("", lambda x, v: np.std(x, mean=v), (A, 0.5)),
    ],
    "q": [Call("", np.quantile, (A, 0.3))],
    "weights=": [Call("", lambda x, v: np.average(x, axis=1, weights=v), (A, V))],
    "spacing": [Call("", lambda x, v: np.gradient(x, v, axis=1), (A, 0.3))],
}
FORMS: dict[str, dict[str, list[Call]]] = {
    "Indices to read": {name: _reading(key) for name, key in KEYS.items()},
    "Indices to write": {f"{name} = v, += v": _writing(key) for name, key in KEYS.items()},
    "Keywords": {**{name: [Call("", f, (A,)) for f in fs] for name, fs in FUNCTIONS.items()}, **WITH_NUMBERS},
}
