"""The frame of scripts: the trial run, the heading, and the imports that packed arrays need."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence, Question
from refgrad.testing.checks.function_source import UnwritableError
from refgrad.testing.checks.script_frame import EXITS, assembled, heading, verified
from refgrad.testing.checks.script_text import PACKED, numbers, run


def test_a_script_that_shows_the_disagreement_is_returned_as_it_is() -> None:
    assert verified(lambda: "raise SystemExit(1)\n", "f") == "raise SystemExit(1)\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise SystemExit(0)\n", "it exits with 0"),
        ("x = 1\n", "it ends without a verdict"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_script_that_does_not_says_so_in_its_first_line(text: str, why: str) -> None:
    first, _, rest = verified(lambda: text, "f").partition("\n")
    assert first == f"# When it was written, this script did not show the disagreement: {why}."
    assert rest == text


def test_a_script_that_cannot_be_written_is_a_comment_with_the_reason() -> None:
    def write() -> str:
        raise UnwritableError("a value of type\nSocket cannot be written")

    lines = verified(write, "gradcheck(f):\ngradient of input 0").splitlines()
    assert lines == [
        "# gradcheck(f): gradient of input 0.",
        "# A script without refgrad cannot be written: a value of type Socket cannot be written.",
    ]


def test_the_heading_names_array_conditions_explanation_and_notes() -> None:
    question = Question("reverse", "mostly zero", layout="permuted")
    part = ArrayVerdict("gradient of input 0", explanation="every element is zero", notes=["a\nnote"])
    part.evidence = Evidence(question, (), (), 0, None, None, None)
    assert heading("gradcheck(f)", "float32 on cpu", "reverse", part) == [
        "# gradcheck(f): gradient of input 0 is wrong in float32 on cpu.",
        "# Asked with cotangents mostly zero, inputs permuted.",
        "# Every element is zero.",
        "# a note",
        f"# {EXITS}",
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_the_imports_of_packed_arrays_stand_where_they_are_needed(packed: bool) -> None:
    x = np.arange(80.0 if packed else 8.0)
    value = numbers(x, "f8")
    text = assembled(["# a"], ["import math", "import numpy as np"], [], [f"x = {value}"], ["y = x"], "z = y")
    assert (
        (PACKED in text)
        == ("import base64\nimport math\nimport numpy as np\nimport zlib\n" in text)
        == packed
    )
    assert run(f"{text}\nraise SystemExit(int(sum(z)))")[0] == x.sum()
