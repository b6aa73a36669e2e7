"""Scripts that reproduce a wrong answer of check_vjp or check_jvp with NumPy only.

A script exits with 1 while the answer is out of its bounds, else with 0. refgrad/torch/check_script.py writes those of torch functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.bounds.formats import format_of
from refgrad.testing.checks.array_verdict import ArrayVerdict
from refgrad.testing.checks.function_source import Source, UnwritableError
from refgrad.testing.checks.script_frame import assembled, heading, verified
from refgrad.testing.checks.script_text import expected_rows, numpy_expression, reason_without_array
from refgrad.tree import is_leaf

_ASK = {
    "reverse": """\
    found = {formula}({seeds}, *args)
    return (found if isinstance(found, (tuple, list)) else (found,))[{index}]""",
    "forward": "    return {formula}(args, ({seeds}))",
}
_CHECK = """\
_EXPECTED = [  # the worst elements: index, expected value (as the sum of two numbers), bound
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
    """The value of ``Report.script`` for check_vjp and check_jvp: a function of a dtype, a mode and a verdict with evidence.

    formula   the checked formula
    title     the name of the check
    args      the arguments: arrays or Python values
    """
    return lambda dtype, mode, part: _script(formula, title, args, dtype, mode, part)


def _script(
    formula: Callable[..., Any], title: str, args: Sequence[Any], dtype: str, mode: str, part: ArrayVerdict
) -> str:
    return verified(
        lambda: _written(formula, title, args, dtype, mode, part), f"{title}: {part.what}, {dtype}"
    )


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
    seeds = ", ".join(source.value(np.asarray(s)) for s in e.seeds) + ("," if mode == "forward" else "")
    question = [
        "def _ask():",
        f"    args = {source.value(tuple(args))}",
        _ASK[mode].format(formula=called, seeds=seeds, index=e.index),
    ]
    comparison = _CHECK.format(
        rows=expected_rows(part, e, fmt),
        what=ascii(part.what),
        shape=e.expected.shape,
        missing=int(bool(np.any(e.expected != 0))),
    )
    imports, definitions = source.lines()
    comments = heading(title, dtype, mode, part)
    return assembled(comments, [*imports, "import numpy as np"], ["\n"], definitions, question, comparison)
