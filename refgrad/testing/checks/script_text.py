"""Text of scripts: exact numbers and arrays, the worst elements of a wrong answer, and a test run of the script."""

from __future__ import annotations

import base64
import contextlib
import io
import math
import warnings
import zlib
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.quiet import quiet
from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence
from refgrad.testing.checks.plausibility import out_of_bounds

MOST = 10  # elements in one script, at most
_SHORT = 64  # elements; a longer array is compressed

PACKED = """\
def _unpacked(text, dtype, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape).copy()


"""


def run(text: str) -> tuple[int | None, str]:
    """The exit code of a script that is run in this process (None where it raises), and what happened in words."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            exec(compile(text, "script", "exec"), {"__name__": "__main__"})  # noqa: S102 - it calls what the check has called already
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else None
            return code, f"it exits with {code}"
        except Exception as error:  # noqa: BLE001 - the caller reports every failure
            return None, f"{type(error).__name__}: {error}"
    return 0, "it ends without a verdict"


def reason_without_array(part: ArrayVerdict) -> str:
    """What is wrong, where the evidence has no reference value."""
    what = part.wrong[0].what if part.wrong else ""
    return "; ".join(part.notes) or (
        f"what is wrong: {what}" if what else "nothing is known of the expected array"
    )


def expected_rows(part: ArrayVerdict, e: Evidence, fmt: Format) -> str:
    """The worst elements as lines of a list: index, reference value (as the sum of two numbers), and bound."""
    expected = np.asarray(e.expected, fmt.wide)
    rows = ""
    with quiet():
        for place, bound in _worst(part, e, expected, fmt):
            near = float(expected[place])
            rest = float(expected[place] - near) if math.isfinite(near) else 0.0
            rows += f"    ({place}, {number(near)}, {number(rest)}, {number(bound)}),\n"
    return rows


def _worst(
    part: ArrayVerdict, e: Evidence, expected: PlainArray, fmt: Format
) -> list[tuple[tuple[int, ...], float]]:
    """Indices and bounds of the worst elements: those of the verdict where they belong to this answer, else all elements out of bounds."""
    listed = [w for w in part.wrong if len(w.element) == expected.ndim]
    if all(all(k < n for k, n in zip(w.element, expected.shape, strict=True)) for w in listed):
        listed = [w for w in listed if float(expected[w.element]) == w.expected]
        if listed and len(listed) == len(part.wrong):
            return [(w.element, w.bound) for w in listed[:MOST]]
    if e.got is None or np.shape(e.got) != expected.shape:
        return []
    bound = np.broadcast_to(np.asarray(e.bound, float), expected.shape)
    wrong = out_of_bounds(np.asarray(e.got), expected, bound, fmt)
    severity = np.nan_to_num(np.abs(e.got - expected) / np.maximum(bound, fmt.eta), nan=np.inf)
    order = np.argsort(np.where(wrong, -severity, 1.0), axis=None, kind="stable")[
        : min(MOST, int(np.count_nonzero(wrong)))
    ]
    places = [
        tuple(int(i) for i in np.unravel_index(k, expected.shape)) if expected.ndim else () for k in order
    ]
    return [(place, float(bound[place])) for place in places]


def numpy_expression(x: Any) -> str | None:
    """A NumPy array or scalar as an expression; None for anything else."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub" and x.dtype.itemsize <= 8:
        return f"{array(x)}.astype({x.dtype.name!r})"
    if isinstance(x, np.generic) and x.dtype.kind in "fiub" and x.dtype.itemsize <= 8:
        return f"np.{x.dtype.name}({number(x.item())})"
    return None


def numbers(x: PlainArray, kind: str) -> str:
    """The numbers of an array as an expression: a list where they are few, else compressed."""
    if x.size <= _SHORT:
        return f"[{', '.join(map(number, x.ravel().tolist()))}]"
    packed = np.ascontiguousarray(x.astype(f"<{kind}"))
    text = base64.b64encode(zlib.compress(packed.tobytes(), 9)).decode()
    return f'_unpacked("{text}", "<{kind}", {x.shape})'


def number(x: Any) -> str:
    """A Python number as an expression."""
    return repr(x) if not isinstance(x, float) or math.isfinite(x) else f'float("{x}")'


def array(x: PlainArray) -> str:
    """An array as an expression, with floating-point numbers as float64."""
    kind = {"f": "f8", "i": "i8", "u": "u8", "b": "u1"}[x.dtype.kind]
    if x.size <= _SHORT:
        return (
            f"np.array([{', '.join(map(number, x.ravel().tolist()))}], {x.dtype.name!r}).reshape({x.shape})"
        )
    return numbers(x, kind)


def one_line(text: str) -> str:
    """A text in one line, for a comment."""
    return " ".join(text.split())
