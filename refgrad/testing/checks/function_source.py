"""The source of a Python function with its dependencies, as a self-contained text.

Objects of installed packages are imported. Other objects, from the function's module and enclosing functions, are written as source text
or as values. An UnwritableError names an object that cannot be written.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import linecache
import math
import site
import symtable
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

# A value as an expression; None for a type that the writer does not support.
Writer = Callable[[Any], str | None]


class UnwritableError(Exception):
    """A function or value that cannot be written as text. The message gives the reason."""


class Source:
    """A collection of imports and definitions, each after its dependencies.

    write   writes values of a framework, such as tensors; Python constants and containers are supported without it
    """

    def __init__(self, write: Writer | None = None) -> None:
        self.write = write or (lambda _: None)
        self.imports: dict[str, str] = {}  # name -> line
        self.definitions: list[str] = []
        self._names: dict[str, Any] = {}  # the object of each name
        self._in_progress: set[int] = set()

    def lines(self) -> tuple[list[str], list[str]]:
        """The imports, and the definitions in the order of their execution."""
        return list(dict.fromkeys(self.imports.values())), self.definitions

    def expression(self, f: Any) -> str:
        """An expression for the function f. Raises UnwritableError."""
        owner = getattr(f, "__self__", None)
        if isinstance(f, (MethodType, BuiltinFunctionType)) and isinstance(owner, type):  # SomeFunction.apply
            return f"{self.name_of(owner)}.{f.__name__}"
        if isinstance(f, functools.partial):
            self._define("functools", functools)
            parts = [self.expression(f.func), *map(self.value, f.args)]
            parts += [f"{k}={self.value(v)}" for k, v in f.keywords.items()]
            return f"functools.partial({', '.join(parts)})"
        if isinstance(f, FunctionType) and f.__name__ == "<lambda>":
            return self._lambda(f)
        return self.name_of(f)

    def value(self, x: Any) -> str:
        """An expression for a value. Raises UnwritableError."""
        written = self.write(x)
        if written is not None:
            return written
        if isinstance(x, float) and not math.isfinite(x):
            return f'float("{x}")'
        if isinstance(x, (int, float, complex, str, bytes, bool, type(None), type(...))):
            return "..." if x is ... else repr(x)
        if isinstance(x, (tuple, list, set)) and type(x) in (tuple, list, set):
            inner = ", ".join(map(self.value, x))
            left, right = {tuple: ("(", ")"), list: ("[", "]"), set: ("{", "}")}[type(x)]
            return (
                f"{left}{inner}{',' if isinstance(x, tuple) and len(x) == 1 else ''}{right}"
                if x or type(x) is not set
                else "set()"
            )
        if type(x) is dict:
            return "{" + ", ".join(f"{self.value(k)}: {self.value(v)}" for k, v in x.items()) + "}"
        if isinstance(x, slice):
            return f"slice({x.start!r}, {x.stop!r}, {x.step!r})"
        if callable(x):
            return self.expression(x)
        raise UnwritableError(f"a value of type {type(x).__name__} cannot be written")

    def name_of(self, x: Any) -> str:
        """The name of a function or class, after its import or definition was added. Raises UnwritableError."""
        name = str(getattr(x, "__name__", ""))
        written = self.write(x)
        if written is not None:
            return written
        module = sys.modules.get(str(getattr(x, "__module__", None) or ""))
        if module is not None and installed(module):
            return self._imported(x, module)
        if not isinstance(x, (FunctionType, type)):
            raise UnwritableError(
                f"{name or type(x).__name__} is no function with a source, but of type {type(x).__name__}"
            )
        self._define(name, x)
        return name

    def _imported(self, x: Any, module: ModuleType) -> str:
        path = str(getattr(x, "__qualname__", x.__name__))
        found: Any = module
        for part in path.split("."):
            found = getattr(found, part, None)
        if found is not x:
            raise UnwritableError(f"{module.__name__} has no {path} to import")
        self._add_import(module.__name__.partition(".")[0], f"import {module.__name__}", module)
        return f"{module.__name__}.{path}"

    def _add_import(self, name: str, line: str, x: Any) -> None:
        """Add an import. ``import a.b`` and ``import a.c`` bind one name and are both kept."""
        self.imports[f"{name} {line}"] = line
        self._names.setdefault(name, x)

    def _define(self, name: str, x: Any) -> None:
        """Define a name in the text, once. Raises UnwritableError where the name has another meaning already."""
        if name in self._names:
            if self._names[name] is not x and not _equal_constants(self._names[name], x):
                raise UnwritableError(f"two different things are called {name}")
            return
        if id(x) in self._in_progress:
            return
        if isinstance(x, ModuleType):
            if not installed(x):
                raise UnwritableError(f"{name} is a module of its own, {x.__name__}")
            self._names[name] = x
            alias = "" if x.__name__ == name else f" as {name}"
            self.imports[name] = f"import {x.__name__}{alias}"
            return
        module = sys.modules.get(str(getattr(x, "__module__", None) or ""))
        if callable(x) and module is not None and installed(module):
            own_name = str(getattr(x, "__qualname__", getattr(x, "__name__", "")))
            if own_name.isidentifier() and getattr(module, own_name, None) is x:
                self._names[name] = x
                self.imports[name] = f"from {module.__name__} import {own_name}" + (
                    "" if own_name == name else f" as {name}"
                )
                return
        self._in_progress.add(id(x))
        if isinstance(x, FunctionType) and x.__name__ == "<lambda>":
            text = f"{name} = {self._lambda(x)}"
        elif isinstance(x, (FunctionType, type)):
            text = self._definition(x)
            if x.__name__ != name:
                text += f"\n\n{name} = {x.__name__}"
                self._names[x.__name__] = x
        else:
            try:
                text = f"{name} = {self.value(x)}"
            except UnwritableError as error:
                raise UnwritableError(f"{name}: {error}") from None
        self._names[name] = x
        self.definitions.append(text)

    def _definition(self, x: Any) -> str:
        """The source of a function or class, after its dependencies were added. Raises UnwritableError."""
        try:
            lines, start = inspect.getsourcelines(x)
        except (OSError, TypeError) as error:
            raise UnwritableError(f"the source of {x.__name__} cannot be found: {error}") from None
        for f in _functions(x):
            own_name = f.__qualname__ == x.__qualname__ or f.__qualname__.startswith(f"{x.__qualname__}.")
            if own_name and not start <= f.__code__.co_firstlineno < start + len(lines):
                raise UnwritableError(f"the source that was found for {x.__name__} is another one's")
        text = textwrap.dedent("".join(lines)).rstrip()
        self._define_free_names(text, _environment(x), x.__name__)
        return text

    def _lambda(self, f: FunctionType) -> str:
        text = _lambda_text(f)
        self._define_free_names(text, _environment(f), "")
        return f"({text})"

    def _define_free_names(self, text: str, environment: Mapping[str, Any], own_name: str) -> None:
        """Define every free name of a text that its environment defines."""
        for name in sorted(_free_names(text)):
            if name != own_name and name in environment:
                self._define(name, environment[name])


def installed(module: ModuleType) -> bool:
    """Whether a module belongs to the standard library or to an installed package."""
    top = module.__name__.partition(".")[0]
    if top == "__main__":
        return False
    if top in sys.stdlib_module_names or top in {"torch", "numpy"}:
        return True
    file = getattr(module, "__file__", None)
    folders = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("purelib")]
    return file is not None and any(Path(folder) in Path(file).parents for folder in folders)


def importable(f: Any) -> str:
    """The line that imports a function from its module; "" where it cannot be imported."""
    owner = getattr(f, "__self__", None)
    x = owner if isinstance(owner, type) else f
    name, module = str(getattr(x, "__qualname__", "")), str(getattr(x, "__module__", "") or "")
    if not name.isidentifier() or module in {"", "__main__"}:
        return ""
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return ""
    return f"from {module} import {name}" if found is x else ""


def _equal_constants(x: Any, y: Any) -> bool:
    """Whether two constants are equal and of one type; False for other objects."""
    plain = (int, float, str, bytes, bool, tuple, type(None))
    return isinstance(x, plain) and type(x) is type(y) and bool(x == y)


def _functions(x: Any) -> Iterator[FunctionType]:
    """The function without its decorators; for a class, the functions in its body."""
    for member in vars(x).values() if isinstance(x, type) else [x]:
        inner = inspect.unwrap(getattr(member, "__func__", member)) if callable(member) else None
        if isinstance(inner, FunctionType):
            yield inner


def _environment(x: Any) -> dict[str, Any]:
    """The environment of a function or class: the names of its module and of the enclosing functions."""
    module = sys.modules.get(str(getattr(x, "__module__", None) or ""))
    found: dict[str, Any] = dict(vars(module)) if module is not None else {}
    for f in _functions(x):
        found.update(f.__globals__)
    for f in _functions(x):
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            if name != "__class__":
                try:
                    found[name] = cell.cell_contents
                except ValueError:  # the variable is not assigned yet
                    continue
    if isinstance(x, type):
        found.update({base.__name__: base for base in x.__bases__ if base.__name__ not in found})
    return found


def _free_names(text: str) -> set[str]:
    """The free names of a text, without builtins."""
    found: set[str] = set()
    table = symtable.symtable(text, "source", "exec")
    top = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    waiting = [table]
    while waiting:
        scope = waiting.pop()
        waiting += scope.get_children()
        for s in scope.get_symbols():
            outer = s.is_global() if scope.get_type() != "module" else s.is_referenced()
            if outer and s.get_name() not in top and not hasattr(builtins, s.get_name()):
                found.add(s.get_name())
    return found


def _lambda_text(f: FunctionType) -> str:
    """The source of a lambda, found by the position of its code in the file. Raises UnwritableError."""
    lines = linecache.getlines(f.__code__.co_filename, f.__globals__)
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError as error:
        raise UnwritableError(f"the file of the lambda cannot be read: {error}") from None
    places = [(a, b, c, d) for a, b, c, d in f.__code__.co_positions() if a and b and c is not None and d]
    span = min((p[0], p[2]) for p in places), max((p[1], p[3]) for p in places)
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda)
        and (node.lineno, node.col_offset) <= span[0]
        and span[1] <= (node.end_lineno or 0, node.end_col_offset or 0)
    ]
    if not found:
        raise UnwritableError("the source of the lambda cannot be found")
    return ast.unparse(max(found, key=lambda n: (n.lineno, n.col_offset)))
