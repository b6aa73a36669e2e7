"""A wrong answer of a formula written by hand, as a program that needs NumPy alone: see refgrad/torch/check_script.py for torch.

It exits with 1 while the answer is out of its bounds, with 0 once it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.bounds.formats import format_of
from refgrad.testing.checks.array_verdict import ArrayVerdict
from refgrad.testing.checks.function_source import Source, UnwritableError
from refgrad.testing.checks.report_text import conditions
from refgrad.testing.checks.script_text import (
    PACKED,
    expected_rows,
    numpy_expression,
    one_line,
    reason_without_array,
    run,
)
from refgrad.tree import is_leaf

_ASK = {
    "reverse": """\
    found = {formula}({seeds}, *args)
    return (found if isinstance(found, (tuple, list)) else (found,))[{index}]""",
    "forward": "    return {formula}(args, ({seeds}))",
}
_CHECK = """\
_EXPECTED = [  # the worst elements: place, what is expected (in two numbers whose sum it is), how far the answer may lie from it
{rows}]


def _main():
    got = _ask()
    if got is None:
        print({what}, "is missing")
        raise SystemExit({missing})
    got = np.asarray(got)
    print({what}, "has shape", got.shape)
    wrong = got.shape != {shape}
    for place, expected, rest, bound in [] if wrong else _EXPECTED:
        g = float(got[place])
        met = g == expected or (np.isfinite(g) and abs((g - expected) - rest) <= bound)
        wrong = wrong or not met
        print(list(place), "got", g, "expected", expected, "+-", bound, "" if met else "WRONG")
    raise SystemExit(int(wrong))


_main()
"""


def formula_script(
    formula: Callable[..., Any], title: str, args: Sequence[Any]
) -> Callable[[str, str, ArrayVerdict], str]:
    """What ``Report.script`` needs for check_vjp and check_jvp: a function of a dtype, a mode and a part.

    formula, title, args   the formula that was checked, what the check is called, its arguments: arrays or plain values
    """
    return lambda dtype, mode, part: _script(formula, title, args, dtype, mode, part)


def _script(
    formula: Callable[..., Any], title: str, args: Sequence[Any], dtype: str, mode: str, part: ArrayVerdict
) -> str:
    try:
        text = _written(formula, title, args, dtype, mode, part)
    except UnwritableError as error:
        about = f"{one_line(title)}: {one_line(part.what)}, {dtype}"
        return f"# {about}.\n# A script without refgrad cannot be written: {one_line(str(error))}.\n"
    code, why = run(text)
    if code == 1:
        return text
    return f"# When it was written, this script did not show the disagreement: {one_line(why)}.\n{text}"


def _written(
    formula: Callable[..., Any], title: str, args: Sequence[Any], dtype: str, mode: str, part: ArrayVerdict
) -> str:
    e, fmt = part.evidence, format_of(dtype)
    assert e is not None
    if e.expected is None:
        raise UnwritableError(reason_without_array(part))
    if mode not in _ASK:
        raise UnwritableError(f"no script asks in the mode {mode}")
    if not all(is_leaf(x) for x in args):
        raise UnwritableError("arguments that are containers of arrays are not written")
    source = Source(numpy_expression)
    called = source.expression(formula)
    seeds = [source.value(np.asarray(s)) for s in e.seeds]
    how = conditions(part, mode)
    said = [f"{title}: {part.what} is wrong in {dtype}.", *([f"{how[0].upper()}{how[1:]}."] if how else [])]
    said += [f"{part.explanation[0].upper()}{part.explanation[1:]}."] if part.explanation else []
    said += [
        *part.notes,
        "Exits with 1 while the answer is out of its bounds, with 0 once it is not.",
    ]
    asking = [
        "def _ask():",
        f"    args = {source.value(tuple(args))}",
        _ASK[mode].format(
            formula=called, seeds=", ".join(seeds) + ("," if mode == "forward" else ""), index=e.index
        ),
    ]
    imports, definitions = source.lines()
    packed = any("_unpacked(" in line for line in (*asking, *definitions))
    expected = np.asarray(e.expected)
    lines = [
        *[f"# {one_line(text)}" for text in said],
        "from __future__ import annotations\n",
        *sorted({*imports, "import numpy as np", *(["import base64", "import zlib"] if packed else [])}),
        "\n",
        *([PACKED] if packed else []),
        *[f"{d}\n\n" for d in definitions],
        *asking,
        "\n",
        _CHECK.format(
            rows=expected_rows(part, e, fmt),
            what=ascii(part.what),
            shape=expected.shape,
            missing=int(bool(np.any(expected != 0))),
        ),
    ]
    return "\n".join(lines)
