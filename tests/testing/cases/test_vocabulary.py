"""Vocabularies: which ops and parameters they take, and what two of them have in common."""

from __future__ import annotations

import numpy as np

import refgrad.ops  # noqa: F401  registers every op
from refgrad.graph import Graph
from refgrad.op import REGISTRY
from refgrad.testing.cases.vocabulary import Vocabulary, from_json, to_json

SUM, PROD = REGISTRY["sum"], REGISTRY["prod"]
MASK = np.array([True, False])


def test_a_parameter_that_is_fixed_has_its_default() -> None:
    words = Vocabulary(frozenset({"sum", "prod"}), frozenset({"where", "prod.initial"}))
    for op in (SUM, PROD):
        assert words.takes(op, op.signature.defaults)
        assert words.takes(op, {})
        assert not words.takes(op, {**op.signature.defaults, "where": MASK})
        assert words.takes(op, {**op.signature.defaults, "where": np.True_})
    assert words.takes(SUM, {"initial": 2.0})
    assert not words.takes(PROD, {"initial": 2.0})
    assert not words.takes(REGISTRY["max"], {})


def test_a_graph_is_expressed_by_the_ops_and_parameters_of_its_nodes() -> None:
    graph = Graph.record(lambda x: np.sum(np.exp(x), where=MASK), np.ones(2))
    assert Vocabulary(frozenset({"sum", "exp"})).expresses(graph)
    assert not Vocabulary(frozenset({"sum"})).expresses(graph)
    assert not Vocabulary(frozenset({"sum", "exp"}), frozenset({"where"})).expresses(graph)


def test_two_vocabularies_have_in_common_what_both_take() -> None:
    one, other = (
        Vocabulary(frozenset({"sum", "exp"}), frozenset({"where"})),
        Vocabulary(frozenset({"sum", "sin"})),
    )
    assert one & other == Vocabulary(frozenset({"sum"}), frozenset({"where"}))


def test_it_covers_what_it_has_with_all_parameters() -> None:
    assert Vocabulary(frozenset({"sum", "exp"})).covers({"sum"})
    assert not Vocabulary(frozenset({"sum"})).covers({"sum", "exp"})
    assert not Vocabulary(frozenset({"sum"}), frozenset({"where"})).covers({"sum"})


def test_shared_vocabularies_are_read_back_as_they_were_written() -> None:
    shared = {
        ("cpu", "float32"): Vocabulary(frozenset({"exp", "sum"}), frozenset({"sum.where"})),
        ("cuda", "float16"): Vocabulary(frozenset()),
    }
    assert from_json(to_json(shared)) == shared
