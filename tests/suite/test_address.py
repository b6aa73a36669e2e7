"""Options of torch as an address: in which order they come, and what they exclude."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from refgrad.cli import main
from refgrad.errors import ArgumentError
from refgrad.suite.address import COMPILERS, add_options, address


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(("backend", "arguments", "expected"), [
    ("torch", (), "torch"),
    ("jax=/usr/bin/python", (), "jax=/usr/bin/python"),
    ("torch", ("--compile", "inductor"), "torch-compile-inductor"),
    ("torch", ("--load", "a", "--replace", "exp=m:f", "--load", "b"), "torch?load=a&load=b&replace=exp=m:f"),
    ("torch?load=a", ("--load", "b", "--compile", "eager"), "torch-compile-eager?load=a&load=b"),
    ("torch-compile-eager", ("--load", "b"), "torch-compile-eager?load=b"),
])  # fmt: skip
def test_options_are_settings_of_the_address(backend: str, arguments: tuple[str, ...], expected: str) -> None:
    assert address(options(*arguments), backend) == expected


def test_a_file_of_rounding_is_named_from_anywhere() -> None:
    assert address(options("--rounding", "x.toml"), "torch") == f"torch?rounding={Path('x.toml').resolve()}"


@pytest.mark.parametrize("backend", ["jax", "python worker.py", "torch-compile-eager"])
def test_they_are_about_torch(backend: str) -> None:
    with pytest.raises(ArgumentError, match="are about torch, and --backend"):
        address(options("--compile", "inductor"), backend)


def test_each_compiler_is_a_backend() -> None:
    from refgrad import backends

    assert {f"torch-compile-{name}" for name in COMPILERS} <= set(backends.known())


def test_wrong_use_ends_before_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--backend", "autograd", "--replace", "exp=m:f", "--out", str(tmp_path)]) == 2
    assert "are about torch, and --backend autograd names another one" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
