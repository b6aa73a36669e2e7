"""Formatting of numbers, counts and messages for readers."""

from __future__ import annotations

import functools
import math
import re

from refgrad.records.fields import cut as cut  # noqa: PLC0414 - re-exported with the other formatters

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
# Numbers and addresses; a digit inside a word, as in conv2d, is neither.
_VARIABLE = re.compile(r"\b(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)\b")
# The same characters without tab and newline.
_UNSEEN = re.compile(_CONTROL.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f"))
NARROW = "\u202f"


def short(x: float | None, digits: int = 3) -> str:
    """A number to a few significant digits; an en dash for None."""
    if x is None:
        return "–"
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    return f"{x:.{digits}g}".replace("-", "−").replace("e+0", "e").replace("e−0", "e−").replace("e+", "e")


def exact(x: float) -> str:
    """A number with all digits that distinguish it from its neighbours."""
    return repr(x).replace("-", "−") if math.isfinite(x) else short(x)


def count(n: int) -> str:
    """A count with separated thousands."""
    return f"{n:,}".replace(",", NARROW)


def brief(n: int) -> str:
    """A count in at most five characters: 940, 1.2k, 35k, 2.1M."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if n >= size:
            return f"{n / size:.1f}{unit}" if n < 10 * size else f"{n // size}{unit}"
    return str(n)


def several(n: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 case", "12 cases"."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def percent(part: int, whole: int) -> str:
    """A share in percent; it reads 0% or 100% only where that is exact."""
    if whole == 0:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "< 0.1%"
    if 99.9 < share < 100:
        return "> 99.9%"
    return f"{share:.1f}%" if part not in {0, whole} else f"{share:.0f}%"


def place(element: tuple[int, ...]) -> str:
    """The index of an element: "[0, 2]"; "" for a scalar."""
    return f"[{', '.join(map(str, element))}]" if element else ""


@functools.lru_cache(4096)
def one_line(text: str) -> str:
    """Text in one line, without control characters, direction marks and invisible characters."""
    return _CONTROL.sub(" ", text).strip()


def plain(text: str) -> str:
    """Text with its line breaks, without control characters, direction marks and invisible characters."""
    return _UNSEEN.sub(" ", text).strip()


@functools.lru_cache(4096)
def pattern(text: str) -> str:
    """The first line of a message with numbers and addresses replaced by #, to group similar failures."""
    return cut(_VARIABLE.sub("#", one_line(text.strip().split("\n", 1)[0])), 160)
