"""Expected durations: the table of the suite, with a default for what it does not name."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.errors import ArgumentError
from refgrad.testing.runs.expected_seconds import UNKNOWN, ExpectedSeconds


def test_the_table_is_read(tmp_path: Path) -> None:
    table = tmp_path / "seconds.toml"
    table.write_text('[cases]\n"ops float32" = 0.5\n[tests]\n"test_item" = 2\n"test_item[long]" = 30.0\n')
    found = ExpectedSeconds.read(table)
    assert found.of_block("ops", "float32", 10) == 5.0
    assert found.of_block("frogs", "float32", 10) == 10 * UNKNOWN
    assert [found.of_test(name) for name in ("test_item[long]", "test_item[short]", "test_new[a]")] == [
        30.0,
        2.0,
        UNKNOWN,
    ]
    (tmp_path / "measured.list").write_text('{"test_item[short]": 7.5}')
    assert ExpectedSeconds.read(table, tmp_path / "measured.list").measured == {"test_item[short]": 7.5}


@pytest.mark.parametrize("text", ["not a table", "[cases]\na = 'b'\n", "cases = 1\n"])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "seconds.toml").write_text(text)
    with pytest.raises(ArgumentError, match=r"seconds\.toml: no table of seconds"):
        ExpectedSeconds.read(tmp_path / "seconds.toml")
