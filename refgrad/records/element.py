"""One compared element of an array: observed and expected value, bound, and error in units of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refgrad.records import fields


@dataclass(slots=True)
class Element:
    """One element of one array, compared with its reference value.

    got        the observed value
    expected   the reference value
    bound      the largest admissible error
    ratio      the error in units of the bound
    ulp        the error in units in the last place of the format
    element    the index in the array
    what       the array in words, such as "gradient of x"
    node, op   the node that the array belongs to, and its op; -1 and "" where the caller of the comparison names none
    operand    magnitude of the first operand at this index, for elementwise ops; NaN elsewhere, therefore left out of equality
    place      the array's key in an observation; not written
    along      of a sum over tied elements: by input, the directions whose pairing with the gradient it is; not written
    """

    got: float
    expected: float
    bound: float
    ratio: float
    ulp: float
    element: tuple[int, ...]
    what: str = ""
    node: int = -1
    op: str = ""
    operand: float = field(default=math.nan, compare=False)
    place: tuple[str, object] | None = field(default=None, compare=False)
    along: Mapping[str, Any] | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without ``operand`` where that is NaN. Numbers may be non-finite."""
        data = {
            "node": self.node, "op": self.op, "what": self.what, "element": list(self.element), "got": self.got,
            "expected": self.expected, "bound": self.bound, "ratio": self.ratio, "ulp": self.ulp,
        }  # fmt: skip
        return data if math.isnan(self.operand) else data | {"operand": self.operand}

    @classmethod
    def read(cls, data: Any) -> Element:
        """The element that ``data`` holds. Raises CaseFileError where it holds none."""
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
