"""A run of torch as Python text: every call that torch receives, with its arguments as they were.

What is recorded is what torch was told, not what some source says: helpers and parameters are resolved, NumPy is gone, and
the text run again gives the same bits.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from refgrad.torch.foreign_code import Callee, callee, foreign

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
    """A call cannot be written as text: an argument that is neither a tensor met before nor a plain value."""


class Recording(TorchFunctionMode):
    """While this mode is on, calls are executed as ever, and written down as assignments.

    A Python function of somebody else that is called in the place of one of torch's is written down as a call of that function, by
    what has to be imported (``imports``), where it can be; otherwise as what it tells torch. A call that raises is the last line.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype  # of the script's tensors, unless a line says otherwise
        self.lines: list[str] = []
        self.imports: dict[str, str] = {}  # by name, the module it is imported from
        self.applied: set[str] = (
            set()
        )  # the torch.autograd.Functions of somebody else that are called by their name
        self.strangers: set[str] = set()  # modules of which functions were called, imported here or not
        self._names: dict[int, str] = {}
        self._kept: list[Any] = []  # an id is a name only as long as its tensor lives
        self._count = 0
        self._busy = False  # inside a call of torch
        self._call_of: tuple[FrameType, str] | None = None  # a foreign call that is under way

    def __enter__(self) -> Self:
        super().__enter__()
        self._profile = sys.getprofile()
        sys.setprofile(self._followed)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(self._profile)
        super().__exit__(*error)

    def _followed(self, frame: FrameType, event: str, value: Any) -> None:
        """What Python tells of every call and return: foreign functions are found here."""
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
        self.strangers.add(str(frame.f_globals.get("__name__", "")))
        called = callee(frame)
        text = None if called is None else self._foreign(called)
        if text is not None:
            self._call_of = frame, text

    def _foreign(self, called: Callee) -> str | None:
        """A foreign call as text; None where an argument cannot be written, or another module's function has its name."""
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
        """Give a tensor a name that the text may use."""
        self._names[id(t)] = name
        self._kept.append(t)

    def of(self, t: Tensor) -> str:
        """The name of a tensor; one never met before is written out as a constant."""
        if id(t) not in self._names:
            self._assign(t, constant(t, self.dtype))
        return self._names[id(t)]

    def _assign(self, t: Any, expression: str) -> None:
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

    def _call(self, func: Any, args: Any, kwargs: Any) -> str:
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

    def _key(self, key: Any) -> str:
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

    def _text(self, value: Any) -> str:
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
            return repr(
                value
            )  # of a float, the shortest text that reads back as the same number; nan and inf are names in the script
        raise UnwritableError(f"an argument of type {type(value).__name__}")


def _writes(func: Any, kwargs: Any) -> bool:
    """Whether a call changes a tensor in place. What it returns has a name already, or is nothing: the call is a line of its own."""
    name = getattr(func, "__name__", "")
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or name == "__setitem__" or name in _OPERATORS_IN_PLACE or kwargs.get("out") is not None


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for v in value for leaf in _leaves(v)]
    return [value]


def constant(t: Tensor, dtype: torch.dtype) -> str:
    """A tensor as an expression with its exact elements; ``tensor`` is the script's function, with this default dtype."""
    numbers = t.detach().cpu()
    if t.is_floating_point():
        shape = "".join(f", {n}" for n in t.shape)
        cast = "" if t.dtype == dtype else f", dtype={t.dtype}"
        return f"tensor([{', '.join(map(repr, numbers.double().reshape(-1).tolist()))}]{shape}{cast})"
    return f"torch.tensor({numbers.reshape(-1).tolist()!r}, dtype={t.dtype}, device=device).reshape({tuple(t.shape)!r})"


# The function that a script makes its tensors with: from float64, which holds the numbers of every format exactly.
HELPERS = """\
def tensor(numbers, *shape, dtype=dtype):
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape).to(device, dtype)
"""
