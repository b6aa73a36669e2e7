"""Typed readers of JSON fields. A CaseFileError names the field that cannot be read, its value, and what is expected.

Every reader takes the JSON object and the key. A default stands for a missing key; without one, a missing key is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from refgrad.encode import NONFINITE
from refgrad.errors import CaseFileError

Json = Mapping[str, Any]
NOTHING: Json = {}


def cut(text: str, width: int) -> str:
    """The text, shortened to ``width`` characters; an ellipsis marks what is left out."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def wrong(key: str, value: Any, expected: str) -> CaseFileError:
    """The error for a field that cannot be read."""
    shown = repr(value)
    return CaseFileError(
        f'"{key}" is {shown if len(shown) <= 60 else shown[:57] + "..."}; {expected} is expected'
    )


def text(data: Json, key: str, default: str | None = None, most: int = 1000) -> str:
    """A string, shortened to ``most`` characters."""
    value = data.get(key, default)
    if not isinstance(value, str):
        raise wrong(key, value, "a string")
    return value if len(value) <= most else cut(value, most)


def word(data: Json, key: str, default: str | None = None) -> str:
    """A string that many records share, stored once in memory."""
    return sys.intern(text(data, key, default))


def count(data: Json, key: str, default: int | None = None) -> int:
    """A non-negative integer."""
    value = data.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise wrong(key, value, "a count")
    return value


def number(data: Json, key: str, default: float | None = None) -> float:
    """A float. The strings "nan", "inf" and "-inf" stand for non-finite values."""
    value = data.get(key, default)
    if type(value) is float:  # the usual case
        return value
    if isinstance(value, str) and value in NONFINITE:
        return NONFINITE[value]
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise wrong(key, value, 'a number, "nan", "inf" or "-inf"')
    try:
        return float(value)
    except OverflowError:
        raise wrong(key, value, "a number that fits a float") from None


def optional_number(data: Json, key: str) -> float | None:
    """A float; None where the key is missing or null."""
    return None if data.get(key) is None else number(data, key)


def flag(data: Json, key: str) -> bool:
    """True where the value is true, False for everything else."""
    return data.get(key) is True


def obj(data: Json, key: str) -> Json:
    """A JSON object; an empty one where the key is missing or null."""
    value = data.get(key)
    if value is None:
        return NOTHING
    if not isinstance(value, dict):
        raise wrong(key, value, "an object")
    return value


def array(data: Json, key: str) -> list[Any]:
    """A list; an empty one where the key is missing or null."""
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(key, value, "a list")
    return value


def texts(data: Json, key: str) -> tuple[str, ...]:
    """A list of strings, each shortened to 1000 characters."""
    return tuple(cut(str(v), 1000) for v in array(data, key))


def objects(data: Json, key: str) -> list[Json]:
    """A list of JSON objects."""
    found = array(data, key)
    if not all(isinstance(v, dict) for v in found):
        raise wrong(key, found, "a list of objects")
    return found


def arrays(data: Json, key: str) -> list[list[Any]]:
    """A list of lists."""
    found = array(data, key)
    if not all(isinstance(v, list) for v in found):
        raise wrong(key, found, "a list of lists")
    return found
