"""The dtype of a result is NumPy's: functions of arrays of each dtype beside Python numbers, NumPy scalars and other arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import RefgradError
from refgrad.op import Traced
from tests.numpy_calls import examples
from tests.numpy_walk import Call, plain_error, ran
from tests.test_every_argument import REGISTERED, name

Array = Any
DTYPES = (np.float16, np.float32, np.float64)
SCALARS: dict[str, Callable[[float], Any]] = {
    "a Python float": float, "a Python int": lambda v: round(v) or 1, "float64": np.float64, "float32": np.float32, "float16": np.float16,
    "int64": lambda v: np.int64(round(v) or 1), "a 0-d array": np.array,
    "a 0-d float32 array": lambda v: np.array(v, np.float32),
}  # fmt: skip


def is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def calls(function: Callable[..., Any]) -> Iterator[tuple[Call, int]]:
    """Calls with one array or number of each dtype, which is traced, beside numbers of each kind and arrays of each dtype."""
    tried = list(examples(function))
    if isinstance(function, np.ufunc) and function.nin == 2 and function.signature is None:
        w = np.array([0.3, 1.2, 0.8])
        tried += [((w, 0.6), {}), ((0.6, w), {}), ((w, w + 0.1), {})]
    for args, kwargs in tried:
        base = Call(name(function), function, args, kwargs)
        leaves = base.leaves()
        for place in [k for k, x in enumerate(leaves) if isinstance(x, float) or is_array(x)]:
            others = [k for k in range(len(leaves)) if k != place]
            numbers = [k for k in others if isinstance(leaves[k], float)]
            arrays = [k for k in others if is_array(leaves[k])]
            for dtype in DTYPES:
                for kind in SCALARS if numbers else ("a Python float",):
                    for other in (*DTYPES, np.int64) if arrays else (dtype,):
                        new = {k: SCALARS[kind](leaves[k]) for k in numbers} | {
                            k: leaves[k].astype(other) for k in arrays
                        }
                        new[place] = np.asarray(leaves[place]).astype(dtype)
                        found = base.with_leaves(new)
                        yield Call(base.name, function, *found), place


def forms(ys: list[Any]) -> list[tuple[str, tuple[int, ...]]]:
    return [(np.asarray(y).dtype.name, np.shape(y)) for y in ys]


def roundings(*arrays: Any) -> float:
    """What a function of a few elements may lose: its intermediate results are rounded in the dtypes of its arguments, too."""
    found = [np.asarray(x).dtype for x in arrays]
    return 64 * max(float(np.finfo(d).eps) for d in found if d.kind == "f")


@pytest.mark.parametrize("function", REGISTERED, ids=name)
@pytest.mark.filterwarnings("ignore")
def test_dtypes_and_values_are_numpys(function: Callable[..., Any]) -> None:
    answered, possible = 0, 0
    for call, place in calls(function):
        x, seen = call.leaves()[place], []
        if plain_error(call) is not None:
            continue
        if call.name == "power" and OLD and any(isinstance(x, np.int64) for x in call.leaves()):
            continue
        possible += 1

        def f(z: Any, call: Call = call, place: int = place, seen: list[Any] = seen) -> list[Any]:
            seen[:] = ran(call, {place: z})
            return [y for y in seen if isinstance(y, Traced)]

        try:
            values = iter(rg.jvp(f, (x,), (np.ones_like(x),))[0])
        except RefgradError:
            continue
        answered += 1
        due, got = ran(call, {}), [next(values) if isinstance(y, Traced) else y for y in seen]
        assert forms(got) == forms(due), f"{call}, leaf {place}: {call.leaves()}"
        for y, z in zip(got, due, strict=True):
            wide = np.asarray(z, np.longdouble)
            size = np.max(np.abs(wide), where=np.isfinite(wide), initial=1.0)
            lost = roundings(z, *call.leaves()) * size
            assert np.allclose(np.asarray(y, np.longdouble), wide, rtol=0, atol=lost, equal_nan=True), str(
                call
            )
    assert answered or not possible or name(function) in REFUSED


# NumPy 2.0 has two answers here: np.power(x, k) is not of the dtype of x**k.
OLD = np.lib.NumpyVersion(np.__version__) < "2.1.0"
# Functions that write in place, and those whose examples are refused whatever is traced.
REFUSED = {"copyto", "put", "put_along_axis", "place", "putmask", "fill_diagonal"}


def test_a_sum_of_a_python_number_keeps_the_dtype() -> None:
    x = np.ones(3, np.float32)
    for f in (
        lambda a: np.fmod(a, 0.6),
        lambda a: np.fmod(0.6, a),
        lambda a: np.insert(a, 1, 0.5),
        lambda a: np.quantile(a, 0.5),
    ):
        assert rg.jvp(f, (x,), (x,))[0].dtype == f(x).dtype == np.float32
