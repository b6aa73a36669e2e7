"""A test case: a computational graph with exact inputs, tangents and cotangent, for one dtype and one device."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import DTYPES
from refgrad.encode import decode_array, encode_array
from refgrad.errors import CaseFileError
from refgrad.graph import Graph
from refgrad.testing.cases.validation import validate

SCHEMA = 1
CHANNELS_LAST = "channels last"  # of three or more axes the second is the last in memory, as that of an image's channels is
LAYOUTS = ("contiguous", "transposed", "strided", CHANNELS_LAST)
EXPANDED = "expanded"  # one number in memory for all elements, as the backward of a sum sends it
COTANGENT_LAYOUTS = (*LAYOUTS, EXPANDED)


def layouts_of(ndim: int) -> tuple[str, ...]:
    """The layouts in which an array of so many axes may lie in memory."""
    return LAYOUTS if ndim > 2 else LAYOUTS[:-1]


@dataclass(frozen=True, repr=False)
class Case:
    """A graph at one point. A judgement compares the framework's value, gradient and tangent of it with the reference.

    family             the family that drew the case
    inputs, tangents   by input name, arrays; floating-point ones hold numbers of the judged dtype exactly
    cotangent          of the graph's single output, an array of its shape
    dtype, device      the judged format and the framework's device
    layouts            by input name, the memory layout of the framework's tensor: one of LAYOUTS
    cotangent_layout   that of the cotangent: one of COTANGENT_LAYOUTS
    order              1: value and first derivatives; 2: also the framework's further modes and second derivatives
    """

    family: str
    graph: Graph
    inputs: dict[str, PlainArray]
    tangents: dict[str, PlainArray]
    cotangent: PlainArray
    dtype: str
    device: str = "cpu"
    layouts: dict[str, str] = field(default_factory=dict)
    order: int = 1
    cotangent_layout: str = LAYOUTS[0]

    def __repr__(self) -> str:
        """A line without the numbers: arrays of thousands of elements would fill the pages of a test report."""
        ops = sum(node.op is not None for node in self.graph.nodes)
        elements = sum(x.size for x in self.inputs.values())
        return f"<Case {self.id}: {self.family}, {self.dtype} on {self.device}, {ops} ops on {elements} elements>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - the protocol of IPython, which Hypothesis follows
        """The same line in Hypothesis and IPython, which print the fields of dataclasses otherwise."""
        printer.text(repr(self))

    @functools.cached_property
    def content(self) -> str:
        """The case as canonical JSON text."""
        return json.dumps(self.to_dict(), sort_keys=True, allow_nan=False, separators=(",", ":"))

    @functools.cached_property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 hash of the content. Equal cases have equal ids on every machine."""
        return hashlib.sha256(self.content.encode()).hexdigest()[:16]

    def on(self, device: str) -> Case:
        """The case for another device."""
        return replace(self, device=device)

    def to_dict(self) -> dict[str, Any]:
        """The case as plain data. Arrays are encoded without loss."""
        data = {
            "schema": SCHEMA,
            "family": self.family,
            "dtype": self.dtype,
            "device": self.device,
            "graph": self.graph.to_dict(),
            "inputs": {k: encode_array(v) for k, v in self.inputs.items()},
            "tangents": {k: encode_array(v) for k, v in self.tangents.items()},
            "cotangent": encode_array(self.cotangent),
            "layouts": dict(self.layouts),
        }
        if self.order > 1:
            data["order"] = self.order
        if self.cotangent_layout != LAYOUTS[0]:
            data["cotangent_layout"] = self.cotangent_layout
        return data

    def to_json(self) -> str:
        """The case as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_dict(cls, data: Any) -> Case:
        """The case in plain data as ``to_dict`` writes it.

        Raises CaseFileError naming the entry that cannot be read, or that does not fit the others.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise CaseFileError(f"a case is an object with schema {SCHEMA}; found {found!r}")
        missing = {"family", "dtype", "graph", "inputs", "tangents", "cotangent"} - data.keys()
        if missing:
            raise CaseFileError(f"the case lacks {sorted(missing)}")
        if data["dtype"] not in DTYPES:
            raise CaseFileError(f"dtype {data['dtype']!r}; one of {list(DTYPES)} is expected")
        graph = Graph.from_dict(data["graph"])
        if len(graph.outputs) != 1:
            raise CaseFileError(f"the graph of a case has one output, got {len(graph.outputs)}")
        arrays: dict[str, dict[str, PlainArray]] = {}
        for part in ("inputs", "tangents"):
            if not isinstance(data[part], dict) or data[part].keys() != graph.inputs.keys():
                given = list(data[part]) if isinstance(data[part], dict) else data[part]
                raise CaseFileError(
                    f"{part} are given for {given!r}, the graph has inputs {list(graph.inputs)}"
                )
            arrays[part] = {k: decode_array(v) for k, v in data[part].items()}
        layouts = data.get("layouts", {})
        if not isinstance(layouts, dict) or not all(layout in LAYOUTS for layout in layouts.values()):
            raise CaseFileError(f"layouts are {LAYOUTS} by input name, got {layouts!r}")
        if layouts.keys() - graph.inputs.keys():
            raise CaseFileError(
                f"layouts are given for {list(layouts)}, the graph has inputs {list(graph.inputs)}"
            )
        cotangent_layout = data.get("cotangent_layout", LAYOUTS[0])
        if cotangent_layout not in COTANGENT_LAYOUTS:
            raise CaseFileError(f"cotangent_layout is one of {COTANGENT_LAYOUTS}, got {cotangent_layout!r}")
        order, device = data.get("order", 1), data.get("device", "cpu")
        if type(order) is not int or order not in (1, 2):
            raise CaseFileError(f"order is 1 or 2, got {order!r}")
        for name, given in (("family", data["family"]), ("device", device)):
            if not isinstance(given, str) or not given:
                raise CaseFileError(f"{name} is a name, got {given!r}")
        cotangent = decode_array(data["cotangent"])
        if cotangent_layout == EXPANDED and len({*cotangent.ravel().tolist()}) > 1:
            raise CaseFileError(
                f"an {EXPANDED} cotangent has equal elements, got {sorted({*cotangent.ravel().tolist()})[:3]}"
            )
        validate(graph, arrays["inputs"], arrays["tangents"], cotangent, data["dtype"], order)
        return cls(
            family=data["family"],
            graph=graph,
            inputs=arrays["inputs"],
            tangents=arrays["tangents"],
            cotangent=cotangent,
            dtype=data["dtype"],
            device=device,
            layouts=dict(layouts),
            order=order,
            cotangent_layout=cotangent_layout,
        )

    @classmethod
    def from_json(cls, text: str) -> Case:
        """The case in JSON text as ``to_json`` writes it. Raises CaseFileError."""
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            hint = (
                ". Of a results file, `refgrad repro FILE --id ID` judges one case again"
                if error.msg == "Extra data"
                else ""
            )
            raise CaseFileError(f"not a case file: not JSON ({error}){hint}") from error
        except RecursionError as error:
            raise CaseFileError("not a case file: nested too deeply") from error

    @classmethod
    def load(cls, path: str | Path) -> Case:
        """The case in a file. Raises CaseFileError naming the file."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CaseFileError(f"{path}: cannot be read: {reason}") from error
        except CaseFileError as error:
            raise CaseFileError(f"{path}: {error}") from error
