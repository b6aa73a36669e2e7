"""Values of the command's options, from their text. A value that is none raises ArgumentTypeError, which argparse reports as wrong use."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return _number(text, 1)


def count(text: str) -> int:
    """A whole number from 0 on."""
    return _number(text, 0)


def seed(text: str) -> int:
    """A seed from 0 to 2^63 - 1: NumPy takes no negative one, and results files hold integers of 64 bits."""
    if not (text.isdecimal() and len(text) < 20 and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2^63 - 1, got {text[:20]!r}")
    return int(text)


def _number(text: str, least: int) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, got {text[:20]!r}")
    return int(text)


def dtype(text: str) -> str:
    """The name of a format. The formats are loaded here: help needs no NumPy."""
    from refgrad.bounds.formats import FORMATS

    if text not in FORMATS:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(FORMATS)}, got {text[:20]!r}")
    return text


def seconds(text: str) -> float:
    """Seconds, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, got {text!r}")
    return value


def duration(text: str) -> float:
    """Seconds, from a number with the unit s, m or h."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    try:
        value = float(text[:-1]) * units[text[-1:]]
    except (ValueError, KeyError):
        value = -1.0
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"expected a time such as 90s, 30m or 2h, got {text[:20]!r}")
    return value


def folder(text: str) -> str:
    """The name of a folder."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a folder, got an empty one")
    return text


def file(text: str) -> str:
    """The name of a file."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a file, got an empty one")
    return text
