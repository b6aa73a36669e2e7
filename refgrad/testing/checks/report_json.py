"""A report as JSON, with the exact numbers of the evidence.

An array is an object with ``dtype``, ``shape`` and ``base64``: its elements in C order, little-endian. An array in extended precision is
the sum of its ``terms``, arrays of float64; two of them hold the 64-bit significand of x86's long double.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.errors import CaseFileError
from refgrad.quiet import quiet
from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence
from refgrad.testing.checks.findings import Findings
from refgrad.testing.checks.report_text import summary
from refgrad.testing.judging.verdict import Verdict

SCHEMA = 2
_TERMS = 3  # float64 numbers; their sum holds a significand of 113 bits


def report_data(report: Findings) -> dict[str, Any]:
    """A report as plain data. Floats may be non-finite."""
    return {
        "schema": SCHEMA, "name": report.name, "status": report.status, "device": report.device, "source": report.source,
        "notes": report.notes, "summary": summary(report),
        "verdicts": [{"dtype": dtype, **_verdict(v)} for dtype, v in report.verdicts],
    }  # fmt: skip


def _verdict(v: Verdict) -> dict[str, Any]:
    return {
        "mode": v.mode, "status": v.status, "reason": v.reason, "elements": v.elements, "loose": v.loose, "blind": v.blind,
        "skipped": v.skipped, "imprecise": v.imprecise, "digits": v.digits, "message": v.message,
        "wrong": [e.to_dict() for e in v.wrong], "sensitivity": v.sensitivity, "parts": [_part(p) for p in v.parts],
    }  # fmt: skip


def _part(p: ArrayVerdict) -> dict[str, Any]:
    return {
        "what": p.what, "status": p.status, "reason": p.reason, "elements": p.elements, "loose": p.loose, "blind": p.blind,
        "skipped": p.skipped, "imprecise": p.imprecise, "smallest": p.smallest, "count": p.count,
        "asked": p.asked, "wrong_in": len(p.wrong_in), "notes": p.notes,
        "explanation": p.explanation, "worst": None if p.worst is None else p.worst.to_dict(),
        "wrong": [e.to_dict() for e in p.wrong], "evidence": None if p.evidence is None else _evidence(p.evidence),
    }  # fmt: skip


def _evidence(e: Evidence) -> dict[str, Any]:
    q = e.question
    return {
        "question": {
            "mode": q.mode, "draw": q.draw, "active": q.active, "used": q.used, "layout": q.layout, "seed_layout": q.seed_layout,
        },
        "index": e.index, "dtype": e.dtype, "dtypes": e.dtypes,
        "inputs": [array_data(x) for x in e.inputs], "strides": e.strides, "offsets": e.offsets,
        "seeds": [array_data(s) for s in e.seeds], "seed_strides": e.seed_strides, "seed_offsets": e.seed_offsets,
        "got": array_data(e.got), "expected": array_data(e.expected), "bound": array_data(e.bound),
    }  # fmt: skip


def array_data(x: Any) -> Any:
    """An array as plain data; None as None; anything else as its type and repr."""
    if x is None:
        return None
    if not isinstance(x, (np.ndarray, np.generic)):
        return {"python": type(x).__name__, "repr": repr(x)}
    x = np.asarray(x)
    if x.dtype.kind == "f" and x.dtype.itemsize > 8:
        return {"dtype": "sum", "shape": list(x.shape), "terms": [array_data(t) for t in terms(x)]}
    if x.dtype.kind not in "fiubc":
        return {"python": str(x.dtype), "repr": repr(x)}
    x = np.asarray(x, x.dtype.newbyteorder("<"))
    return {"dtype": x.dtype.str, "shape": list(x.shape), "base64": base64.b64encode(x.tobytes()).decode()}


def array_of(data: Any) -> PlainArray:
    """The array in plain data as ``array_data`` writes it. Raises CaseFileError where there is none."""
    if not isinstance(data, dict) or "python" in data:
        raise CaseFileError(
            f"{str(data)[:80]!r} is no array; an object with dtype, shape and base64 or terms is expected"
        )
    if data.get("dtype") == "sum":
        total = np.zeros(data["shape"], np.longdouble)
        with quiet():
            for term in data["terms"]:
                total = total + array_of(term)
        return total
    return np.frombuffer(base64.b64decode(data["base64"]), data["dtype"]).reshape(data["shape"])


def terms(x: PlainArray) -> list[PlainArray]:
    """Arrays of float64 whose sum, in the format of x, is x. A number beyond the range of float64 becomes infinite."""
    found: list[PlainArray] = []
    rest = np.asarray(x)
    with quiet():
        for _ in range(_TERMS):
            found.append(rest.astype(np.float64))
            rest = np.where(np.isfinite(found[-1]), rest - found[-1], 0)
            if not np.any(rest):
                break
    return found
