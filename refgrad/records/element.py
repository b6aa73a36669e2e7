"""One element of an array as it was compared."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from refgrad.records import fields


@dataclass(slots=True)
class Element:
    """One element of one array: what came, what was expected, how far they may differ.

    A comparison knows numbers alone; who asked for it enters ``node``, ``op`` and ``operand``.
    """

    got: float
    expected: float
    bound: float
    ratio: float  # error in units of the bound
    ulp: float  # error in units in the last place of the format
    element: tuple[int, ...]
    what: str = ""
    node: int = -1
    op: str = ""
    operand: float = field(
        default=math.nan, compare=False
    )  # magnitude of the first operand here, where the op is elementwise; NaN, which equals no NaN, elsewhere
    place: Any = field(default=None, compare=False)  # which array of an observation it is in; not written

    def to_dict(self) -> dict[str, Any]:
        """Plain data; ``operand`` is left out where there is none. Numbers may be non-finite."""
        data = {
            "node": self.node, "op": self.op, "what": self.what, "element": list(self.element), "got": self.got,
            "expected": self.expected, "bound": self.bound, "ratio": self.ratio, "ulp": self.ulp,
        }  # fmt: skip
        return data if math.isnan(self.operand) else data | {"operand": self.operand}

    @classmethod
    def read(cls, data: Any) -> Element:
        """Raise CaseFileError where ``data`` is not an element."""
        if not isinstance(data, dict):
            raise fields.wrong("worst", data, "an object")
        place = fields.array(data, "element")
        for k in place:
            if not isinstance(k, int):
                raise fields.wrong("element", place, "a list of integers")
        node = data.get("node", -1)
        if not isinstance(node, int):
            raise fields.wrong("node", node, "a node number")
        return cls(
            fields.number(data, "got"),
            fields.number(data, "expected"),
            fields.number(data, "bound"),
            fields.number(data, "ratio"),
            fields.number(data, "ulp", math.nan),
            tuple(place),
            fields.word(data, "what", ""),
            node,
            fields.word(data, "op", ""),
            fields.number(data, "operand", math.nan),
        )
