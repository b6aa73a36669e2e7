"""The page docs/numpy.md: what refgrad does with each function of NumPy, found by calling it. ``python -m tests.numpy_page`` writes it.

A function is differentiated where some argument has a derivative that is not zero, in calls that forward mode, reverse mode and differences
of plain NumPy agree on (numpy_walk.py). It has no derivative where each call that takes a traced array gives a constant.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import refgrad.functions  # noqa: F401 - which names are led depends on it
from refgrad.tracing.reached_functions import follow
from tests.numpy_calls import INTEGRAL
from tests.numpy_forms import FORMS, UFUNC_METHODS, of_a_ufunc, of_two
from tests.numpy_surface import MODULES, functions, tried, written
from tests.numpy_walk import Call, is_place, judged

PAGE = Path(__file__).parents[1] / "docs" / "numpy.md"

DIFFERENTIATED, CONSTANT, PLAIN, REFUSED = "differentiated", "no derivative", "takes no floats", "refused"
# Rooms of classes, texts, files, masks and chance: told in the page as a whole.
LEFT_OUT = (
    "np.ma",
    "np.char",
    "np.strings",
    "np.rec",
    "np.ctypeslib",
    "np.testing",
    "np.random",
    "np.lib.array_utils",
)
SECTIONS = {
    "np": "The functions of NumPy", "np.linalg": "Linear algebra", "np.fft": "Fourier transforms",
    "np.emath": "Functions with complex results",
    "np.lib.stride_tricks": "Windows", "np.ndarray": "Methods of arrays", "np.polynomial": "Polynomials",
}  # fmt: skip

# Parameters that are counts: NumPy takes a float there and truncates it.
COUNTS = frozenset({"M", "N", "n", "k", "tril_indices: m", "triu_indices: m"})
SCALARS = {  # narrower ones round their argument, which differences take for a slope
    "scalar types of floats, such as `np.float64(x)`": ("float64", "longdouble", "complex128"),
    "other scalar types, such as `np.int64(x)`": (
        "bool", "int8", "int64", "uint8", "object_", "str_", "bytes_", "void"
    ),
}  # fmt: skip
# Why a function is refused, where more is to be said than its error says.
REASONS: dict[str, str] = {
    "np.busday_offset": "its dates are no floating-point numbers", "np.is_busday": "its dates are no floating-point numbers",
    "np.frompyfunc": "its results are arrays of objects; `np.vectorize` has a derivative",
    "np.ndarray.choose": "the method belongs to an array of integers, which asks for plain numbers; write `np.choose(a, choices)`",
    "np.ndarray.byteswap": "it reads the bytes of a number as another one",
    "np.ndarray.setflags": "a traced array is written to by its program alone; leave it out",
    "np.matrix": "a matrix follows rules of its own", "np.asmatrix": "a matrix follows rules of its own",
    "np.broadcast": "an iterator of plain numbers; `np.broadcast_arrays` has a derivative",
    "np.nditer": "an iterator of plain numbers; iterate over the array",
    "np.frombuffer": "it reads bytes", "np.from_dlpack": "it reads memory", "np.ndarray.tobytes": "it makes bytes",
    "np.ndarray.dumps": "it makes bytes", "np.ndarray.tolist": "it makes plain numbers; iterate over the array",
    "np.ndarray.item": "it makes a plain number; write `x[...]`",
    "np.ndarray.resize": "it changes a shape in place; write `x = np.resize(x, shape)`",
    "np.record": "a record holds bytes",
    "other scalar types, such as `np.int64(x)`": "they make plain numbers; write `x.astype(dtype)`",
}  # fmt: skip
_MESSAGES = {
    "has no rule in refgrad": "no rule yet",
    "conversion to a plain NumPy array": "NumPy asks for plain numbers and for no rule",
    "float(x) would lose": "NumPy asks for plain numbers and for no rule",
    "int(x) would lose": "NumPy asks for plain numbers and for no rule",
}


@dataclass
class Entry:
    """One function: its parameters by what becomes of a traced array there."""

    name: str
    differentiated: set[str] = field(default_factory=set)
    constant: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    # the first parameter: a function that refuses it is refused, whatever becomes of its thresholds
    first: str = ""

    @property
    def kind(self) -> str:
        if self.differentiated:
            return DIFFERENTIATED
        if self.constant and self.first not in self.refused - self.constant:
            return CONSTANT
        return REFUSED if self.refused else PLAIN

    @property
    def reason(self) -> str:
        """Why it is refused: as REASONS says it, or as its error does."""
        message = self.messages[0]
        short = next((text for part, text in _MESSAGES.items() if part in message), None)
        return (
            REASONS.get(self.name) or short or message.partition(": ")[2].partition(". ")[0].replace("|", "/")
        )

    def add(self, call: Call) -> None:
        """Judge a call with each of its floating-point numbers and arrays traced, alone."""
        names = _parameters(self.name, call)
        if any(name.startswith("out") for name in names):  # told among the keywords
            return
        for place, x in enumerate(call.leaves()):
            scoped = f"{self.name.rpartition('.')[2]}: {names[place]}"
            if not is_place(x) or {names[place], scoped} & (INTEGRAL | COUNTS):
                continue
            self.first = self.first or names[0]
            outcome = judged(call, place)
            if outcome.kind == "right":
                (self.differentiated if outcome.moves else self.constant).add(names[place])
            elif outcome.kind in {"refused", "raw"}:
                self.refused.add(names[place])
                self.messages.append(outcome.why)
            elif outcome.kind != "as NumPy":
                self.wrong.append(f"{call}, {names[place]}: {outcome.kind}: {outcome.why}")


def _parameters(name: str, call: Call) -> list[str]:
    """The parameter of each leaf of a call."""
    given = call.function
    signature = _signature(name, given)
    found = []
    for k, x in enumerate(call.args):
        positional = [p for p in signature if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        variadic = [p.name for p in signature if p.kind is p.VAR_POSITIONAL]
        label = (
            positional[k].name
            if k < len(positional)
            else f"*{variadic[0]}"
            if variadic
            else f"argument {k + 1}"
        )
        found += [label] * Call("", given, (x,)).leaves().__len__()
    for label, x in call.kwargs.items():
        found += [label] * len(Call("", given, (x,)).leaves())
    return found


def _signature(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    found: Any = np
    for part in name.split(".")[1:]:
        found = getattr(found, part, None)
    if isinstance(found, np.ufunc):
        kind = inspect.Parameter.POSITIONAL_ONLY
        outs = ["out"] * found.nout
        return [
            inspect.Parameter(n, kind)
            for n in [f"x{k + 1}" for k in range(found.nin)] + [f"{o}{k or ''}" for k, o in enumerate(outs)]
        ]
    try:
        return list(inspect.signature(found if found is not None else function).parameters.values())
    except (TypeError, ValueError):
        return []


@functools.cache
def through_name(name: str) -> Callable[..., Any]:
    """A function of a program that calls NumPy's function by its name, as programs do."""
    function: Callable[..., Any] = eval(f"lambda *args, **kwargs: {name}(*args, **kwargs)", {"np": np})  # noqa: S307 - a name of NumPy's own
    follow(function)  # as a transformation does with the function that it is given
    return function


def _entries(rooms: tuple[str, ...]) -> Iterator[Entry]:
    more: dict[str, list[Call]] = {}
    for call in written():
        more.setdefault(call.name, []).append(call)
    for name, function in functions():
        room = name.rpartition(".")[0]
        if room not in rooms or (isinstance(function, type) and issubclass(function, np.generic)):
            continue
        entry = Entry(name)
        plain = getattr(MODULES.get(room), name.rpartition(".")[2], None) is function
        for call in [*tried(name, function), *more.get(name, [])]:
            if plain and call.function is function:
                call = Call(call.name, through_name(name), call.args, call.kwargs)
            follow(call.function)
            entry.add(call)
        yield entry


def classified() -> dict[str, list[Entry]]:
    """The entries of each section of the page, and of the forms of indices, methods of ufuncs and keywords."""
    rooms = [
        room
        for room in MODULES
        if (room not in LEFT_OUT and not room.startswith("np.lib")) or room == "np.lib.stride_tricks"
    ]
    found: dict[str, list[Entry]] = {}
    for entry in _entries((*rooms, "np.ndarray")):
        room = entry.name.rpartition(".")[0]
        section = "np.polynomial" if room.startswith("np.polynomial") else room
        found.setdefault(section, []).append(entry)
    for name, kinds in SCALARS.items():
        entry = Entry(name)
        for kind in kinds:
            entry.add(Call(name, through_name(f"np.{kind}"), (np.array(0.6),)))
        found["np"].append(entry)
    for section, forms in FORMS.items():
        for name, calls in forms.items():
            entry = Entry(name)
            for call in calls:
                entry.add(call)
            found.setdefault(section, []).append(entry)
    return found


# --- the text ----------------------------------------------------------------------------------------------------------

HEAD = """# NumPy's functions

What refgrad does with NumPy {version}'s public functions under a transformation. `python -m tests.numpy_page` writes this page. It calls
each function with a traced array in each place. In each call that counts as differentiated, forward mode and reverse mode agree with
differences of plain NumPy, and values, shapes and dtypes are NumPy's. A test keeps the page true.

- *Derivative in*: the arguments with a derivative.
- *Constant in*: the arguments of which the result is constant wherever the derivative exists, such as a threshold.
- *Refused in*: arguments in which a traced array raises an error that says what to write instead, in some call.
- Arguments that are shapes, axes, counts and words take plain values, and are not listed.

{counts}

Left out are masked arrays, texts, records and chance (`np.ma`, `np.char`, `np.strings`, `np.rec`, `np.random`, `np.testing`,
`np.ctypeslib`). The tests call those functions as well: what would lose a derivative there is refused.
"""


def text(found: dict[str, list[Entry]], matrix: dict[tuple[str, str], str]) -> str:
    """The page."""
    lines = [HEAD.format(version=".".join(np.__version__.split(".")[:2]), counts=_counts(found, matrix))]
    for section, entries in found.items():
        lines += [f"## {SECTIONS.get(section, section)}", "", *_section(entries, table=section not in FORMS)]
    lines += [
        "## Methods of ufuncs",
        "",
        "Yes: differentiated. 0: constant wherever the derivative exists. A dash: NumPy has no such call.",
        "",
    ]
    lines += [
        f"| ufunc | {' | '.join(f'`{m}`' for m in UFUNC_METHODS)} |",
        "|---" * (len(UFUNC_METHODS) + 1) + "|",
    ]
    marks = {DIFFERENTIATED: "yes", CONSTANT: "0", PLAIN: "–", REFUSED: "refused"}
    for name in dict.fromkeys(name for name, _ in matrix):
        lines.append(f"| `np.{name}` | {' | '.join(marks[matrix[name, m]] for m in UFUNC_METHODS)} |")
    lines += [
        "",
        "NumPy's own `reduce` and `reduceat` of `np.power` and `np.arctan2` give the function of the first and the last element where the",
    ]
    lines += ["processor has AVX-512.", "", "## Refused", "", "| function | why |", "|---|---|"]
    lines += [
        f"| `np.{name}.{method}` | its value in NumPy depends on the processor |"
        for (name, method), kind in matrix.items()
        if kind == REFUSED
    ]
    lines += [
        f"| {_code(e.name)} | {e.reason} |"
        for entries in found.values()
        for e in entries
        if e.kind == REFUSED
    ]
    return "\n".join(lines) + "\n"


def _counts(found: dict[str, list[Entry]], matrix: dict[tuple[str, str], str]) -> str:
    kinds = (DIFFERENTIATED, CONSTANT, PLAIN, REFUSED)
    rows = [(SECTIONS.get(section, section), [e.kind for e in entries]) for section, entries in found.items()]
    rows.append(("Methods of ufuncs", [k for k in matrix.values() if k != PLAIN]))
    lines = [f"| {name} | {' | '.join(str(given.count(kind)) for kind in kinds)} |" for name, given in rows]
    total = [sum(given.count(kind) for _, given in rows) for kind in kinds]
    head = [f"| | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    return "\n".join([*head, *lines, f"| together | {' | '.join(map(str, total))} |"])


def _section(entries: list[Entry], *, table: bool) -> list[str]:
    lines, rows = [], [e for e in entries if e.kind == DIFFERENTIATED]
    if rows and table:
        lines += ["| function | derivative in | constant in | refused in |", "|---|---|---|---|"]
        lines += [
            f"| {_code(e.name)} | {_names(e.differentiated)} | {_names(e.constant - e.differentiated)} | {_names(e.refused)} |"
            for e in rows
        ]
        lines.append("")
    elif rows:
        lines += ["Differentiated: " + ", ".join(_code(e.name) for e in rows) + ".", ""]
    for kind, what in (
        (CONSTANT, "No derivative, because the result is constant wherever it exists"),
        (PLAIN, "No argument is a float"),
    ):
        names = [_code(e.name) for e in entries if e.kind == kind]
        lines += [f"{what}: {', '.join(names)}.", ""] if names else []
    return lines


def _code(name: str) -> str:
    return name if "`" in name else f"`{name}`"


def _names(names: set[str]) -> str:
    return ", ".join(f"`{n}`" for n in sorted(names))


def methods_of_ufuncs() -> dict[tuple[str, str], str]:
    """What becomes of each method of each ufunc of two operands."""
    found = {}
    for ufunc in of_two():
        for method in UFUNC_METHODS:
            entry = Entry(f"{ufunc.__name__}.{method}")
            for call in of_a_ufunc(ufunc, method):
                entry.add(call)
            assert not entry.wrong, entry.wrong
            found[ufunc.__name__, method] = entry.kind
    return found


if __name__ == "__main__":
    PAGE.write_text(text(classified(), methods_of_ufuncs()), encoding="utf-8")
