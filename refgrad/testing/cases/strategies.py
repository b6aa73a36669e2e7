"""Hypothesis strategies for cases. The module needs hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import Family
from refgrad.testing.cases.source import Drawn


def cases(family: Family, dtype: str = "float64") -> st.SearchStrategy[Case]:
    """A strategy for the cases of a family. Hypothesis shrinks a failing case to a small graph."""

    @st.composite
    def build(draw: Any) -> Case:
        return family(Drawn(draw), dtype)

    return build()
