"""What must hold: in every mode, torch's numbers lie within the derived bounds of the derivative."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .families import FAMILIES

try:
    from refgrad.torch.observe import observe, plain_arithmetic
except ImportError as error:  # pragma: no cover - said plainly by the command before it gets here
    raise pytest.UsageError(f"the conformance suite needs torch: {error}") from error


@pytest.fixture(scope="session", autouse=True)
def _torch_settings() -> None:
    import torch

    torch.set_num_threads(1)
    plain_arithmetic()


def test_family(conformance_item: Any, refgrad_results: Any, record_property: Callable[[str, object], None]) -> None:
    """All cases of the item agree."""
    count = conformance_item.run(FAMILIES[conformance_item.family], observe, refgrad_results)
    record_property("refgrad", json.dumps({"cases": count}))
