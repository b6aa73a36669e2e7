"""What every record is: a line of a results file that names its type, writes itself and reads itself back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from refgrad.encode import number


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a results file. Each type of line is a subclass with a class method ``read``."""

    TYPE: ClassVar[str]  # the value of "type" in the line

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data: its type, then every field under its own name. Floats may be non-finite."""
        return {"type": self.TYPE, **{f.name: getattr(self, f.name) for f in fields(self)}}


def encoded(record: Record) -> bytes:
    """The line of a results file that a record stands in, with the newline."""
    return (json.dumps(strict(record.to_dict()), allow_nan=False, separators=(",", ":")) + "\n").encode()


def strict(x: Any) -> Any:
    """Strict JSON: non-finite floats as strings, tuples as lists."""
    if isinstance(x, float):
        return number(x)
    if isinstance(x, Mapping):
        return {str(k): strict(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [strict(v) for v in x]
    return x
