"""Arrays and parameters as JSON and back, exactly.

Floats are written as the shortest decimal that reads back to the same number. Elements of narrower dtypes are exact in float64.
Non-finite elements are the strings "nan", "inf" and "-inf".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.errors import CaseFileError

NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
DTYPES = frozenset({"float16", "float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"})
_NAMES = {np.dtype(name): name for name in DTYPES}  # NumPy puts a name together each time it is asked for


def number(x: float) -> float | str:
    """A float for strict JSON."""
    x = float(x)
    if math.isfinite(x):
        return x
    return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"


def encode_array(x: Any) -> dict[str, Any]:
    """An array as {"dtype", "shape", "data"}, elements in C order. Raises CaseFileError for a dtype that is not in DTYPES."""
    x = np.asarray(x)
    name = _NAMES.get(x.dtype) or x.dtype.name
    if name not in DTYPES:
        raise CaseFileError(
            f"an array of dtype {x.dtype} cannot be written to a case file; supported are {sorted(DTYPES)}"
        )
    flat = x.ravel().tolist()
    return {
        "dtype": name,
        "shape": list(x.shape),
        "data": flat if x.dtype.kind != "f" or np.isfinite(x).all() else [number(v) for v in flat],
    }


def decode_array(obj: Any) -> Any:
    """The array that encode_array wrote. Raises CaseFileError where it is not one."""
    if not isinstance(obj, dict) or not {"dtype", "shape", "data"} <= obj.keys():
        raise CaseFileError(f"an array is an object with dtype, shape and data; got {_short(obj)}")
    if not isinstance(obj["dtype"], str) or obj["dtype"] not in DTYPES:
        raise CaseFileError(f"an array has dtype {_short(obj['dtype'])}; supported are {sorted(DTYPES)}")
    shape = obj["shape"]
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise CaseFileError(f"a shape is a list of whole numbers from 0 on; got {_short(shape)}")
    try:
        data = [NONFINITE[v] if isinstance(v, str) else v for v in obj["data"]]
        return np.array(data, dtype=obj["dtype"]).reshape(shape)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CaseFileError(
            f"an array of dtype {obj['dtype']} and shape {_short(obj['shape'])} cannot be read: {error}"
        ) from error


def encode_param(value: Any) -> Any:
    """A parameter of an op as JSON: None, booleans, numbers, strings, and tagged tuples, slices, arrays, dtypes, Ellipsis.

    Raises CaseFileError for a value of another type.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else {"float": number(value)}
    if isinstance(value, (tuple, list)):
        return {"tuple": [encode_param(v) for v in value]}
    if isinstance(value, slice):
        return {"slice": [encode_param(v) for v in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    if isinstance(value, np.ndarray):
        return {"array": encode_array(value)}
    if isinstance(value, np.generic):
        return encode_param(value.item())
    raise CaseFileError(
        f"a parameter of type {type(value).__name__} cannot be written to a case file: {value!r}"
    )


def decode_param(obj: Any) -> Any:
    """The parameter that encode_param wrote. Raises CaseFileError where it is not one."""
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, dict) and len(obj) == 1:
        ((tag, value),) = obj.items()
        try:
            if tag == "tuple":
                return tuple(decode_param(v) for v in value)
            if tag == "slice":
                return slice(*[decode_param(v) for v in value])
            if tag == "ellipsis":
                return Ellipsis
            if tag == "dtype":
                return np.dtype(value)
            if tag == "float":
                return NONFINITE[value]
            if tag == "array":
                return decode_array(value)
        except (KeyError, TypeError) as error:
            raise CaseFileError(f"a parameter cannot be read: {_short(obj)}: {error}") from error
    raise CaseFileError(
        f"a parameter is a number, a string, or a tagged tuple, slice, array, dtype or float; got {_short(obj)}"
    )


def _short(obj: Any) -> str:
    text = repr(obj)
    return text if len(text) <= 80 else text[:77] + "..."
