"""Deviations files: an error names the entry and field, and the file of the suite loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refgrad.errors import DeviationsFileError
from refgrad.modes import FORWARD_END_TO_END, REPEATS, REVERSE_END_TO_END
from refgrad.testing.deviations.file import all_of, load, own_files

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
        (ENTRY.replace('"maximum"', "3"), "ops is a list of str, got [3]"),
        (ENTRY.replace('"maximum"', '"maximun"'), "no op is named 'maximun'; did you mean maximum"),
        (ENTRY.replace('"forward"', '"foreward"'), "modes is of ['value', "),
        (ENTRY.replace('"float64"', '"double"'), "dtypes is of ["),
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
        (ENTRY + 'backend = "toy"\nbackends = ["toy"]', "give one of the two"),
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


def test_an_entry_of_wrong_numbers_does_not_name_the_mode_that_repeats_them() -> None:
    """What is known node by node explains the mode from end to end, unless the entry decides on that mode's numbers itself."""
    suite = Path(__file__).parents[3] / "conformance" / "deviations.toml"
    entries = [d for path, name in own_files(suite).items() for d in load(path, backend=name)]
    assert len(entries) > 300
    twice = [
        d.id
        for d in entries
        for mode in (REVERSE_END_TO_END, FORWARD_END_TO_END)
        if not d.narrow.error and {mode, REPEATS[mode]} <= {*d.modes}
    ]
    assert not twice


def test_former_names_of_modes_are_read(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text("{}")
    elements = [["func.vjp against plain backward, gradient of 'a'", [0], 1.5]]
    numbers = {
        "0" * 16: {
            "agreement of modes": {"count": 1, "elements": elements},
            "jvp of vjp": {"count": 0, "elements": []},
        }
    }
    (tmp_path / "numbers.json").write_text(json.dumps(numbers))
    path = tmp_path / "deviations.toml"
    path.write_text(
        ENTRY.replace('["forward"]', '["func.vjp", "forward", "forward over reverse"]')
        + 'numbers = "numbers.json"'
    )
    [entry] = load(path)
    assert entry.modes == {"functional reverse", "forward", "forward over reverse"}
    assert entry.narrow.numbers is not None
    found = entry.narrow.numbers["0" * 16]
    assert {*found} == {"agreement of modes", "forward over reverse"}
    [[what, at, got]] = found["agreement of modes"]["elements"]
    assert (what, at, got) == ("functional reverse against plain reverse, gradient of 'a'", (0,), 1.5)


def test_entries_belong_to_a_backend(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text("{}")
    own, mine = tmp_path / "own.toml", tmp_path / "mine.toml"
    own.write_text(ENTRY)
    mine.write_text(ENTRY.replace('"one"', '"two"') + 'backend = "toy"')
    assert [d.id for d in all_of(own, [str(mine)])] == ["one"]
    [entry] = all_of(own, [str(mine)], "toy")
    assert entry.id == "two"
    assert str(entry.releases) == "toy 2.6 to 2.12"


def test_a_framework_has_a_file_of_its_own_for_all_its_ways(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text("{}")
    own, folder = tmp_path / "own.toml", tmp_path / "backends"
    folder.mkdir()
    own.write_text(ENTRY)
    (folder / "case.json").write_text("{}")
    two, three, four = (ENTRY.replace('"one"', f'"{name}"') for name in ("two", "three", "four"))
    fast = three + 'backend = "toy-fast"'
    (folder / "toy.toml").write_text(two + fast + four + 'backends = ["toy", "toy-fast"]')
    (folder / "toybox.toml").write_text(two)
    found = {name: [d.id for d in all_of(own, (), name)] for name in ("torch", "toy", "toy-fast", "toybox")}
    assert found == {
        "torch": ["one"],
        "toy": ["two", "four"],
        "toy-fast": ["three", "four"],
        "toybox": ["two"],
    }
    assert {str(d.releases) for d in all_of(own, (), "toy")} == {"toy 2.6 to 2.12"}


def test_a_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(DeviationsFileError) as found:
        load(tmp_path / "none.toml")
    assert str(found.value) == f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory"
