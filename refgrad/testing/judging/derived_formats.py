"""Formats that differ from a judged format in one field. Each is made once, so results of one format can be recognised by its identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from refgrad.bounds.formats import Format

_DERIVED: dict[tuple[int, str], tuple[Format, Format]] = {}


def _derived(fmt: Format, name: str, change: Callable[[Format], Format]) -> Format:
    """A format made from another one, once for each: results of one format are computed together."""
    found = _DERIVED.get((id(fmt), name))
    if found is None:
        # the first format stays alive, so that no other one gets its id
        found = _DERIVED[id(fmt), name] = fmt, change(fmt)
    return found[1]


def ranged(fmt: Format) -> Format:
    """The format in which what is computed from a result beyond the range is undefined."""
    return _derived(fmt, "ranged", lambda fmt: replace(fmt, ranged=True))


def without_kinks(fmt: Format) -> Format:
    """The format in which a jump that is met exactly is not read from either side."""
    return _derived(fmt, "without kinks", lambda fmt: replace(fmt, kinks=False))


__all__ = ["ranged", "without_kinks"]
