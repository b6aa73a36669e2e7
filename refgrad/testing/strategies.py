"""Hypothesis strategies of cases. Importing this needs hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from refgrad.testing.case import Case
from refgrad.testing.source import Drawn, Source


def cases(family: Callable[[Source, str], Case], dtype: str = "float64") -> st.SearchStrategy[Case]:
    """Cases of a family. Structure is drawn, so a failing case shrinks to a small graph."""

    @st.composite
    def build(draw: Any) -> Case:
        return family(Drawn(draw), dtype)

    return build()
