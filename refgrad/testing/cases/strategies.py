"""Hypothesis strategies for cases. The module needs hypothesis."""

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
    """A strategy for the cases of a family. A failing case shrinks to a small graph."""

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
    """Call ``body`` with at most ``most`` cases of a family. Equal seeds give equal cases; cases may repeat.

    With ``shrink``, Hypothesis reduces a case for which ``body`` raises; the last call before the exception propagates has the smallest
    such case. StopDrawing, raised by ``body``, ends the calls and does not propagate.
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
