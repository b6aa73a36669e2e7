"""Backends by name: built in, registered, of an installed package, or by module and attribute; anything else is named in an error."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from refgrad import backends
from refgrad.backends import Backend, Build, registry
from refgrad.cli import main
from refgrad.errors import ArgumentError
from refgrad.testing import Case, Observation

MODULE = """
import sys
from refgrad.backends import WorkerBackend
from refgrad.backends.shipped import FOLDER
from tests.backends.test_registry import Silent

class Other(Silent):
    name = "other"

made = Other()
number = 3
COMMAND = [sys.executable, str(FOLDER / "template_worker.py")]

def worker():
    return WorkerBackend(COMMAND)
"""


class Silent(Backend):
    """A backend without ops."""

    name = "silent"
    build = Build("silent", "1.0")
    ops = frozenset[str]()
    modes = MappingProxyType({})

    def computes(self, dtype: str, device: str) -> bool:
        self.require(device)
        return dtype == "float64"

    def observe(self, case: Case) -> Observation:
        raise AssertionError(case)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of Python, with a module of backends."""
    (tmp_path / "backends_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_REGISTERED", {})
    registry.load.cache_clear()
    yield tmp_path
    sys.modules.pop("backends_of_mine", None)
    registry.load.cache_clear()


@pytest.mark.parametrize("attribute", ["Other", "made"])
def test_a_backend_is_found_by_module_and_attribute(module: Path, attribute: str) -> None:
    found = backends.load(f"backends_of_mine:{attribute}")
    assert found.name == "other"
    assert backends.load(f"backends_of_mine:{attribute}") is found


def test_a_package_names_its_backends(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = module / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    names = ("Other", "made", "COMMAND", "worker", "number")
    points = "".join(f"my-{name.lower()} = backends_of_mine:{name}\n" for name in names)
    (info / "entry_points.txt").write_text(f"[refgrad.backends]\n{points}")
    assert {"my-other", "my-command", "torch"} <= set(backends.known())
    assert backends.load("my-other").name == backends.load("my-made").name == "other"
    for name in ("my-command", "my-worker"):
        found = backends.load(name)
        assert (found.name, found.address) == ("template", name)
        found.suspend()
    with pytest.raises(
        ArgumentError,
        match=r"backend 'my-number': a refgrad.backends.Backend, or the words of a worker's command",
    ):
        backends.load("my-number")
    assert main(["backends"]) == 0
    assert re.search(r"^my-command +1.0 +package mine$", capsys.readouterr().out, re.MULTILINE)


def test_a_registered_backend_takes_the_place_of_another(module: Path) -> None:
    backends.register("silent", Silent)
    assert backends.load("silent").name == "silent"
    backends.register("silent", lambda: backends.load("backends_of_mine:made"))
    assert backends.load("silent").name == "other"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tensorflux", r"no backend named 'tensorflux'; known: .*torch.*module:attribute"),
        ("no_such_module:Toy", r"there is no module 'no_such_module'; known backends: .*torch"),
        ("backends_of_mine:Toy", r"module 'backends_of_mine' has no attribute 'Toy'"),
        ("backends_of_mine:number", r"a refgrad.backends.Backend, or the words of a worker's command, is expected, got int"),
    ],
)  # fmt: skip
def test_what_is_no_backend_is_named(module: Path, name: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        backends.load(name)


def test_a_framework_that_is_missing_is_no_unknown_backend(module: Path) -> None:
    (module / "needs_something.py").write_text("import no_such_framework")
    with pytest.raises(ModuleNotFoundError, match="no_such_framework"):
        backends.load("needs_something:Toy")


def test_the_command_lists_what_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--backend", "tensorflux", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "no backend named 'tensorflux'" in said
    assert "torch" in said
    assert not list(tmp_path.iterdir())
