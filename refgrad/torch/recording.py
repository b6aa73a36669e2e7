"""Records a run of torch as Python text: every call that torch receives, with the values of its arguments.

The text contains calls of torch alone: helper functions and parameters are resolved, and NumPy arrays are constants. Running it again
gives the same bits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from refgrad.torch.foreign_code import Callee, callee, foreign, functions_of

_SHORT = {
    "torch.Tensor.__getitem__": "[]",
    "torch.Tensor.add": "+",
    "torch.Tensor.sub": "-",
    "torch.Tensor.mul": "*",
    "torch.Tensor.div": "/",
    "torch.Tensor.__truediv__": "/",
    "torch.Tensor.pow": "**",
    "torch.Tensor.__pow__": "**",
}


_OPERATORS_IN_PLACE = frozenset(
    f"__i{name}__"
    for name in (
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
    )
)


class UnwritableError(Exception):
    """A call cannot be written as text: an argument is neither a recorded tensor nor a plain value."""


class Recording(TorchFunctionMode):
    """While this mode is on, calls run as usual and are recorded as assignments.

    A call of a third-party Python function is recorded as a call of that function, with the import that it needs (``imports``). Where
    that cannot be written, the calls of torch that the function makes are recorded instead. A call that raises is the last line.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype  # of the script's tensors, unless a line says otherwise
        self.lines: list[str] = []
        self.imports: dict[str, str] = {}  # by name, the module it is imported from
        self.applied: set[str] = set()  # third-party torch.autograd.Functions that the text calls by name
        # third-party modules whose functions were called, imported or not
        self.foreign_modules: set[str] = set()
        self._names: dict[int, str] = {}
        self._named_tensors: list[Tensor] = []  # keeps the tensors alive, because _names has them by id
        self._count = 0
        self._busy = False  # inside a call of torch
        self._call_of: tuple[FrameType | None, str] | None = None  # a third-party call that has not returned

    def __enter__(self) -> Self:
        super().__enter__()
        self._profile = sys.getprofile()
        # A profiler in C, such as cProfile, cannot be put back by sys.setprofile: it goes on, and third-party calls are not found.
        if self._profile is None or callable(self._profile):
            sys.setprofile(self._profile_event)
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if self._profile is None or callable(self._profile):
            sys.setprofile(self._profile)

    def _profile_event(self, frame: FrameType, event: str, value: object) -> None:
        """Receives every call and return of Python functions, and finds calls of third-party functions."""
        if self._call_of is not None:
            if event == "return" and frame is self._call_of[0]:
                expression, self._call_of = self._call_of[1], None
                if any(isinstance(t, Tensor) for t in _leaves(value)):
                    self._assign(value, expression)
                else:  # it raised
                    self.lines.append(expression)
            return
        if event != "call" or self._busy or not foreign(frame):
            return
        self.foreign_modules.add(str(frame.f_globals.get("__name__", "")))
        called = callee(frame)
        text = None if called is None else self._foreign(called)
        if text is not None:
            self._call_of = frame, text

    def call(self, function: Callable[..., Any], called: Callee) -> Any:
        """Call a third-party function and record the call by the name in ``called``, also where the function is no Python code."""
        self.foreign_modules.add(called.module)
        text = self._foreign(called)
        if text is None:
            return function(*called.args, **called.kwargs)
        self._call_of = None, text
        try:
            out = function(*called.args, **called.kwargs)
        except Exception:
            self.lines.append(text)
            raise
        finally:
            self._call_of = None
        self.applied |= {name for t in _leaves(out) if isinstance(t, Tensor) for name in functions_of(t)}
        self._assign(out, text)
        return out

    def _foreign(self, called: Callee) -> str | None:
        """A third-party call as text; None where an argument cannot be written, or another module's function has its name."""
        if self.imports.get(called.name, called.module) != called.module:
            return None
        try:
            texts = [self._text(a) for a in called.args]
            texts += [f"{key}={self._text(value)}" for key, value in called.kwargs.items()]
        except UnwritableError:
            return None
        self.imports[called.name] = called.module
        self.applied |= {f"{called.module}.{called.expression.removesuffix('.apply')}"}
        return f"{called.expression}({', '.join(texts)})"

    def name(self, t: Tensor, name: str) -> None:
        """Give a tensor the name by which the text refers to it."""
        self._names[id(t)] = name
        self._named_tensors.append(t)

    def of(self, t: Tensor) -> str:
        """The name of a tensor. A tensor that no call has returned is written as a constant."""
        if id(t) not in self._names:
            self._assign(t, constant(t, self.dtype))
        return self._names[id(t)]

    def _assign(self, t: object, expression: str) -> None:
        name = f"v{self._count}"
        self._count += 1
        self.lines.append(f"{name} = {expression}")
        if isinstance(t, Tensor):
            self.name(t, name)
        for k, part in enumerate(t if isinstance(t, tuple) else ()):
            if isinstance(part, Tensor):
                self.name(part, f"{name}[{k}]")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._busy or self._call_of is not None:
            return func(*args, **kwargs)
        self._busy = True
        try:
            out = func(*args, **kwargs)
        except Exception:
            self.lines.append(self._call(func, args, kwargs))
            raise
        finally:
            self._busy = False
        made = [t for t in (out if isinstance(out, tuple) else (out,)) if isinstance(t, Tensor)]
        if made and not all(id(t) in self._names for t in made):
            if any(isinstance(a, Tensor) for a in _leaves([args, kwargs])):
                self._assign(out, self._call(func, args, kwargs))
            elif isinstance(out, Tensor):
                self._assign(out, constant(out, self.dtype))
            else:
                raise UnwritableError(str(func))
        elif _writes(func, kwargs):
            self.lines.append(self._call(func, args, kwargs))
        return out

    def _call(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """A call of torch as text. Raises UnwritableError."""
        if getattr(func, "__name__", "") == "__get__":
            return f"{self._text(args[0])}.{func.__self__.__name__}"
        name = resolve_name(func)
        if name is None:
            raise UnwritableError(str(func))
        if isinstance(func, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
            name = f"torch.ops.{name}"
        sign = _SHORT.get(name)
        if sign == "[]":
            return f"{self._text(args[0])}[{self._key(args[1])}]"
        if name == "torch.Tensor.__setitem__":
            return f"{self._text(args[0])}[{self._key(args[1])}] = {self._text(args[2])}"
        texts = [self._text(a) for a in args]
        if sign and len(texts) == 2 and not kwargs and isinstance(args[0], Tensor):
            return f"{texts[0]} {sign} {texts[1]}"
        named = [f"{key}={self._text(value)}" for key, value in kwargs.items()]
        method = name.removeprefix("torch.Tensor.")
        if method != name:
            return f"{texts[0]}.{method}({', '.join([*texts[1:], *named])})"
        return f"{name}({', '.join([*texts, *named])})"

    def _key(self, key: object) -> str:
        """An index as text. Raises UnwritableError."""
        if isinstance(key, (tuple, list)) and any(
            isinstance(k, slice) or k is None or k is Ellipsis for k in key
        ):
            key = tuple(key)
        if isinstance(key, tuple):
            return ", ".join(map(self._key, key)) + ("," if len(key) == 1 else "") if key else "()"
        if isinstance(key, slice):
            start, stop, step = ("" if v is None else self._text(v) for v in (key.start, key.stop, key.step))
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return self._text(key)

    def _text(self, value: object) -> str:
        """An argument as text. Raises UnwritableError."""
        if isinstance(value, Tensor):
            return self.of(value)
        if value is Ellipsis:
            return "..."
        if isinstance(value, torch.device):
            return repr(str(value))
        if isinstance(value, np.generic):
            return self._text(value.item())
        if isinstance(value, list):
            return f"[{', '.join(map(self._text, value))}]"
        if isinstance(value, tuple):  # torch.Size, too
            return f"({', '.join(map(self._text, value))}{',' if len(value) == 1 else ''})"
        if value is None or isinstance(value, (bool, int, float, str, torch.dtype)):
            return repr(value)  # a float reads back as the same number; nan and inf are names in the script
        raise UnwritableError(f"an argument of type {type(value).__name__}")


def _writes(func: Callable[..., object], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call changes a tensor in place. It is a line of its own, because it returns a tensor with a name, or None."""
    name = getattr(func, "__name__", "")
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or name == "__setitem__" or name in _OPERATORS_IN_PLACE or kwargs.get("out") is not None


def _leaves(value: object) -> list[object]:
    """The objects in nested dicts, lists and tuples."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for v in value for leaf in _leaves(v)]
    return [value]


def constant(t: Tensor, dtype: torch.dtype) -> str:
    """A tensor as an expression with its exact elements. The expression calls ``tensor`` of HELPERS, whose default dtype is given."""
    numbers = t.detach().cpu()
    if t.is_floating_point():
        shape = "".join(f", {n}" for n in t.shape)
        cast = "" if t.dtype == dtype else f", dtype={t.dtype}"
        return f"tensor([{', '.join(map(repr, numbers.double().reshape(-1).tolist()))}]{shape}{cast})"
    return f"torch.tensor({numbers.reshape(-1).tolist()!r}, dtype={t.dtype}, device=device).reshape({tuple(t.shape)!r})"


# A script makes its tensors with this function. float64 holds the numbers of every format exactly.
HELPERS = """\
def tensor(numbers, *shape, dtype=dtype):
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape).to(device, dtype)
"""
