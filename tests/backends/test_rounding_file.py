"""Rounding profiles in files: the figures that are stated, those that are not, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.backends.rounding_file import profiles_in
from refgrad.bounds.profiles import CPU
from refgrad.errors import ArgumentError


def written(tmp_path: Path, text: str, name: str = "profile.toml") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_a_file_states_the_profile_of_a_device(tmp_path: Path) -> None:
    text = 'device = "mine"\nsource = "its manual"\ntruncating = true\n[ulp.float32]\nexp = 4\n[ulp.float64]\nexp = 2.0\n'
    found = profiles_in([written(tmp_path, text)])["mine"]
    assert (found.name, found.source, found.truncating, found.scanning) == ("mine", "its manual", True, False)
    assert (found.ulp["float32"]["exp"], found.ulp["float64"]["exp"]) == (4, 2.0)
    assert found.ulp["float32"]["sin"] == CPU.ulp["float32"]["sin"]  # not stated


@pytest.mark.parametrize(("text", "words"), [
    ("scanning = true", "device is the kind of device that the profile is of"),
    ('device = "mine:0"', "got 'mine:0'"),
    ('device = "mine"\nfast = true', "unknown fields ['fast']; known: ['"),
    ('device = "mine"\n[ulp.float32]\nexpo = 1', "unknown functions ['expo']"),
    ('device = "mine"\n[ulp.float32]\nexp = 0.2', "figures below half a ULP"),
    ('device = "mine"\ntruncating = "yes"', "truncating is a bool; got 'yes'"),
    ("device =", "cannot be read"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ArgumentError) as found:
        profiles_in([file])
    assert words in str(found.value)
    assert str(found.value).startswith(f"--rounding {file}: ")


def test_a_device_has_one_profile(tmp_path: Path) -> None:
    files = [written(tmp_path, 'device = "mine"', name) for name in ("a.toml", "b.toml")]
    with pytest.raises(ArgumentError, match="the profile of mine was given before"):
        profiles_in(files)
    with pytest.raises(ArgumentError, match="cannot be read"):
        profiles_in([str(tmp_path / "none.toml")])
