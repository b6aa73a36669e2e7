"""A mode without an answer: unsupported where the framework refused, an error where it failed in another way."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.graph import Graph
from refgrad.testing.judging.observation import NoAnswer
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.unanswered import unanswered
from refgrad.testing.judging.verdict import ERROR, UNSUPPORTED, Verdict

GRAPH = Graph.record(lambda x: np.exp(np.sin(x)), 1.0)  # nodes x, sin, exp


def verdict(why: NoAnswer) -> Verdict:
    return unanswered(Tally("forward", "float32", "cuda"), GRAPH, why)


def test_a_refusal_is_unsupported_and_names_its_op() -> None:
    v = verdict(NoAnswer("RuntimeError: no formula", node=1))
    assert (v.status, v.reason, v.first_wrong, v.message) == (
        UNSUPPORTED,
        "RuntimeError: no formula",
        (1, "sin"),
        "",
    )


def test_what_broke_is_an_error_with_its_traceback() -> None:
    v = verdict(NoAnswer("IndexError: 3", refused=False, node=2, details="Traceback ..."))
    assert (v.status, v.first_wrong) == (ERROR, (2, "exp"))
    assert v.message == "forward: raised at op exp (node 2), float32 on cuda: IndexError: 3\nTraceback ..."


@pytest.mark.parametrize("node", [-1, 3])
def test_where_no_node_is_known_none_is_named(node: int) -> None:
    v = verdict(NoAnswer("IndexError: 3", refused=False, node=node))
    assert v.first_wrong is None
    assert v.message == "forward: no single op raises it, float32 on cuda: IndexError: 3"
