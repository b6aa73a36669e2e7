"""The frame of a script that reproduces a wrong answer: heading, imports, definitions, question and comparison.

What a script asks, and how it compares, differs between checks of torch functions and checks of formulas in NumPy. The parts that they
share stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from refgrad.testing.checks.array_verdict import ArrayVerdict
from refgrad.testing.checks.function_source import UnwritableError
from refgrad.testing.checks.report_text import conditions
from refgrad.testing.checks.script_text import PACKED, one_line, run

EXITS = "Exits with 1 while the answer is out of its bounds, with 0 once it is not."


def verified(write: Callable[[], str], about: str) -> str:
    """The script that ``write`` returns, after a run in this process. Where the run does not exit with 1, its first line says so.

    Where ``write`` raises UnwritableError, a comment with the reason. ``about`` names the wrong array in that comment.
    """
    try:
        text = write()
    except UnwritableError as error:
        return (
            f"# {one_line(about)}.\n# A script without refgrad cannot be written: {one_line(str(error))}.\n"
        )
    code, why = run(text)
    if code == 1:
        return text
    return f"# When it was written, this script did not show the disagreement: {one_line(why)}.\n{text}"


def heading(title: str, place: str, mode: str, part: ArrayVerdict, last: str = EXITS) -> list[str]:
    """Comment lines: what is wrong, under which conditions, its explanation, further notes, and ``last``.

    title, place   the name of the check, and the dtype (and device) in words
    mode, part     the mode and the verdict with evidence
    """
    how = conditions(part, mode)
    texts = [f"{title}: {part.what} is wrong in {place}."]
    texts += [f"{text[0].upper()}{text[1:]}." for text in (how, part.explanation) if text]
    return [f"# {one_line(text)}" for text in (*texts, *part.notes, last)]


def assembled(
    comments: Iterable[str],
    imports: Iterable[str],
    setup: Iterable[str],
    definitions: Iterable[str],
    question: Iterable[str],
    comparison: str,
) -> str:
    """The script as text.

    comments      lines before the imports
    imports       import lines; those that packed arrays need are added
    setup         lines between the imports and the definitions
    definitions   the functions and values that the question needs
    question      the lines of the function ``_ask``, which returns the answer
    comparison    the text that compares the answer and exits
    """
    setup, definitions, question = list(setup), list(definitions), list(question)
    packed = any("_unpacked(" in line for line in (*setup, *definitions, *question))
    packing = ["import base64", "import zlib"] if packed else []
    lines = [
        *comments,
        "from __future__ import annotations\n",
        *sorted({*imports, *packing}),
        *setup,
        *([PACKED] if packed else []),
        *[f"{definition}\n\n" for definition in definitions],
        *question,
        "\n",
        comparison,
    ]
    return "\n".join(lines)
