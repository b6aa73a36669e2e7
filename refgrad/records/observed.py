"""The framework's arrays around the first wrong node of a failing case, beside their reference values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refgrad.encode import number
from refgrad.records import fields
from refgrad.records.fields import Json

VALUE, GRADIENT, TANGENT, SENT, ANSWER = "value", "gradient", "tangent", "sent", "answer"
MOST_AXES = 64
PARTS = (VALUE, GRADIENT, TANGENT, SENT, ANSWER)


@dataclass(frozen=True, slots=True)
class Numbers:
    """One array of a node: observed and expected elements, and whether they disagree.

    part      one of PARTS: value, gradient or tangent of the node, the gradient that the node sent to one operand (``to``), or the
              array that the judged mode returned
    shape     of the whole array
    at        flat indices of the elements given here; empty where all elements are given
    got       observed elements; empty where the framework gave no array of this shape
    expected  reference values; empty where the array is not judged (inputs and constants)
    wrong     whether the array disagrees
    to        position of the operand, for a sent gradient; -1 otherwise
    """

    part: str
    shape: tuple[int, ...]
    at: tuple[int, ...]
    got: tuple[float, ...]
    expected: tuple[float, ...]
    wrong: bool = False
    to: int = -1

    @property
    def count(self) -> int:
        """Number of elements given."""
        return max(len(self.got), len(self.expected))

    def place(self, i: int) -> tuple[int, ...]:
        """The multi-dimensional index of the i-th element given."""
        k, place = self.at[i] if self.at else i, []
        for n in reversed(self.shape):
            k, index = divmod(k, n)
            place.append(index)
        return tuple(reversed(place))

    def furthest(self) -> int:
        """The position of the element with the largest error; 0 where nothing is wrong or nothing is compared."""
        if not (self.got and self.expected):
            return 0

        def distance(i: int) -> float:
            a, b = self.got[i], self.expected[i]
            if a == b or (math.isnan(a) and math.isnan(b)):
                return 0.0
            return abs(a - b) if math.isfinite(a - b) else math.inf

        return max(range(self.count), key=distance) if self.wrong else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a results file; non-finite numbers are strings there."""
        data: dict[str, Any] = {"part": self.part, "shape": list(self.shape)}
        for key in ("at", "got", "expected"):
            if getattr(self, key):
                data[key] = [number(v) if isinstance(v, float) else v for v in getattr(self, key)]
        return data | ({"wrong": True} if self.wrong else {}) | ({"to": self.to} if self.to >= 0 else {})

    @classmethod
    def read(cls, data: Json) -> Numbers:
        """The array that ``data`` holds. Raises CaseFileError where it holds none."""
        part, shape, at = fields.text(data, "part"), fields.array(data, "shape"), fields.array(data, "at")
        if part not in PARTS:
            raise fields.wrong("part", part, f"one of {', '.join(PARTS)}")
        for key, counts in (("shape", shape), ("at", at)):
            if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 48 for n in counts):
                raise fields.wrong(key, counts, "a list of counts")
        if len(shape) > MOST_AXES or any(k >= math.prod(shape) for k in at):
            raise fields.wrong("at", at, f"a list of places in an array of shape {shape[:MOST_AXES]}")
        got, expected = (_floats(data, key) for key in ("got", "expected"))
        size = len(at) if at else math.prod(shape)
        for key, given in (("got", got), ("expected", expected)):
            if given and len(given) != size:
                raise fields.wrong(key, list(given), f"a list of {size} numbers, as shape and at say,")
        to = fields.count(data, "to") if "to" in data else -1
        return cls(part, tuple(shape), tuple(at), got, expected, data.get("wrong") is True, to)


def _floats(data: Json, key: str) -> tuple[float, ...]:
    return tuple(fields.number({key: v}, key) for v in fields.array(data, key))


@dataclass(frozen=True, slots=True)
class Observed:
    """The arrays of the nodes nearest to the first wrong one, by node number, and the nodes that may have caused the error."""

    nodes: Mapping[int, tuple[Numbers, ...]]
    suspects: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a results file."""
        nodes = {str(k): [n.to_dict() for n in arrays] for k, arrays in self.nodes.items()}
        return {"nodes": nodes, "suspects": list(self.suspects)}

    @classmethod
    def read(cls, data: Json) -> Observed:
        """The observation that ``data`` holds. Raises CaseFileError where it holds none."""
        nodes: dict[int, tuple[Numbers, ...]] = {}
        for key, arrays in fields.obj(data, "nodes").items():
            if not (key.isascii() and key.isdecimal() and len(key) < 10 and isinstance(arrays, list)):
                raise fields.wrong("nodes", key, "the number of a node, with a list of arrays,")
            nodes[int(key)] = tuple(Numbers.read(a) for a in fields.objects({"nodes": arrays}, "nodes"))
        suspects = fields.array(data, "suspects")
        if not all(isinstance(k, int) and not isinstance(k, bool) and k >= 0 for k in suspects):
            raise fields.wrong("suspects", suspects, "a list of node numbers")
        return cls(nodes, tuple(suspects))
