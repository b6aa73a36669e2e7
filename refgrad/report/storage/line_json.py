"""The JSON of one line of a results file. Only strict JSON is accepted."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from refgrad.errors import CaseFileError
from refgrad.records import Json


def _not_strict(literal: str) -> NoReturn:
    raise ValueError(f'{literal} is not JSON; non-finite numbers are the strings "nan", "inf" and "-inf"')


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # one of a pair, or one that UTF-8 cannot encode
_DECODER = json.JSONDecoder(parse_constant=_not_strict)


def parse(line: bytes, whole: bool, *, first: bool) -> Json | None:
    """The JSON object on one line; None where the line is incomplete. Raises CaseFileError for anything else."""
    try:
        record = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if first:
            raise CaseFileError(
                f"not a results file of refgrad: the first line is not a JSON object ({error})"
            ) from error
        if not whole:
            return None
        raise CaseFileError(f"not JSON: {error}") from error
    if _SURROGATE.search(line):
        record = _encodable(record)
    if not isinstance(record, dict):
        raise CaseFileError(f"a JSON object is expected, got {short(record)}")
    return record


def _encodable(x: Any) -> Any:
    """The data with a question mark for each lone surrogate, which UTF-8 cannot encode."""
    if isinstance(x, str):
        return x.encode("utf-8", "replace").decode()
    if isinstance(x, list):
        return [_encodable(v) for v in x]
    if isinstance(x, dict):
        return {_encodable(k): _encodable(v) for k, v in x.items()}
    return x


def short(value: object) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
