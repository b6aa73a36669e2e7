"""The verdict on a mode without an answer: `unsupported` where the framework refused, `error` where it failed in another way."""

from __future__ import annotations

from refgrad.graph import Graph
from refgrad.testing.judging.observation import NoAnswer
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import ERROR, UNSUPPORTED, Verdict


def unanswered(tally: Tally, graph: Graph, why: NoAnswer) -> Verdict:
    """The verdict on a mode without an answer. It names the op where the failing node is known."""
    v = tally.result
    v.status, v.reason = UNSUPPORTED if why.refused else ERROR, why.words
    v.repeatable = not why.late
    where = "no single op raises it"
    if 0 <= why.node < len(graph.nodes):
        v.first_wrong = why.node, str(graph.nodes[why.node])
        where = f"raised at op {v.first_wrong[1]} (node {why.node})"
    if not why.refused:
        head = f"{v.mode}: {where}, {tally.dtype} on {tally.device}: {why.words}"
        v.message = f"{head}\n{why.details}" if why.details else head
    return v
