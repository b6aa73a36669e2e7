"""What scripts are written with: numbers as text, exactly; the worst elements of a wrong answer; and a run of the script itself."""

from __future__ import annotations

import base64
import contextlib
import io
import math
import warnings
import zlib
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.quiet import quiet
from refgrad.testing.checks.part import Evidence, Part
from refgrad.testing.checks.plausibility import out_of_bounds

Array = Any
MOST = 10  # elements in one script
_SHORT = 64  # an array of so many elements is written in numbers that can be read, a longer one packed

PACKED = """\
def _unpacked(text, dtype, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape).copy()


"""


def run(text: str) -> tuple[int | None, str]:
    """What a script exits with when it is run here, and what happened in words; None where it raised."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            exec(compile(text, "script", "exec"), {"__name__": "__main__"})  # noqa: S102 - what the check has called already
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else None
            return code, f"it exits with {code}"
        except Exception as error:  # noqa: BLE001 - whatever is in the way is told
            return None, f"{type(error).__name__}: {error}"
    return 0, "it ends without a verdict"


def not_of_one_array(part: Part) -> str:
    """What is wrong, where the evidence has no array that was expected."""
    what = part.wrong[0].what if part.wrong else ""
    return "; ".join(part.notes) or (
        f"what is wrong: {what}" if what else "nothing is known of what is expected"
    )


def expected_rows(part: Part, e: Evidence, fmt: Format) -> str:
    """The worst elements as lines of a list: place, what is expected there (two numbers whose sum it is), how far an answer may lie off."""
    expected = np.asarray(e.expected, fmt.wide)
    rows = ""
    with quiet():
        for place, bound in _worst(part, e, expected, fmt):
            near = float(expected[place])
            rest = float(expected[place] - near) if math.isfinite(near) else 0.0
            rows += f"    ({place}, {number(near)}, {number(rest)}, {number(bound)}),\n"
    return rows


def _worst(part: Part, e: Evidence, expected: Array, fmt: Format) -> list[tuple[tuple[int, ...], float]]:
    """Places and bounds of the worst elements: those of the part, where they are of this answer, otherwise all that are out of bounds."""
    listed = [w for w in part.wrong if len(w.element) == expected.ndim]
    if all(all(k < n for k, n in zip(w.element, expected.shape, strict=True)) for w in listed):
        listed = [w for w in listed if float(expected[w.element]) == w.expected]
        if listed and len(listed) == len(part.wrong):
            return [(w.element, w.bound) for w in listed[:MOST]]
    if e.got is None or np.shape(e.got) != expected.shape:
        return []
    bound = np.broadcast_to(np.asarray(e.bound, float), expected.shape)
    wrong = out_of_bounds(np.asarray(e.got), expected, bound, fmt)
    grave = np.nan_to_num(np.abs(e.got - expected) / np.maximum(bound, fmt.eta), nan=np.inf)
    order = np.argsort(np.where(wrong, -grave, 1.0), axis=None, kind="stable")[
        : min(MOST, int(np.count_nonzero(wrong)))
    ]
    places = [
        tuple(int(i) for i in np.unravel_index(k, expected.shape)) if expected.ndim else () for k in order
    ]
    return [(place, float(bound[place])) for place in places]


def plain(x: Any) -> str | None:
    """An array or a number of NumPy as an expression; None for anything else."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub" and x.dtype.itemsize <= 8:
        return f"{array(x)}.astype({x.dtype.name!r})"
    if isinstance(x, np.generic) and x.dtype.kind in "fiub" and x.dtype.itemsize <= 8:
        return f"np.{x.dtype.name}({number(x.item())})"
    return None


def numbers(x: Array, kind: str) -> str:
    """The numbers of an array: in a list where they are few, otherwise packed."""
    if x.size <= _SHORT:
        return f"[{', '.join(map(number, x.ravel().tolist()))}]"
    packed = np.ascontiguousarray(x.astype(f"<{kind}"))
    text = base64.b64encode(zlib.compress(packed.tobytes(), 9)).decode()
    return f'_unpacked("{text}", "<{kind}", {x.shape})'


def number(x: Any) -> str:
    """A number of Python as an expression."""
    return repr(x) if not isinstance(x, float) or math.isfinite(x) else f'float("{x}")'


def array(x: Array) -> str:
    """An array as an expression; floating-point numbers come as float64."""
    kind = {"f": "f8", "i": "i8", "u": "u8", "b": "u1"}[x.dtype.kind]
    if x.size <= _SHORT:
        return (
            f"np.array([{', '.join(map(number, x.ravel().tolist()))}], {x.dtype.name!r}).reshape({x.shape})"
        )
    return numbers(x, kind)


def one_line(text: str) -> str:
    """A text in one line that ends no comment."""
    return " ".join(text.split())
