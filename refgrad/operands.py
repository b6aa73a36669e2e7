"""Operands of ops beside traced arrays: numbers and arrays of them. Others are converted as NumPy does, or raise OperandError."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.errors import TENSOR, DtypeError, OperandError, is_tensor

NUMBERS = frozenset({
    float, int, bool, complex, np.bool_, np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128, np.clongdouble,
    np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
})  # fmt: skip
REAL = frozenset("fiub")  # kinds of dtypes
NUMERIC = REAL | {"c"}
_LARGE = 2**63
USUAL = NUMBERS | {np.ndarray}

_REPRESENTATION = frozenset({  # what a subclass may define without giving its elements another meaning
    "__array_finalize__", "__class_getitem__", "__dict__", "__doc__", "__firstlineno__", "__init__", "__init_subclass__", "__module__",
    "__new__", "__reduce__", "__reduce_ex__", "__repr__", "__setstate__", "__slots__", "__static_attributes__", "__str__", "__weakref__",
    "__annotations__", "__orig_bases__", "__parameters__", "__del__", "__hash__", "__getattr__", "__qualname__",
})  # fmt: skip


def usual(x: Any) -> bool:
    """Whether x is a number, if an integer one that an array of integers can hold, or an ordinary array of numbers."""
    kind = type(x)
    if kind is int:
        return -_LARGE < x < _LARGE
    return kind in NUMBERS or (kind is np.ndarray and x.dtype.kind in NUMERIC)


def overrides(x: Any) -> bool:
    """Whether x, which is no traced array, computes NumPy's ufuncs in its own way."""
    own = getattr(type(x), "__array_ufunc__", None)
    return (
        own is not None
        and own is not np.ndarray.__array_ufunc__
        and own is not np.generic.__dict__.get("__array_ufunc__")
    )


def admitted(x: Any, what: str, error: type[DtypeError] = OperandError) -> Any:
    """x as an ordinary array or number. ``what`` names it in messages.

    Raises ``error`` for masked arrays, matrices and other subclasses that compute in their own way, for objects, text, dates, records and
    tensors.
    """
    if usual(x):
        return x
    if type(x) is int:
        return float(x)  # as NumPy reads a large integer beside an array of floating-point numbers
    if isinstance(x, np.ndarray):
        y: Any = ordinary(x, what, error)
    elif isinstance(x, np.generic):
        y = x
    elif is_tensor(x):
        raise error(f"{what} is a torch tensor; {TENSOR}")
    else:
        y = np.asarray(x)
        if y.dtype.kind not in NUMERIC:
            raise error(
                f"{what} is {_described(x)}; a number or an array of numbers is expected. {_INSTEAD['O']}"
            )
    if y.dtype.kind not in NUMERIC:
        raise error(
            f"{what} has dtype {y.dtype}; numbers are expected. {_INSTEAD.get(y.dtype.kind, _INSTEAD['O'])}"
        )
    return y


_INSTEAD = {
    "O": "Convert it first, outside the differentiated function: np.asarray(a, float), float(number). A class of your own computes with "
         "traced arrays by its reflected operators where it says __array_ufunc__ = None.",
    "M": "Convert dates first: (t - t0) / np.timedelta64(1, 's').", "m": "Convert durations first: t / np.timedelta64(1, 's').",
    "V": "Pass the fields of a record one by one: a['name'].",
}  # fmt: skip


def ordinary(x: PlainArray, what: str, error: type[DtypeError]) -> PlainArray:
    """An array without its subclass, whose elements it shares. Raises ``error`` where the subclass computes in its own way."""
    kind = type(x)
    if isinstance(x, np.ma.MaskedArray):
        raise error(
            f"{what} is a masked array, and no rule knows its mask. Pass a plain array and a mask: np.where(mask, 0.0, x.data) in a sum, "
            "np.mean(x, where=~mask) in a mean."
        )
    if isinstance(x, np.matrix):
        raise error(
            f"{what} is an np.matrix, whose * is a matrix product and whose rows stay 2-d. Pass np.asarray(m), and write @."
        )
    if not isinstance(x, np.memmap):
        own = sorted(_own(kind))
        if own:
            raise error(
                f"{what} is of class {kind.__name__}, a subclass of np.ndarray that defines {', '.join(own[:4])}; traced arrays compute as "
                "np.ndarray does. Pass np.asarray(x)."
            )
    return x.view(np.ndarray)


def _own(kind: type) -> set[str]:
    """The methods and attributes of np.ndarray to which a subclass gives another meaning."""
    known = set(dir(np.ndarray)) - _REPRESENTATION
    return {name for c in kind.__mro__[: kind.__mro__.index(np.ndarray)] for name in vars(c) if name in known}


def _described(x: Any) -> str:
    if x is None or isinstance(x, (str, bytes)):
        return repr(x)
    return f"of class {type(x).__name__}"
