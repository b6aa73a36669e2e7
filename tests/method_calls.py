"""How each public method of np.ndarray and np.float64 is called: several ways, of which some do not fit all shapes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

Use = tuple[tuple[Any, ...], dict[str, Any]]
NOT_ASKED = frozenset({  # of every object or class, and NumPy's own protocols
    "__class__", "__dir__", "__doc__", "__init__", "__init_subclass__", "__new__", "__subclasshook__", "__sizeof__", "__class_getitem__",
    "__repr__", "__str__", "__array_function__", "__array_ufunc__", "__array_priority__", "__hash__", "fromhex", "__getformat__",
    "__module__", "__dict__", "__weakref__",
})  # fmt: skip
NAMES = sorted((set(dir(np.ndarray)) | set(dir(np.float64))) - NOT_ASKED)
OF_NOTHING = frozenset({  # special methods without arguments
    "__abs__", "__neg__", "__pos__", "__invert__", "__bool__", "__len__", "__iter__", "__copy__", "__float__", "__int__", "__index__",
    "__complex__", "__floor__", "__ceil__", "__trunc__", "__reduce__", "__getstate__", "__getnewargs__", "__array__", "__dlpack__",
    "__dlpack_device__",
})  # fmt: skip


def use(*args: Any, **kwargs: Any) -> Use:
    return args, kwargs


USES: dict[str, list[Use]] = {
    "argpartition": [use(1), use(0, 0)],
    "astype": [use(np.longdouble), use("f8", "K", "safe", True, False), use(int), use(int, "K", "safe")],
    "choose": [use([1.0, 2.0])],
    "clip": [use(0, 1), use(min=0.6), use(None, 0.6)],
    "compress": [use([True, False]), use([True, False], 0)],
    "copy": [use(), use("F"), use("K")],
    "cumsum": [use(), use(0)],
    "diagonal": [use(), use(1)],
    "dot": [use(np.ones((3, 2))), use(2.0)],
    "dump": [use(os.devnull)],
    "fill": [use(2.0)],
    "flatten": [use(), use("F"), use("A"), use("K"), use("X")],
    "getfield": [use(np.float32)],
    "item": [use(), use(0)],
    "partition": [use(0), use(1, 0), use(5)],
    "put": [
        use([0, 1], [3.0, 4.0]),
        use([-1], 2.0),
        use([7], 1.0),
        use([7, 8], [1.0, 2.0], "wrap"),
        use([7, 8], [1.0, 2.0], "clip"),
        use([], 1.0),
        use([0, 0, 1], [1.0, 2.0]),
    ],
    "ravel": [use(), use("F"), use("A"), use("K")],
    "repeat": [use(2), use(2, 0)],
    "reshape": [
        use(-1),
        use(3, 2),
        use((3, 2)),
        use(3, 2, order="F"),
        use([2, 3], order="A"),
        use(-1, 1),
        use(5),
        *(
            [use((-1,), copy=True), use(-1, copy=False)]
            if np.lib.NumpyVersion(np.__version__) >= "2.1.0"
            else []
        ),
    ],
    "resize": [use(3, 2)],
    "round": [use(), use(1)],
    "searchsorted": [use(0.6), use([0.1, 3.0], "right")],
    "setfield": [use(1.0, np.float64)],
    "setflags": [use(write=False)],
    "sort": [use(), use(0), use(kind="stable"), use(None)],
    "squeeze": [use(), use(0)],
    "sum": [use(), use(0), use(axis=-1, keepdims=True)],
    "swapaxes": [use(0, 1), use(0, 0)],
    "take": [use([0, 1]), use([0, 1], 0), use(0)],
    "to_device": [use("cpu"), use("gpu")],
    "tofile": [use(os.devnull)],
    "trace": [use(), use(1)],
    "transpose": [use(), use(1, 0), use((1, 0)), use(None)],
    "var": [use(), use(ddof=1)],
    "view": [use(), use(np.float64), use(np.int64), use(np.ndarray), use(np.recarray)],
    "__array_finalize__": [use(None)],
    "__array_namespace__": [use()],
    "__array_wrap__": [use(np.ones(3))],
    "__contains__": [use(1.53), use(9.0)],
    "__deepcopy__": [use({})],
    "__delattr__": [use("foo")],
    "__delitem__": [use(0)],
    "__format__": [use(".2f"), use("")],
    "__getattribute__": [use("shape")],
    "__getitem__": [use(0), use(()), use(...)],
    "__pow__": [use(2), use(2, 3)],
    "__reduce_ex__": [use(4)],
    "__round__": [use(1), use()],
    "__setattr__": [
        use("foo", 1),
        use("shape", (6,)),
        use("T", 1),
        use("real", 2.0),
        use("flat", 2.0),
        use("imag", 2.0),
        use("dtype", int),
        use("strides", (8,)),
    ],
    "__setitem__": [use(0, 1.0), use(..., 1.0)],
    "__setstate__": [use(())],
}
OF_TWO = [use(2.0), use(np.array([1.0, 2.0, 4.0]))]  # operators


def uses_of(name: str) -> list[Use]:
    return USES.get(name, OF_TWO if name.startswith("__") and name not in OF_NOTHING else [use()])
