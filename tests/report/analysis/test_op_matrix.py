"""The matrix of ops and backends: levels, shares, and one cell for each backend."""

from __future__ import annotations

import pytest

from refgrad.report.analysis.backend_comparison import compare_backends
from refgrad.report.analysis.op_matrix import LEVELS, op_matrix
from refgrad.report.storage.load import load

A, B = "a" * 16, "b" * 16


@pytest.fixture
def matrix(make, save):
    """A function of lines by backend: the matrix of their runs."""

    def made(**lines):
        runs = {
            name: load(save([make.header(backend=name, beside=list(lines)), *mine], f"{name}.jsonl"))
            for name, mine in lines.items()
        }
        return op_matrix(compare_backends(runs))

    return made


def levels(matrix):
    return {row.op: [c and c.level for c in row.cells] for row in matrix.rows}


def test_columns_are_the_groups_of_modes_that_each_backend_has(make, matrix) -> None:
    torch = [make.result(A), make.result(A, mode="reverse over reverse"), make.result(A, mode="value")]
    found = matrix(torch=torch, jax=[make.result(A)])
    assert found.columns == (
        ("torch", "value"),
        ("torch", "reverse"),
        ("torch", "second order"),
        ("jax", "reverse"),
    )
    assert found.spans == (("torch", 3), ("jax", 1))
    assert levels(found) == {"tanh": ["mid"] * 4}
    assert found.failing.rows == ()


def test_a_cell_says_how_many_of_the_judged_results_fail(make, matrix) -> None:
    found = matrix(torch=[make.result(A), make.result(B)], jax=[make.wrong(A), make.result(B)])
    [row] = found.failing.rows
    assert [(c.symbol, c.text) for c in row.cells if c] == [("●", ".41"), ("✗", "1/2")]
    assert row.fails


def test_errors_known_and_imprecise_results_have_levels_of_their_own(make, matrix) -> None:
    error = make.result(
        A, status="error", reason="no", first_wrong={"node": 2, "op": "sin"}, ops={}, worst=None
    )
    lost = make.result(B, status="imprecise", ops={"cos": [1, 4, 3.0]})
    found = matrix(
        torch=[make.result(A, ops={}), make.result(B, ops={})],
        jax=[
            error,
            lost,
            make.wrong(A, "exp", known="x", mode="forward"),
            make.result(A, mode="value", ops={"exp": [1, 0, 0.0]}),
        ],
    )
    assert levels(found) == {"cos": ["imprecise", None], "exp": [None, "known"], "sin": ["error", None]}
    assert {row.op for row in found.failing.rows} == {"exp", "sin"}
    assert {level for row in found.rows for c in row.cells if c for level in [c.level]} <= set(LEVELS)


def test_all_modes_of_a_backend_make_one_cell_of_the_worst_level(make, matrix) -> None:
    jax = [make.wrong(A), make.wrong(A, mode="forward"), make.result(A, mode="value")]
    found = matrix(torch=[make.result(A), make.result(A, mode="value", ops={"tanh": [1, 3, 0.9]})], jax=jax)
    [(op, (torch, wrong))] = found.by_backend
    assert (op, torch.level, torch.text, torch.elements) == ("tanh", "near", ".9", 27)
    assert (wrong.level, wrong.text) == ("wrong", "2/2")


def test_failures_outside_the_common_cases_do_not_count(make, matrix) -> None:
    assert levels(matrix(torch=[make.result(A), make.wrong(B, "exp")], jax=[make.result(A)])) == {
        "tanh": ["mid", "mid"]
    }
