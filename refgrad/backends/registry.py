"""Finds backends by name: those of refgrad, of installed packages (entry points), and those registered in this process.

``load`` imports a backend and its framework.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

from refgrad.backends.contract import Backend
from refgrad.backends.settings import split
from refgrad.backends.shipped import SHIPPED, command, interpreter, variable, version
from refgrad.backends.worker import WorkerBackend
from refgrad.errors import ArgumentError, RefgradError, WorkerError

ENTRY_POINTS = "refgrad.backends"  # the group of entry points by which a package provides backends
# Each is called with the settings of the address.
BUILT_IN = {
    "torch": "refgrad.torch.backend:TorchBackend",
    "torch-compile-aot_eager": "refgrad.torch.compiled:aot_eager",
    "torch-compile-eager": "refgrad.torch.compiled:eager",
    "torch-compile-inductor": "refgrad.torch.compiled:inductor",
}

_REGISTERED: dict[str, Callable[[], Backend]] = {}


def register(name: str, make: Callable[[], Backend]) -> None:
    """Register a backend under a name in this process; it replaces another one of that name. The first ``load`` calls ``make``."""
    _REGISTERED[name] = make
    load.cache_clear()


def known() -> tuple[str, ...]:
    """The names of all backends, sorted, whether or not their frameworks are installed."""
    return tuple(sorted({*BUILT_IN, *SHIPPED, *_REGISTERED, *_of_packages()}))


@functools.cache
def load(name: str) -> Backend:
    """The backend of a name; repeated calls return the same object.

    A backend in a process of its own is named as ``shipped.command`` says: a shipped worker, "name=interpreter", a worker's file, or a
    command. A built-in backend takes settings after its name (settings.py). Any other name has the form "module:attribute". The attribute
    is a Backend, the words of a worker's command (a list), or a callable without arguments that returns one of the two. An entry point
    names such an attribute.

    Raises ArgumentError where there is no such backend, ModuleNotFoundError where its framework is not installed, WorkerError where a
    worker does not start.
    """
    if name in _REGISTERED:
        return _checked(name, _REGISTERED[name])
    worker = [] if name in _of_packages() else command(name)
    if worker:
        return _started(name, WorkerBackend(worker))
    built_in, settings = split(name)
    if settings and built_in in BUILT_IN:
        return _checked(name, functools.partial(_attribute(name, BUILT_IN[built_in]), settings))
    where = BUILT_IN.get(name) or _of_packages().get(name) or (name if ":" in name else "")
    if not where:
        raise ArgumentError(
            f"no backend named {name!r}; known: {', '.join(known())}. A backend of your own is named module:attribute, or is listed by its "
            f"package under the entry points {ENTRY_POINTS!r}"
        )
    return _checked(name, _attribute(name, where))


def _attribute(name: str, where: str) -> Any:
    """The object at "module:attribute". Raises ArgumentError where there is none."""
    module, _, attribute = where.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise  # a module that the backend needs is missing
        raise ArgumentError(
            f"backend {name!r}: there is no module {module!r}; known backends: {', '.join(known())}"
        ) from error
    except AttributeError as error:
        raise ArgumentError(f"backend {name!r}: module {module!r} has no attribute {attribute!r}") from error
    except (RefgradError, KeyboardInterrupt):
        raise
    except BaseException as error:  # the module's own code ran, which may call sys.exit
        raise ArgumentError(
            f"backend {name!r}: the import of {module!r} raised {type(error).__name__}: {error}"
        ) from error


def installed(name: str) -> tuple[str, str]:
    """The version of the framework of a known backend, empty where it is missing, and where it was found or how to install it.

    Raises ArgumentError where the environment names a Python that does not exist.
    """
    if name in SHIPPED:
        found, worker = version(name), SHIPPED[name]
        note = f"; {worker.note}" if worker.note else ""
        missing = f"{worker.install}; or {variable(name)}=PATH, the Python that has it{note}"
        return found, f"{interpreter(name)}{note}" if found else missing
    if name in BUILT_IN:
        try:
            return metadata.version("torch"), sys.executable
        except metadata.PackageNotFoundError:
            return "", "pip install torch"
    for point in metadata.entry_points(group=ENTRY_POINTS):
        if point.name == name and point.dist is not None:
            return point.dist.version, f"package {point.dist.name}"
    return "registered", "in this process"


def table() -> list[str]:
    """The known backends as lines of text: the version of each, and where it was found or how to install it."""
    rows = [("backend", "version", "where it is, or how to install it")]
    for name in known():
        found, where = installed(name)
        rows.append((name, found or "missing", where))
    wide = [max(len(row[k]) for row in rows) for k in (0, 1)]
    return [f"{name:<{wide[0]}}  {found:<{wide[1]}}  {where}" for name, found, where in rows]


def _checked(name: str, found: object) -> Backend:
    backend = found() if callable(found) and not isinstance(found, Backend) else found
    if isinstance(backend, (list, tuple)) and backend and all(isinstance(word, str) for word in backend):
        backend = WorkerBackend(backend)
    if isinstance(backend, WorkerBackend):
        return _started(name, backend)
    if not isinstance(backend, Backend):
        raise ArgumentError(
            f"backend {name!r}: a refgrad.backends.Backend, or the words of a worker's command, is expected, got {type(backend).__name__}"
        )
    backend.address = name
    return backend


def _started(name: str, backend: WorkerBackend) -> Backend:
    """The backend of a worker, after its hello."""
    try:
        backend.hello  # noqa: B018 - the process starts here
    except WorkerError as error:
        framework = name.partition("=")[0]
        known = SHIPPED.get(framework)
        remedy = (
            f"\nInstall the framework with `{known.install}`, or name the Python that has it: {framework}=PATH"
            if known
            else ""
        )
        raise WorkerError(f"backend {name!r}: {error}{remedy}") from error
    backend.address = name
    return backend


def _of_packages() -> dict[str, str]:
    """The backends of installed packages, by name, as module:attribute."""
    return {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}
