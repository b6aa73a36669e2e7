"""Which release of torch is here: some give other numbers than later ones."""

from collections.abc import Callable

import pytest


@pytest.fixture
def before() -> Callable[[str], bool]:
    """Whether torch is older than a release."""
    torch, version = pytest.importorskip("torch"), pytest.importorskip("packaging.version")
    here = version.Version(torch.__version__)
    return lambda release: here < version.Version(release)
