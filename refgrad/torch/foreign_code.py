"""Finds third-party code in a run: Python functions that replace those of torch, and kernels registered from Python."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor

# Packages whose functions are not third-party code.
_KNOWN_PACKAGES = {"torch", "refgrad", "conformance", "numpy", *sys.stdlib_module_names}
_REGISTERED = re.compile(r"^(\w+): registered at (.+\.py|/dev/null):\d+ ::", re.MULTILINE)
# torch itself registers hundreds with these keys.
_NOT_KERNELS = {"Meta", "CompositeExplicitAutograd", "BackendSelect"}


@dataclass(frozen=True)
class Callee:
    """A call of a function in a script: what to import from which module, the expression that is called, and its arguments."""

    module: str
    name: str  # to import from the module
    expression: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def foreign(frame: FrameType) -> bool:
    """Whether a frame runs code that belongs neither to torch nor to refgrad."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] not in _KNOWN_PACKAGES


def callee(frame: FrameType) -> Callee | None:
    """The call that a frame has just begun; None where the function cannot be imported, or no tensor is passed.

    A torch.autograd.Function is called by ``apply``, which passes ``forward`` no context.
    """
    code, module = frame.f_code, str(frame.f_globals.get("__name__", ""))
    args, kwargs = _arguments(frame)
    if not any(isinstance(a, Tensor) for a in (*args, *kwargs.values())):
        return None
    ctx = args[0] if args else None
    cls = getattr(type(ctx), "_forward_cls", None) if code.co_name == "forward" else None
    if cls is not None:
        args = args[1:]
    owner, _, last = code.co_qualname.rpartition(".")
    found = _walk(module, code.co_qualname)
    if module == "__main__" or found is None or not _is(found, code):
        return None
    holder = _walk(module, owner) if owner else None
    if last == "forward" and isinstance(holder, type) and issubclass(holder, torch.autograd.Function):
        return Callee(module, owner.partition(".")[0], f"{owner}.apply", args, kwargs)
    return Callee(module, code.co_qualname.partition(".")[0], code.co_qualname, args, kwargs)


def _arguments(frame: FrameType) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and the keyword arguments of a frame at its beginning."""
    code, bound = frame.f_code, frame.f_locals
    names = code.co_varnames
    plain = names[: code.co_argcount]
    only = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    rest = code.co_argcount + code.co_kwonlyargcount
    args = [bound[n] for n in plain]
    kwargs = {n: bound[n] for n in only}
    if code.co_flags & inspect.CO_VARARGS:
        args += bound[names[rest]]
        rest += 1
    if code.co_flags & inspect.CO_VARKEYWORDS:
        kwargs |= bound[names[rest]]
    return tuple(args), kwargs


def _walk(module: str, qualname: str) -> object:
    """The object of a qualified name in a loaded module; None where there is none."""
    found: object = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _is(function: object, code: CodeType) -> bool:
    return getattr(function, "__code__", None) is code


def file_of(module: str) -> str:
    """The name of the module's file, without its folder; empty where it has none."""
    return Path(getattr(sys.modules.get(module), "__file__", "") or "").name


def functions_of(t: Tensor | None) -> set[str]:
    """The torch.autograd.Functions, written in Python, that a tensor was computed by."""
    waiting, visited, found = [getattr(t, "grad_fn", None)], set(), set()
    while waiting:
        node = waiting.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        cls = getattr(node, "_forward_cls", None)
        if cls is not None and cls.__module__.partition(".")[0] not in _KNOWN_PACKAGES:
            found.add(f"{cls.__module__}.{cls.__qualname__}")
        waiting += [following for following, _ in node.next_functions]
    return found


def kernels(device: str) -> dict[str, list[str]]:
    """Kernels that Python code outside torch has registered for a type of device: by file (empty where unknown), the ops."""
    return _kernels(device, len(torch.library._impls))


@functools.lru_cache(16)
def _kernels(device: str, _count: int) -> dict[str, list[str]]:
    home = str(Path(torch.__file__).parent)
    keys = {
        device.upper(),
        f"Autograd{device.upper()}",
        "Autograd",
        "AutogradOther",
        "CompositeImplicitAutograd",
    }
    found: dict[str, list[str]] = {}
    for entry in sorted(torch.library._impls):
        name, _, key = entry.rpartition("/")
        if key in _NOT_KERNELS or key not in keys:
            continue
        op = name.replace("/", "::")
        for at, file in _REGISTERED.findall(torch._C._dispatch_dump(op)):
            source = file if file.endswith(".py") else _holder(entry)  # older releases record no file
            if at == key and not source.startswith(home):
                found.setdefault(source, []).append(op)
    return found


def _holder(entry: str) -> str:
    """The file of the module that holds the library of a registration; empty where none does."""
    modules = [
        (name, vars(m))
        for name, m in list(sys.modules.items())
        if name.partition(".")[0] not in _KNOWN_PACKAGES - {"torch"}
    ]
    for own in (False, True):  # a module of torch may hold a reference to a foreign library, too
        for name, held in modules:
            libraries = [x for x in list(held.values()) if type(x) is torch.library.Library]
            if (name.partition(".")[0] == "torch") == own and any(entry in x._op_impls for x in libraries):
                return str(held.get("__file__") or "")
    return ""


def module_of(file: str) -> str:
    """The loaded module of a file; empty where there is none that can be imported by name."""
    names = [
        name
        for name, m in list(sys.modules.items())
        if getattr(m, "__file__", None) == file and name != "__main__"
    ]
    return min(names, key=len, default="")
