"""Which arguments of NumPy's functions may be traced: a table, and the check of each call against it.

``TABLE`` has a line for each function that refgrad writes as a composition or applies to plain values. Left of the bar stand the arguments
that have a rule, right of it those without a derivative (conditions, indices, what only a shape is read from): they become plain arrays.
A traced array in any other place is refused. A star stands for any number of arguments, where NumPy's function has no signature to read.
Functions that lead to one op are not listed: their operands have rules, their parameters none (``op.refuse_traced``).
"""

from __future__ import annotations

import inspect
from collections import UserList, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.errors import NoRuleError, TracingError
from refgrad.op import Traced

Function = Callable[..., Any]

TABLE: dict[str, str] = {
    # values alone: shapes, dtypes, order, comparisons, text
    "shape": "| a", "ndim": "| a", "size": "| a", "result_type": "| *arrays_and_dtypes", "can_cast": "| from_", "min_scalar_type": "| a",
    "common_type": "| arrays", "iscomplexobj": "| x", "isrealobj": "| x", "may_share_memory": "| a b", "shares_memory": "| a b",
    "argmax": "| a", "argmin": "| a", "argsort": "| a", "argpartition": "| a", "lexsort": "| keys", "nanargmax": "| a", "nanargmin": "| a",
    "nonzero": "| a", "flatnonzero": "| a", "argwhere": "| a", "count_nonzero": "| a", "searchsorted": "| a v", "digitize": "| x bins",
    "all": "| a where", "any": "| a where", "allclose": "| a b rtol atol", "isclose": "| a b rtol atol", "array_equal": "| a1 a2",
    "array_equiv": "| a1 a2", "isin": "| element test_elements", "isreal": "| x", "iscomplex": "| x",
    "einsum_path": "| operands", "array2string": "| a", "array_repr": "| arr", "array_str": "| a",
    "tril_indices_from": "| arr", "triu_indices_from": "| arr", "diag_indices_from": "| arr",
    # elementwise
    "clip": "a a_min a_max min max |", "round": "a |", "around": "a |", "nan_to_num": "x nan posinf neginf |", "real": "val |",
    "where": "condition x y |", "select": "condlist choicelist default |", "isposinf": "x |", "isneginf": "x |",
    # choosing
    "take": "a | indices", "take_along_axis": "arr | indices", "compress": "a | condition", "extract": "arr | condition",
    "diagonal": "a |", "diag": "v |", "diagflat": "v |", "trace": "a |", "tril": "m |", "triu": "m |",
    "sort": "a |", "partition": "a |", "unique": "ar |", "delete": "arr |", "insert": "arr values |",
    "unique_all": "x |", "unique_counts": "x |", "unique_inverse": "x |", "unique_values": "x |", "trim_zeros": "filt |",
    "union1d": "ar1 ar2 |", "intersect1d": "ar1 ar2 |", "setdiff1d": "ar1 | ar2", "setxor1d": "ar1 ar2 |",
    # joining and splitting
    "concatenate": "arrays |", "stack": "arrays |", "vstack": "tup |", "hstack": "tup |", "dstack": "tup |", "column_stack": "tup |",
    "append": "arr values |", "block": "arrays |", "meshgrid": "xi |", "pad": "array kwargs |",
    "array_split": "ary |", "split": "ary |", "hsplit": "ary |", "vsplit": "ary |", "dsplit": "ary |", "unstack": "x |",
    # shapes
    "reshape": "a |", "ravel": "a |", "transpose": "a |", "permute_dims": "a |", "matrix_transpose": "x |", "swapaxes": "a |",
    "moveaxis": "a |", "rollaxis": "a |", "squeeze": "a |", "expand_dims": "a |", "atleast_1d": "arys |", "atleast_2d": "arys |",
    "atleast_3d": "arys |", "broadcast_to": "array |", "broadcast_arrays": "args |", "fliplr": "m |", "flipud": "m |", "rot90": "m |",
    "tile": "A |", "repeat": "a |", "resize": "a |", "full_like": "a fill_value |", "zeros_like": "a |", "ones_like": "a |",
    "empty_like": "prototype |", "astype": "x |", "copy": "a |",
    # statistics and other sums
    "var": "a mean ddof correction | where", "std": "a mean ddof correction | where", "average": "a weights |",
    "median": "a |", "ptp": "a |", "quantile": "a q | weights", "percentile": "a q | weights",
    "nanvar": "a mean ddof correction | where", "nanstd": "a mean ddof correction | where",
    "nansum": "a initial |", "nanprod": "a initial |", "nanmean": "a | where", "nancumsum": "a |", "nancumprod": "a |",
    "nanmax": "a initial | where", "nanmin": "a initial | where", "diff": "a prepend append |",
    "cumsum": "a |", "cumprod": "a |", "cumulative_sum": "x |", "cumulative_prod": "x |", "ediff1d": "ary to_end to_begin |",
    "trapezoid": "y x dx |",
    "cross": "a b |",
    "bincount": "weights | x", "histogram": "a bins range weights |", "histogram_bin_edges": "a bins range | weights",
    "histogramdd": "sample bins range weights |", "histogram2d": "x y bins range weights |",
    "nanmedian": "a |", "nanquantile": "a q | weights", "nanpercentile": "a q | weights", "cov": "m y aweights |", "corrcoef": "x y |",
    # sequences, and functions of a program's functions
    "interp": "x xp fp left right period |", "convolve": "a v |", "correlate": "a v |", "gradient": "f varargs |",
    "unwrap": "p period | discont",
    "lib.stride_tricks.sliding_window_view": "x |", "linspace": "start stop |",
    "logspace": "start stop base |", "geomspace": "start stop |",
    "polyval": "p x |", "vander": "x |", "polyadd": "a1 a2 |", "polysub": "a1 a2 |", "polymul": "a1 a2 |", "polydiv": "u v |",
    "polyder": "p |", "polyint": "p k |", "poly": "seq_of_zeros |", "roots": "p |", "polyfit": "x y w | rcond", "sort_complex": "a |",
    "apply_along_axis": "arr args kwargs |", "apply_over_axes": "a |", "piecewise": "x funclist args kw | condlist",
    "choose": "choices | a", "real_if_close": "a |", "i0": "x |", "imag": "val |", "angle": "z |",
    "lib.scimath.sqrt": "x |", "lib.scimath.log": "x |", "lib.scimath.log2": "x |", "lib.scimath.log10": "x |", "lib.scimath.logn": "n x |",
    "lib.scimath.power": "x p |", "lib.scimath.arccos": "x |", "lib.scimath.arcsin": "x |", "lib.scimath.arctanh": "x |",
    "ix_": "args |",
    # writing into the first argument
    "copyto": "dst src | where", "put": "a v |", "put_along_axis": "arr values |", "place": "arr vals | mask", "putmask": "a values | mask",
    "fill_diagonal": "a val |",
    # Fourier transforms
    **{f"fft.{inverse}{kind}fft{many}": "a |" for inverse in ("", "i") for kind in ("", "r") for many in ("", "2", "n")},
    "fft.hfft": "a |", "fft.ihfft": "a |", "fft.fftshift": "x |", "fft.ifftshift": "x |",
    # linear algebra
    "linalg.diagonal": "x |", "linalg.trace": "x |", "linalg.matrix_transpose": "x |", "linalg.cross": "x1 x2 |", "linalg.cholesky": "a |",
    "linalg.eigh": "a |", "linalg.eigvalsh": "a |", "linalg.eig": "a |",
    "linalg.eigvals": "a |", "linalg.svd": "a |", "linalg.svdvals": "x |", "linalg.qr": "a |",
    "linalg.pinv": "a | rcond rtol",
    "linalg.lstsq": "a b | rcond", "linalg.matrix_rank": "| A tol rtol", "linalg.cond": "x |", "linalg.tensorsolve": "a b |",
    "linalg.tensorinv": "a |",
    "dot": "a b |", "inner": "a b |", "vdot": "a b |", "outer": "a b |", "kron": "a b |", "einsum": "subscripts operands |",
    "linalg.outer": "x1 x2 |", "linalg.matmul": "x1 x2 |", "linalg.tensordot": "x1 x2 |", "linalg.vecdot": "x1 x2 |",
    "linalg.multi_dot": "arrays |", "linalg.matrix_power": "a |", "linalg.norm": "x |", "linalg.vector_norm": "x |",
    "linalg.matrix_norm": "x |", "linalg.slogdet": "a |",
}  # fmt: skip

INSTEAD = {
    "where": "A mask is a comparison, such as x > 0; it has no derivative.",
    "ord": "Write np.sum(np.abs(x) ** p) ** (1 / p), which has a derivative in p.",
}
INTO_PLAIN = (
    "a plain array cannot hold traced values. Make it from a traced array x: np.zeros(n, like=x), or np.zeros_like(x, shape=n), which "
    "takes numbers as well."
)
PLAIN = "Pass plain numbers there, computed outside the differentiated function."
SEQUENCES = (list, tuple, deque, UserList)  # what NumPy makes an array of
_SIMPLE = frozenset({int, bool, float, str, bytes, slice, type(None), np.ndarray, np.dtype, type, np.float64})


def holds_traced(x: Any) -> bool:
    """Whether x is a traced array, or a sequence or dict with one in it."""
    if type(x) in _SIMPLE:
        return False
    if isinstance(x, Traced):
        return True
    if isinstance(x, SEQUENCES):
        return not _SIMPLE.issuperset(map(type, x)) and any(holds_traced(e) for e in x)
    return isinstance(x, dict) and any(holds_traced(e) for e in x.values())


def plain(x: Any) -> Any:
    """The NumPy array below all levels of tracing; sequences element by element."""
    while isinstance(x, Traced):
        x = x._value
    if isinstance(x, SEQUENCES) and holds_traced(x):
        elements = [plain(e) for e in x]
        return type(x)(*elements) if hasattr(x, "_fields") else type(x)(elements)
    return x


def encloses(x: Any) -> bool:
    """Whether x is traced over Balls: it stands for all numbers that rounding may make of it."""
    return isinstance(x, Traced) and x._levels()[-1] == 0


@dataclass(frozen=True, slots=True)
class Guard:
    """Which arguments of one function may be traced: those of ``rules`` as they are, those of ``values`` as plain arrays."""

    name: str
    positions: tuple[str, ...]
    variadic: str | None
    rules: frozenset[str]
    values: frozenset[str]
    watched: tuple[tuple[int, str], ...]  # the positions without a rule
    any_name: bool  # whether arguments of any name are handed on

    def admitted(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, plain where there is no derivative. Raises NoRuleError for a traced array that has no rule in its place."""
        given, count = len(args), len(self.positions)
        for k, name in self.watched:
            if k < given and type(args[k]) not in _SIMPLE and holds_traced(args[k]):
                args = (*args[:k], self._value(name, args[k]), *args[k + 1 :])
        if given > count and self.variadic not in self.rules:
            rest = [self._value(self.variadic or "", x) if holds_traced(x) else x for x in args[count:]]
            args = (*args[:count], *rest)
        for name, x in kwargs.items():
            if name not in self.rules and not self.any_name and holds_traced(x):
                kwargs = {**kwargs, name: self._value(name, x)}
        return args, kwargs

    def _value(self, name: str, x: Any) -> Any:
        if name == "where" and isinstance(x, Traced) and x.dtype.kind != "b":
            raise TracingError(
                f"{self.name}: argument where is a traced array of dtype {x.dtype}; a boolean array is expected. {INSTEAD['where']}"
            )
        if name in self.values:
            return plain(x)
        given = (
            f"a traced array of shape {x.shape}"
            if isinstance(x, Traced)
            else f"a {type(x).__name__} that holds a traced array"
        )
        raise NoRuleError(
            f"{self.name}: argument {name} is {given} and has no rule, so its derivative would be lost. {INSTEAD.get(name, PLAIN)}"
        )


def guard_of(function: Function, composition: Function) -> Guard | None:
    """The guard of a NumPy function that ``composition`` stands for; None where the table has no line for it."""
    line = _lines().get(function)
    if line is None:
        return None
    name, (rules, values) = line
    try:
        parameters = list(inspect.signature(composition).parameters.values())
    except ValueError:  # written in C, and older than NumPy 2.4
        kinds = inspect.Parameter
        parameters = [
            kinds(p.lstrip("*"), kinds.VAR_POSITIONAL if "*" in p else kinds.POSITIONAL_OR_KEYWORD)
            for p in (*rules, *values)
        ]
    if any(p.name == "out" for p in parameters):
        rules = [*rules, "out"]  # which dispatch.implements writes to
    variadic = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
    positions = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return Guard(
        name,
        tuple(positions),
        variadic[0] if variadic else None,
        frozenset(rules),
        frozenset([p.lstrip("*") for p in values]),
        tuple([(k, p) for k, p in enumerate(positions) if p not in rules]),
        any(p.kind is p.VAR_KEYWORD and p.name in rules for p in parameters),
    )


def of_values() -> list[Function]:
    """The functions of the table in which no argument has a rule."""
    return [function for function, (_, (rules, _)) in _lines().items() if not rules]


def _lines() -> dict[Function, tuple[str, tuple[list[str], list[str]]]]:
    """The table by function, without what this NumPy lacks."""
    if not _RESOLVED:
        for name, line in TABLE.items():
            room, _, last = name.rpartition(".")
            place = np
            for part in room.split(".") if room else ():
                place = getattr(place, part)
            function = getattr(place, last, None)
            if function is not None:
                left, _, right = line.partition("|")
                _RESOLVED.setdefault(function, (f"np.{name}", (left.split(), right.split())))
    return _RESOLVED


_RESOLVED: dict[Function, tuple[str, tuple[list[str], list[str]]]] = {}
