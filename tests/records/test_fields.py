"""Fields of a JSON object: what is read, its default, and the error that names what cannot be read."""

from __future__ import annotations

import json
import math
import re

import pytest

from refgrad.errors import CaseFileError
from refgrad.records import fields

READ = {
    "text": (fields.text, "a", "", {"k": "a"}), "count": (fields.count, 3, 0, {"k": 3}), "number": (fields.number, 2.0, 1.5, {"k": 2}),
    "word": (fields.word, "a", "", {"k": "a"}),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_field_or_its_default_is_read(name: str) -> None:
    read, value, default, data = READ[name]
    assert read(data, "k") == value
    assert type(read(data, "k")) is type(value)
    assert read({}, "k", default) == default
    with pytest.raises(CaseFileError, match='"k" is None; '):
        read({}, "k")


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (fields.text, 3, "a string"), (fields.count, -1, "a count"), (fields.count, True, "a count"), (fields.count, 2.0, "a count"),
        (fields.number, "1.5", 'a number, "nan", "inf" or "-inf"'), (fields.number, True, 'a number, "nan", "inf" or "-inf"'),
        (fields.number, 10**400, "a number that fits a float"), (fields.obj, [], "an object"), (fields.array, {}, "a list"),
        (fields.objects, [1], "a list of objects"), (fields.arrays, [1], "a list of lists"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_what_was_expected(read, value, expected) -> None:
    with pytest.raises(CaseFileError, match=re.escape(f"; {expected} is expected")) as raised:
        read({"k": value}, "k")
    assert str(raised.value).startswith('"k" is ')
    assert len(str(raised.value)) < 150


def test_numbers_that_json_lacks_are_words() -> None:
    assert fields.number({"k": "inf"}, "k") == math.inf
    assert fields.number({"k": "-inf"}, "k") == -math.inf
    assert math.isnan(fields.number({"k": "nan"}, "k"))


def test_what_is_absent_is_empty() -> None:
    assert (fields.obj({}, "k"), fields.array({}, "k"), fields.texts({}, "k"), fields.objects({}, "k")) == (
        {},
        [],
        (),
        [],
    )
    assert fields.texts({"k": ["a", 2]}, "k") == ("a", "2")
    assert fields.arrays({"k": [[1], []]}, "k") == [[1], []]


def test_long_text_is_cut_to_its_width_and_shared_words_are_kept_once() -> None:
    assert fields.cut("abcdef", 6) == "abcdef"
    assert fields.cut("abcdef", 4) == "abc…"
    assert len(fields.text({"k": "x" * 5000}, "k")) == 1000
    once, again = (fields.word(json.loads('{"k": "a word"}'), "k") for _ in range(2))
    assert once is again
