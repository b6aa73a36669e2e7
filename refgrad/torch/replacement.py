"""Functions of a library in the place of torch's: what an op's counterpart in torch is, and how its calls reach another function.

The record of an op says how torch computes it, as a function that receives the torch module. With a replacement it receives a copy of that
module, in which one function is another. So the replacement is called with the arguments with which torch's own function is called.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import refgrad.ops  # noqa: F401  registers every op
from refgrad.errors import ArgumentError
from refgrad.op import REGISTRY, OpRecord, known
from refgrad.quiet import quiet

_SAMPLES = 40  # draws of operands and parameters by which the counterpart is found: the rarest way of calling it comes up
_LISTED = 4  # arguments of a call that a message shows

_OF_PARTS = frozenset({"complex", "view_as_real"})  # they form complex operands, and show complex values

Namespaces = Mapping[str, types.ModuleType]  # by op, the torch module that its record receives
TORCH: Namespaces = types.MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Replacement:
    """A function that is judged in the place of torch's.

    op         the op whose counterpart it replaces
    module     the module of the function, and its name there
    path       the name of torch's function in the torch module, such as "nn.functional.gelu"
    namespace  the torch module in which the function stands at ``path``
    """

    op: str
    module: str
    name: str
    path: str
    function: Callable[..., Any] = field(repr=False)
    namespace: types.ModuleType = field(repr=False)

    def __str__(self) -> str:
        return f"{self.op} by {self.module}:{self.name} in place of torch.{self.path}"

    def calling(self, function: Callable[..., Any]) -> types.ModuleType:
        """The torch module with another function at the same place."""
        return _with(torch, self.path, function)


def replacements(texts: Iterable[str]) -> dict[str, Replacement]:
    """The replacements in texts such as "softmax=package.module:softmax", by op.

    Raises ArgumentError for a text of another form, an op that torch does not have or computes by no function, a function that cannot be
    imported, and one that does not take the arguments with which torch's is called.
    """
    found: dict[str, Replacement] = {}
    for text in texts:
        one = _replacement(text)
        if one.op in found:
            raise ArgumentError(
                f"--replace {text}: {found[one.op]} was given before; an op has one replacement"
            )
        found[one.op] = one
    return found


def namespaces(found: Mapping[str, Replacement]) -> Namespaces:
    """The torch modules with replacements, by op."""
    return {op: one.namespace for op, one in found.items()}


def _replacement(text: str) -> Replacement:
    op_name, _, where = text.partition("=")
    module, _, name = where.partition(":")
    if not (op_name and module and name):
        raise ArgumentError(
            f"--replace {text}: OP=MODULE:FUNCTION is expected, such as softmax=mylib.module:softmax"
        )
    op = known(op_name)
    if op is None or op.torch is None:
        known_ops = [name for name, record in REGISTRY.items() if record.torch is not None]
        like = " or ".join(difflib.get_close_matches(op_name, known_ops, 3))
        raise ArgumentError(
            f"--replace {text}: {op_name!r} is no op with a counterpart in torch; {f'did you mean {like}? ' if like else ''}"
            "`refgrad ops` lists them"
        )
    path, calls = counterpart(op)
    if not path:
        raise ArgumentError(
            f"--replace {text}: torch computes {op_name} by a method or an operator of tensors, which no function replaces"
        )
    function = _imported(text, module, name)
    _check_signature(text, path, function, calls)
    return Replacement(op_name, module, name, path, function, _with(torch, path, function))


def _imported(text: str, module: str, name: str) -> Callable[..., Any]:
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"--replace {text}: there is no module {error.name!r}; Python finds a file of your own where PYTHONPATH names its folder"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the module's own code ran, which may call sys.exit
        raise ArgumentError(f"--replace {text}: its import raised {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ArgumentError(f"--replace {text}: module {module!r} has no {name!r}")
        found = getattr(found, part)
    if not callable(found):
        raise ArgumentError(f"--replace {text}: a function is expected, got {type(found).__name__}")
    function: Callable[..., Any] = found
    return function


# --- torch's counterpart ----------------------------------------------------------------------------------------------

Call = tuple[tuple[Any, ...], dict[str, Any]]


def counterpart(op: OpRecord) -> tuple[str, list[Call]]:
    """The function of torch that computes an op, by its name in the torch module, and calls of it; an empty name where there is none.

    The record is called with operands that its domain draws. Of the functions that it calls, the counterpart is the one that most draws
    lead to, and of several the last: others prepare its operands. Functions to and from the parts of complex numbers do not count.
    """
    count: Counter[str] = Counter()
    calls: dict[str, list[Call]] = {}
    order: dict[str, int] = {}
    assert op.torch is not None
    for k in range(_SAMPLES):
        operands, params = op.domain.sample(np.random.default_rng(k), len(op.signature.operands))
        called: list[tuple[str, Call]] = []
        with quiet(), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            tensors = [torch.from_numpy(np.array(x)) for x in operands]
            op.torch(_Watched(torch, "", called), *tensors, **{**op.signature.defaults, **params})
        count.update({path for path, _ in called})
        for place, (path, call) in enumerate(called):
            calls.setdefault(path, []).append(call)
            order[path] = place
    for path in _OF_PARTS & count.keys():
        del count[path]
    path = max(count, key=lambda p: (count[p], order[p]), default="")
    return path, calls.get(path, [])


class _Watched:
    """A module of torch whose functions note their calls."""

    def __init__(self, module: types.ModuleType, path: str, called: list[tuple[str, Call]]) -> None:
        self._module, self._path, self._called = module, path, called

    def __getattr__(self, name: str) -> Any:
        found, path = getattr(self._module, name), f"{self._path}{name}"
        if isinstance(found, types.ModuleType):
            return _Watched(found, f"{path}.", self._called)
        if not callable(found) or isinstance(found, type):
            return found

        @functools.wraps(found)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self._called.append((path, (args, kwargs)))
            return found(*args, **kwargs)

        return watched


def _with(module: types.ModuleType, path: str, function: Callable[..., Any]) -> types.ModuleType:
    """A copy of a module with a function at a path; what is not on the path is shared."""
    first, _, rest = path.partition(".")
    made = types.ModuleType(module.__name__)
    made.__dict__.update(vars(module))
    setattr(made, first, _with(getattr(module, first), rest, function) if rest else function)
    return made


def _check_signature(text: str, path: str, function: Callable[..., Any], calls: Iterable[Call]) -> None:
    """Raise ArgumentError where the function does not take arguments of one of the calls."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled functions may not tell theirs
        return
    for args, kwargs in calls:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(
                f"--replace {text}: it is called as torch.{path} is, for example {path.rpartition('.')[2]}({_shown(args, kwargs)}), and "
                f"{signature} does not take this: {error}"
            ) from None


def _shown(args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
    """The arguments of a call, tensors by their shapes."""
    texts = [_one(a) for a in args] + [f"{k}={_one(v)}" for k, v in kwargs.items()]
    return ", ".join(texts[:_LISTED] + (["..."] if len(texts) > _LISTED else []))


def _one(x: Any) -> str:
    return f"<tensor {tuple(x.shape)}>" if isinstance(x, torch.Tensor) else repr(x)
