"""The messages between refgrad and a worker: cases as JSON, answers as observations. docs/extend/worker.md describes them.

Arrays travel as base64, which is exact and, from about a thousand elements on, ten times as fast as decimal numbers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.profiles import CPU, SINGLE, Figures, Profile
from refgrad.encode import DTYPES, decode_array
from refgrad.errors import WorkerError
from refgrad.modes import FORWARD, NAMES, REVERSE, VALUE
from refgrad.op import FUNCTIONS, REGISTRY
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import NODE_PARTS, NoAnswer, Observation

SCHEMA = 1
T = TypeVar("T")


@dataclass(frozen=True)
class Hello:
    """The first message of a worker.

    framework    the name of the framework; ``version`` its version, ``kernels`` the vector unit of its kernels, where it tells one
    ops          the ops of the registry that it has
    dtypes       by device, the dtypes in which it computed a small program
    modes        by mode, what it calls the mode
    profile      what it promises of its rounding
    profiles     by device, what it promises there, where that is something else
    parts        whether it can tell what each use of a value sends back
    lacking      by dtype, ops that it lacks in this dtype alone
    fixed        parameters of ops that it lacks (testing/cases/vocabulary.py)
    environment  what its numbers depend on beside its version
    """

    framework: str
    version: str
    ops: frozenset[str]
    dtypes: Mapping[str, Sequence[str]]
    modes: Mapping[str, str]
    profile: Profile
    kernels: str = ""
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    parts: bool = False
    lacking: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, message: Any) -> Hello:
        """The hello in a message. Raises WorkerError naming the field that cannot be read."""
        if not isinstance(message, dict) or message.get("schema") != SCHEMA:
            found = message.get("schema") if isinstance(message, dict) else message
            raise WorkerError(
                f"a hello with schema {SCHEMA} is expected as the first message; got {_short(found)}"
            )
        unknown = message.keys() - {f.name for f in fields(cls)} - {"schema"}
        if unknown:
            raise WorkerError(f"the hello has unknown fields {sorted(unknown)}")
        texts = {name: _field(message, name, str, "") for name in ("framework", "version", "kernels")}
        if not texts["framework"] or not texts["version"]:
            raise WorkerError("the hello names framework and version; got neither or one of them")
        ops = _ops(_field(message, "ops", list, []), "ops")
        dtypes = _field(message, "dtypes", dict, {})
        if not dtypes:
            raise WorkerError(
                "the hello names no device: dtypes is an object of device names and lists of dtypes"
            )
        modes = _field(message, "modes", dict, {})
        if modes.keys() - set(NAMES) or VALUE not in modes:
            raise WorkerError(
                f"the hello has modes {sorted(modes)}; some of {list(NAMES)} are expected, {VALUE!r} among them"
            )
        return cls(
            framework=texts["framework"],
            version=texts["version"],
            ops=ops,
            dtypes={str(device): _names(names, "dtypes") for device, names in dtypes.items()},
            modes={str(mode): str(called) for mode, called in modes.items()},
            profile=_profile(texts["framework"], _field(message, "profile", dict, {})),
            kernels=texts["kernels"],
            profiles={
                str(device): _profile(texts["framework"], _object(entry, f"profiles of {device}"))
                for device, entry in _field(message, "profiles", dict, {}).items()
            },
            parts=_field(message, "parts", bool, False),
            lacking={
                str(dtype): _ops(names, "lacking")
                for dtype, names in _field(message, "lacking", dict, {}).items()
            },
            fixed=_fixed(_field(message, "fixed", list, [])),
            environment={str(k): str(v) for k, v in _field(message, "environment", dict, {}).items()},
        )


def _ops(found: Any, what: str) -> frozenset[str]:
    """The names of ops in a field. Raises WorkerError where refgrad has no op of a name."""
    ops = frozenset(_names(found, what))
    unknown = ops - REGISTRY.keys() - FUNCTIONS.keys()
    if unknown:
        raise WorkerError(f"the hello names ops that refgrad does not have, in {what}: {sorted(unknown)}")
    return ops


def _fixed(found: Any) -> frozenset[str]:
    """The parameters that keep their default values. Raises WorkerError where no op has such a parameter."""
    names = frozenset(_names(found, "fixed"))
    known = {name for op in REGISTRY.values() for name in op.signature.defaults}
    known |= {f"{op.name}.{name}" for op in REGISTRY.values() for name in op.signature.defaults}
    if names - known:
        raise WorkerError(f"fixed names parameters that no op has: {sorted(names - known)}")
    return names


def _profile(name: str, entry: Mapping[str, Any]) -> Profile:
    """The rounding profile of a hello. A figure that it does not state is that of the CPU's libraries."""
    given = {f.name for f in fields(Profile)} - {"name", "ulp", "own_figures"}
    lists = {"flushing", "flushing_products", "storing_sums", "storing_broadcasts", "stored_reciprocal"}
    if entry.keys() - given - {"ulp"}:
        raise WorkerError(
            f"the profile has unknown fields {sorted(entry.keys() - given - {'ulp'})}; known: {sorted(given | {'ulp'})}"
        )
    tables: dict[str, Figures] = {}
    of_ops: dict[str, Figures] = {}
    stated = _field(entry, "ulp", dict, {})
    if stated.keys() - FORMATS.keys():
        raise WorkerError(
            f"the profile has figures of unknown formats {sorted(stated.keys() - FORMATS.keys())}; known: {sorted(FORMATS)}"
        )
    for fmt in {**CPU.ulp, **stated}:
        usual, own = CPU.ulp.get(fmt, {}), _field(stated, fmt, dict, {})
        unknown = [
            op for op in own.keys() - usual.keys() if op not in REGISTRY or not REGISTRY[op].elementwise
        ]
        if unknown:
            raise WorkerError(
                f"the profile has figures of unknown functions {sorted(unknown)}: {sorted(CPU.ulp[SINGLE])} and elementwise ops are known"
            )
        if not all(isinstance(ulp, (int, float)) and ulp >= 0.5 for ulp in own.values()):
            raise WorkerError(f"the profile has figures below half a ULP, or that are no numbers: {own}")
        of_ops[fmt] = {op: own[op] for op in own.keys() - usual.keys()}
        if usual:
            tables[fmt] = {**usual, **{name: own[name] for name in own.keys() & usual.keys()}}
    formats: dict[str, Any] = {
        which: frozenset(_names(_field(entry, which, list, []), which)) for which in lists
    }
    for which, named in formats.items():
        if named - FORMATS.keys():
            raise WorkerError(f"the profile's {which} names unknown formats {sorted(named - FORMATS.keys())}")
    flags: dict[str, Any] = {
        k: _field(entry, k, bool, False) for k in given - {"source"} - lists if k in entry
    }
    return Profile(
        name, tables, source=_field(entry, "source", str, ""), own_figures=of_ops, **formats, **flags
    )


# --- a case -----------------------------------------------------------------------------------------------------------


def request(case: Case) -> dict[str, Any]:
    """The message that asks for a case, without its number."""
    return {"case": _in_base64(case.to_dict())}


def _in_base64(entry: Any) -> Any:
    """Plain data with its arrays in base64."""
    if isinstance(entry, dict):
        if entry.keys() == {"dtype", "shape", "data"}:
            return encoded(decode_array(entry))
        return {k: _in_base64(v) for k, v in entry.items()}
    return [_in_base64(v) for v in entry] if isinstance(entry, list) else entry


def encoded(x: PlainArray) -> dict[str, Any]:
    """An array as dtype, shape and base64, little-endian, in C order."""
    plain = np.ascontiguousarray(x, x.dtype.newbyteorder("<"))
    return {
        "dtype": x.dtype.name,
        "shape": list(x.shape),
        "base64": base64.b64encode(plain.tobytes()).decode("ascii"),
    }


def decoded(entry: Any) -> PlainArray:
    """The array of a message. Raises WorkerError where it is none."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "base64"} <= entry.keys():
        raise WorkerError(f"an array is an object with dtype, shape and base64; got {_short(entry)}")
    if entry["dtype"] not in DTYPES:
        raise WorkerError(f"an array has dtype {_short(entry['dtype'])}; one of {sorted(DTYPES)} is expected")
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    try:
        flat = np.frombuffer(base64.b64decode(entry["base64"], validate=True), dtype)
        return flat.astype(dtype.newbyteorder("=")).reshape([int(n) for n in entry["shape"]])
    except (binascii.Error, ValueError, TypeError) as error:
        raise WorkerError(
            f"an array of dtype {entry['dtype']} and shape {_short(entry['shape'])} cannot be read: {error}"
        ) from error


# --- an answer --------------------------------------------------------------------------------------------------------


def observation(answer: Mapping[str, Any], case: Case, name: str) -> Observation:
    """The observation in an answer of the framework ``name``. Raises WorkerError where it cannot be read, or does not fit the case."""
    count = len(case.graph.nodes)
    nothing: list[PlainArray | None] = [None] * count
    seen = Observation(list(nothing), list(nothing), list(nothing), dtypes={}, devices={})
    if "unsupported" in answer:
        seen.unavailable[VALUE] = _lacks(_field(answer, "unsupported", dict, {}), case, name)
        return seen
    if "error" in answer:
        seen.unavailable[VALUE] = _why(answer["error"], count)
        return seen
    for part in NODE_PARTS:
        entries = _of_nodes(answer, part, nothing)
        setattr(seen, part, [_wide(e) for e in entries])
        seen.dtypes[part] = [_dtype(e) for e in entries]
    primals = [_wide(e) for e in _of_nodes(answer, "primals", nothing)]
    if any(_differ(a, b) for a, b in zip(primals, seen.values, strict=True)):
        seen.primals = [b if a is None else a for a, b in zip(primals, seen.values, strict=True)]
    for entry in _field(answer, "parts", list, []):
        user, position, x = _part(entry, case)
        seen.parts[user, position] = _wide(x)
    for mode, why in _field(answer, "unavailable", dict, {}).items():
        if mode not in (VALUE, REVERSE, FORWARD):
            raise WorkerError(
                f"unavailable names the mode {mode!r}; {[VALUE, REVERSE, FORWARD]} are expected"
            )
        seen.unavailable[mode] = _why(why, count)
    return seen


def _of_nodes(answer: Mapping[str, Any], part: str, nothing: list[Any]) -> list[Any]:
    """The entries of a field that has one for each node. Raises WorkerError for another number of them."""
    entries: list[Any] = _field(answer, part, list, nothing)
    if len(entries) != len(nothing):
        raise WorkerError(f"{part} has {len(entries)} entries; the graph has {len(nothing)} nodes")
    return entries


def _differ(primal: PlainArray | None, value: PlainArray | None) -> bool:
    """Whether a value of the run that gave the tangents is another one than that of the run without them. NaN equals NaN."""
    if primal is None or value is None or primal.dtype.kind != "f":
        return False
    return not np.array_equal(primal, value, equal_nan=True)


def _part(entry: Any, case: Case) -> tuple[int, int, Any]:
    """The user, the position of the operand and the array of an entry of ``parts``."""
    match entry:
        case [int(user), int(position), x] if 0 <= user < len(case.graph.nodes):
            if 0 <= position < len(case.graph.nodes[user].of):
                return user, position, x
    raise WorkerError(
        f"parts lists [user, position of the operand, array] for operands of the graph; got {_short(entry)}"
    )


LACKING = ("op", "dtype", "parameter", "case")  # what an answer may call unsupported


def _lacks(found: Mapping[str, Any], case: Case, name: str) -> NoAnswer:
    """What the framework lacks for a case."""
    if len(found) != 1 or not {*found} <= {*LACKING} or not all(isinstance(x, str) for x in found.values()):
        raise WorkerError(
            f"unsupported is an object of one of {list(LACKING)} with a text; got {_short(found)}"
        )
    ((what, which),) = found.items()
    ops = [k for k in case.graph.order() if str(case.graph.nodes[k]) == which.partition(".")[0]]
    node = ops[0] if ops and what in ("op", "parameter") else -1
    return NoAnswer(which if what == "case" else f"{name} has no {what} {which}", node=node)


def _wide(entry: Any) -> PlainArray | None:
    if entry is None:
        return None
    x = decoded(entry)
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _dtype(entry: Any) -> str | None:
    """The framework's name of the dtype of a floating-point array."""
    if entry is None or np.dtype(entry["dtype"]).kind != "f":
        return None
    return str(entry.get("of", entry["dtype"]))


def _why(entry: Any, count: int) -> NoAnswer:
    if not isinstance(entry, dict) or not isinstance(entry.get("words"), str):
        raise WorkerError(
            f"why there is no answer is an object with words, refused, node and details; got {_short(entry)}"
        )
    node = _field(entry, "node", int, -1)
    return NoAnswer(
        entry["words"],
        _field(entry, "refused", bool, False),
        node if -1 <= node < count else -1,
        _field(entry, "details", str, ""),
    )


def _field(entry: Mapping[str, Any], name: str, of: type[T], default: T) -> T:
    """A field of a message. Raises WorkerError where it has another type."""
    value = entry.get(name, default)
    if not isinstance(value, of):
        raise WorkerError(f"{name} is a {of.__name__}; got {_short(value)}")
    return value


def _object(found: Any, what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise WorkerError(f"{what} is an object; got {_short(found)}")
    return found


def _names(found: Any, what: str) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(x, str) for x in found):
        raise WorkerError(f"{what} is a list of names; got {_short(found)}")
    return found


def _short(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 120 else text[:117] + "..."


def stated_profile(name: str, entry: Mapping[str, Any]) -> Profile:
    """A rounding profile from plain data: of a hello, or of a file. Raises WorkerError naming the field that cannot be read."""
    return _profile(name, entry)
