"""Groups of modes for compact tables, and the order of devices, dtypes and modes in every report."""

from __future__ import annotations

from refgrad.bounds.formats import FORMATS
from refgrad.modes import GROUPS

_GROUP_OF = {mode: group for group, modes in GROUPS.items() for mode in modes}
_MODES = list(_GROUP_OF)
_DTYPES = list(FORMATS)


def group_of(mode: str) -> str:
    """The group of a mode. An unknown mode, such as one of a project's own, is a group of its own."""
    return _GROUP_OF.get(mode, mode)


def order(device: str, dtype: str, mode: str) -> tuple[bool, str, int, str, int, int, str]:
    """The sort key of rows and columns: the CPU first, wide formats first. ``mode`` is a mode or a group."""
    group = group_of(mode)
    return (
        device != "cpu",
        device,
        _rank(_DTYPES, dtype),
        dtype,
        _rank(list(GROUPS), group),
        _rank(_MODES, mode),
        mode,
    )


def _rank(known: list[str], name: str) -> int:
    return known.index(name) if name in known else len(known)
