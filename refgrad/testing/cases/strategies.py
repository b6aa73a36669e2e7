"""Hypothesis strategies of cases. Importing this needs hypothesis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Drawn, Source, StopDrawing


def cases(family: Callable[[Source, str], Case], dtype: str = "float64") -> st.SearchStrategy[Case]:
    """Cases of a family. Structure is drawn, so a failing case shrinks to a small graph."""

    @st.composite
    def build(draw: Any) -> Case:
        return family(Drawn(draw), dtype)

    return build()


def each(
    family: Callable[[Source, str], Case],
    dtype: str,
    most: int,
    seed: int,
    body: Callable[[Case], None],
    shrink: bool,
) -> None:
    """Call ``body`` with at most so many cases of a family, the same ones for the same seed; some may come twice.

    With ``shrink``, an exception makes Hypothesis try smaller cases with which ``body`` raises, too; the last call before the exception
    comes out is that with the smallest. StopDrawing ends the calls at once, and does not come out.
    """
    test = hypothesis.given(cases(family, dtype))(body)
    test = hypothesis.seed(seed)(test)
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    test = hypothesis.settings(
        max_examples=most, deadline=None, database=None, derandomize=False, print_blob=False, report_multiple_bugs=False,
        phases=phases, suppress_health_check=list(HealthCheck),
    )(test)  # fmt: skip
    with contextlib.suppress(StopDrawing):
        test()
