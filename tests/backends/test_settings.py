"""Settings in addresses: they read back as they were written, and what is no setting is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from refgrad import backends
from refgrad.backends.settings import NO_SETTINGS, Settings, imported, joined, split
from refgrad.errors import ArgumentError

SETTINGS = Settings(
    load=("one.two", "three"),
    rounding=("/a folder/x&y?.toml", "rel,ative+.toml"),
    replace=("softmax=lib:f", "exp=lib:A.g"),
)


def test_an_address_reads_back_as_it_was_written() -> None:
    address = joined("torch", SETTINGS)
    assert split(address) == ("torch", SETTINGS)
    assert "," not in address  # by which a list of backends is divided
    assert address.startswith("torch?load=one.two&load=three&rounding=/a%20folder/")


def test_a_name_alone_has_no_settings() -> None:
    assert split("torch") == ("torch", NO_SETTINGS)
    assert joined("torch", NO_SETTINGS) == "torch"
    assert not NO_SETTINGS
    assert SETTINGS


@pytest.mark.parametrize(("address", "words"), [
    ("torch?lod=x", "the settings after the question mark are load, rounding, replace, each with a value; got lod=x"),
    ("torch?load=", "got load="),
    ("torch?load", "got load="),
])  # fmt: skip
def test_what_is_no_setting_is_named(address: str, words: str) -> None:
    with pytest.raises(ArgumentError) as found:
        split(address)
    assert words in str(found.value)


def test_a_module_is_imported_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loaded_first.py").write_text("import sys\nsys.was_loaded_first = True\n")
    (tmp_path / "raises_at_import.py").write_text("raise RuntimeError('no such device')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "was_loaded_first", False, raising=False)
    imported(["loaded_first"])
    assert sys.was_loaded_first
    with pytest.raises(
        ArgumentError, match="there is no module 'nowhere_at_all'; Python finds a file of your own"
    ):
        imported(["nowhere_at_all.part"])
    with pytest.raises(
        ArgumentError, match="--load raises_at_import: its import raised RuntimeError: no such device"
    ):
        imported(["raises_at_import"])
    sys.modules.pop("loaded_first")


def test_a_question_mark_in_another_address_is_part_of_it() -> None:
    with pytest.raises(ArgumentError, match=r"no backend named 'nothing\?load=json'"):
        backends.load("nothing?load=json")
