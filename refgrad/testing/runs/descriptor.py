"""Descriptors of the files that a run writes line by line."""

from __future__ import annotations

import os
from pathlib import Path


def opened(path: str | Path, flags: int) -> int:
    """The descriptor of a file that is made where it is missing. Windows leaves the ends of lines as they are."""
    return os.open(path, flags | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
