"""Settings of a backend that its address carries: what is loaded first, whose functions are judged, what a device promises.

An address is a name, and after a question mark the settings, written as the query of a URL. So one text names a backend to the processes
of a run, to results files and to ``refgrad repro``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from urllib.parse import parse_qsl, quote

from refgrad.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in an address, each in the order given.

    load      the modules that each process imports before it uses the framework
    rounding  the files with the rounding profiles of devices (rounding_file.py)
    replace   the functions that are judged in the place of the framework's own: "op=module:function"
    """

    load: tuple[str, ...] = ()
    rounding: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) for f in fields(self))


NO_SETTINGS = Settings()


def split(address: str) -> tuple[str, Settings]:
    """The name and the settings of an address. Raises ArgumentError for a setting that does not exist or is empty."""
    name, _, query = address.partition("?")
    known = [f.name for f in fields(Settings)]
    given: dict[str, list[str]] = {key: [] for key in known}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in given or not value:
            raise ArgumentError(
                f"backend {address!r}: the settings after the question mark are {', '.join(known)}, each with a value; got {key}={value}"
            )
        given[key].append(value)
    return name, Settings(**{key: tuple(values) for key, values in given.items()})


def joined(name: str, settings: Settings) -> str:
    """The address of a name and settings: what ``split`` reads."""
    pairs = [(f.name, value) for f in fields(Settings) for value in getattr(settings, f.name)]
    query = "&".join(f"{key}={quote(value, safe='/:=')}" for key, value in pairs)
    return f"{name}?{query}" if query else name


def imported(modules: Iterable[str]) -> None:
    """Import modules by name. Raises ArgumentError for one that is not found, or that raises."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ArgumentError(
                f"--load {name}: there is no module {error.name!r}; Python finds a file of your own where PYTHONPATH names its folder"
            ) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the module's own code ran, which may call sys.exit
            raise ArgumentError(
                f"--load {name}: its import raised {type(error).__name__}: {error}"
            ) from error
