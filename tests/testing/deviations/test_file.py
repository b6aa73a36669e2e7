"""A deviations file: what is wrong with one is named, and the suite's own loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.errors import DeviationsFileError
from refgrad.testing.deviations.file import load

ENTRY = """
[[deviation]]
id = "one"
ops = ["maximum"]
modes = ["forward"]
dtypes = ["float64"]
devices = ["cpu"]
got = ["nan"]
seen = ["2.6", "2.12"]
reason = "because"
link = "docs"
case = "case.json"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY + "operand = [1.0]", "operand is [least, greatest] magnitude"),
        (ENTRY + "operand = [2.0, 1.0]", "operand is [least, greatest] magnitude"),
        ("[[deviation", "cannot be read"),
        ("[other]\nx = 1", "expected [[deviation]] entries"),
        (ENTRY.replace('reason = "because"\n', ""), "entry 0 (one): expected the fields"),
        (ENTRY.replace('["maximum"]', '"maximum"'), "ops is a non-empty list"),
        (ENTRY.replace('"because"', '""'), "reason is a non-empty str"),
        (ENTRY.replace('"2.6", "2.12"', '"2.6"'), "seen is [first, last] release of torch"),
        (ENTRY + 'mended = "2.10"', "mended is a release after the last one of seen"),
        (ENTRY.replace("case.json", "other.json"), "does not exist"),
        (ENTRY + ENTRY, "stand twice"),
        (ENTRY.replace('got = ["nan"]\n', ""), "nothing says which wrong numbers are meant"),
        (ENTRY.replace('["nan"]', '["number", "zero"]'), "nothing says which wrong numbers are meant"),
        (ENTRY.replace('["nan"]', '["large"]'), "got is of ['nan', 'inf', 'zero', 'number'], got ['large']"),
        (ENTRY + 'where = "nowhere"', "where is of ["),
        (ENTRY + 'formula = "none"', "formula is of ["),
        (ENTRY + 'numbers = "none.json"', "its numbers"),
    ],
)
def test_a_corrupted_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text("{}")
    path = tmp_path / "deviations.toml"
    path.write_text(text)
    with pytest.raises(DeviationsFileError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_suite_s_own_file_loads() -> None:
    assert load(Path(__file__).parents[3] / "conformance" / "deviations.toml")
