"""Attributes and methods of NumPy's arrays and scalars that would lose a derivative: each is refused with what to write instead.

Converting a traced array to a number, a plain array or bytes makes a constant of it. ``"%f" % x`` is allowed: a text has no
derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.errors import NoRuleError, TracingError
from refgrad.op import Traced
from refgrad.tracing import caller_instruction, shown_numbers
from refgrad.tracing.differentiable_arguments import INTO_PLAIN, plain

_BYTES = "Write files and bytes outside the differentiated function, from its result."
_POINTER = "Code in C cannot compute with a traced array: write it with NumPy functions, or give it a rule with rg.custom_vjp."
_INTEGER = "np.floor(x), np.ceil(x), np.trunc(x) and np.round(x) keep an array."
_STORED = "Traced arrays live as long as their transformation: store its result."
METHODS: dict[str, tuple[str, str]] = {  # by name: how it is called, what to do instead
    "item": ("x.item()", "Index with x[...] and keep the 0-d result."),
    "tolist": ("x.tolist()", "Iterate over x, or index it."),
    "tobytes": ("x.tobytes()", _BYTES), "tofile": ("x.tofile(file)", _BYTES),
    "dump": ("x.dump(file)", _BYTES), "dumps": ("x.dumps()", _BYTES),
    "getfield": ("x.getfield(dtype)", "It reads the bytes of x as other numbers. Use x.astype(dtype)."),
    "setfield": ("x.setfield(value, dtype)", "It writes bytes into x. Write x[...] = value."),
    "byteswap": ("x.byteswap()", "It reads the bytes of x as other numbers. Leave it out: traced arrays are of native byte order."),
    "__dlpack__": ("x.__dlpack__()", _POINTER),
    "__array_wrap__": ("x.__array_wrap__(array)", "It makes an array of the kind of x out of a plain one. Leave it out."),
    "__array_finalize__": ("x.__array_finalize__(array)", "It belongs to subclasses of np.ndarray. Leave it out."),
    "__floor__": ("math.floor(x)", _INTEGER), "__ceil__": ("math.ceil(x)", _INTEGER), "__trunc__": ("math.trunc(x)", _INTEGER),
    "__complex__": ("complex(x)", "It reads the number, whose derivative would be lost. Use x.astype(complex), or x + 0j."),
    "__index__": ("use as an index", "Indices must be plain integers."),
    "__reduce__": ("pickle of x", _STORED), "__reduce_ex__": ("pickle of x", _STORED), "__getstate__": ("pickle of x", _STORED),
    "__setstate__": ("x.__setstate__(state)", _STORED), "__getnewargs__": ("pickle of x", _STORED),
    "as_integer_ratio": ("x.as_integer_ratio()", "Compute with x itself; np.mean and np.sum instead of the statistics module."),
    "hex": ("x.hex()", 'Print x with f"{x:.17g}".'),
}  # fmt: skip
if hasattr(np.ndarray, "tostring"):  # up to NumPy 2.2
    METHODS["tostring"] = ("x.tostring()", _BYTES)
ATTRIBUTES: dict[str, tuple[str, str]] = {
    "data": ("x.data", _POINTER), "ctypes": ("x.ctypes", _POINTER),
    "base": ("x.base", "np.shares_memory(x, y) tells whether two arrays share memory."),
}  # fmt: skip
UNSUPPORTED: dict[str, str] = {  # methods that lose nothing, but have no meaning here
    "resize": "x.resize(shape) changes the shape of x in place. Write x = np.resize(x, shape), or x.reshape(shape).",
    "setflags": "x.setflags(...) is not supported: a traced array is written to by its program alone. Leave it out.",
}


class Unavailable(Traced):
    """The refused methods and attributes; the end of this file adds those of the tables above."""

    __slots__ = ()

    @property
    def _scalar(self) -> bool:
        """Whether NumPy has a scalar here, which cannot change: an element x[0] or a sum, but not a 0-d array."""
        x = self._value
        while isinstance(x, Traced):
            x = x._value
        return isinstance(x, np.generic)

    def _lost(self, what: str, instead: str) -> TracingError:
        return TracingError(
            f"{what} would lose the derivative of a traced array of shape {self.shape}. {instead}",
            self._levels(),
        )

    def _written(self) -> TracingError:
        """For ``a[key] = x``, where a is a plain array."""
        what = f"a traced array of shape {self.shape}" if self.shape else "a traced number"
        return TracingError(f"a[...] = x would write {what} to a plain array: {INTO_PLAIN}", self._levels())

    def _repeats_rows(self) -> TracingError:
        """For code in C that takes an array for a list: the rows that it has read are views, and change as it writes."""
        return TracingError(
            f"code in C, such as shuffle of np.random, moves rows of a traced array of shape {self.shape} as entries of a list, and would "
            "repeat some. Draw an order instead: order = np.arange(len(x)); rng.shuffle(order); x[:] = x[order].",
            self._levels(),
        )

    def _converted(self, caller: str) -> TracingError:
        """For a conversion to a plain array by code of the module ``caller``."""
        if f"{caller}.".startswith("numpy.ma."):
            return self._lost(
                "use in a masked array",
                "No rule knows a mask. Compute with plain arrays: np.where(mask, 0.0, x) for what is masked.",
            )
        return self._lost(
            "conversion to a plain NumPy array",
            "Code in C, of another package or under another name than NumPy's asks for the plain numbers of x, or of a list that holds x. "
            "The differentiated function and those that it names may write np.array([x, ...]), np.asarray(x) and np.sum([x, ...]); "
            "elsewhere pass an array: np.stack([x, ...]), np.array([x, ...], like=x).",
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        if caller_instruction.writes():
            raise self._written()
        raise self._converted(caller_instruction.caller())

    @property
    def __array_interface__(self) -> Any:
        if caller_instruction.only_asks():
            return None
        if caller_instruction.writes():
            raise self._written()
        raise self._converted(caller_instruction.caller())

    @property
    def __array_struct__(self) -> Any:
        if caller_instruction.only_asks():
            return None
        if caller_instruction.writes():
            raise self._written()
        raise self._converted(caller_instruction.caller())

    def __float__(self) -> float:
        if caller_instruction.formats():
            shown_numbers.remember_formatted(
                float(plain(self)), caller_instruction.templates(), self._levels()
            )
            return float(plain(self))
        if caller_instruction.writes():
            raise self._written()
        raise self._lost(
            "float(x)",
            "Use x itself, or np.float64(x), and NumPy functions instead of math functions (np.sin, not math.sin).",
        )

    def __int__(self) -> int:
        if caller_instruction.formats():
            shown_numbers.remember_formatted(int(plain(self)), caller_instruction.templates(), self._levels())
            return int(plain(self))
        raise self._lost("int(x)", "Compute integers from plain arrays, outside the differentiated function.")


def _refused_method(name: str, what: str, instead: str) -> Callable[..., Any]:
    def call(self: Unavailable, *args: Any, **kwargs: Any) -> Any:
        raise self._lost(what, instead)

    call.__name__ = name
    return call


def _refused_attribute(what: str, instead: str) -> property:
    def refuse(self: Unavailable, *value: Any) -> Any:
        if caller_instruction.only_asks():
            return None
        raise self._lost(what, instead)

    return property(refuse, refuse)


def _unsupported(name: str, message: str) -> Callable[..., Any]:
    def call(self: Unavailable, *args: Any, **kwargs: Any) -> Any:
        raise NoRuleError(message)

    call.__name__ = name
    return call


class Only:
    """A method or property that NumPy's scalars lack, or that its arrays lack: asked for there, it is missing here too."""

    def __init__(self, held: Any, name: str, *, of_scalars: bool) -> None:
        self.held = held
        self.name = name
        self.of_scalars = of_scalars

    def __get__(self, x: Any, owner: type) -> Any:
        if x is None:
            return self.held
        if x._scalar != self.of_scalars:
            raise MissingError(x, self.name)
        if isinstance(self.held, property) and caller_instruction.only_asks():
            return None
        return self.held.__get__(x, owner)


class MissingError(AttributeError, TypeError):
    """Of an attribute that is not there, as ``hasattr`` expects it and as ``len`` does."""

    def __init__(self, x: Any, name: str) -> None:
        kind = f"numpy.{x.__class__.__name__}"
        messages = {
            "__len__": f"object of type '{kind}' has no len()",
            "__contains__": f"argument of type '{kind}' is not iterable",
        }
        super().__init__(messages.get(name, f"'{kind}' object has no attribute '{name}'"))


for _name, (_what, _instead) in METHODS.items():
    setattr(Unavailable, _name, _refused_method(_name, _what, _instead))
for _name, (_what, _instead) in ATTRIBUTES.items():
    setattr(Unavailable, _name, _refused_attribute(_what, _instead))
for _name, _message in UNSUPPORTED.items():
    setattr(Unavailable, _name, _unsupported(_name, _message))
for _name in set(METHODS) | set(ATTRIBUTES):
    _scalars, _arrays = hasattr(np.float64, _name), hasattr(np.ndarray, _name)
    if _scalars != _arrays and _name not in {"__complex__", "__index__", "__array_finalize__"}:
        setattr(Unavailable, _name, Only(vars(Unavailable)[_name], _name, of_scalars=_scalars))
