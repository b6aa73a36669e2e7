"""The heat map: levels of ops by device, dtype and group of modes, and what stands in no cell."""

from __future__ import annotations

import pytest

from refgrad.report.page.heat_map import LEGEND, SYMBOLS, heat_map
from refgrad.report.storage.load import load


def levels(save, make, *lines):
    found = heat_map(load(save([make.header(), *lines])))
    return {row.op: [c and c.level for c in row.cells] for row in found.rows}, found


@pytest.mark.parametrize(
    ("ratio", "level", "shown"),
    [(0.05, "low", ""), (0.1, "low", ""), (0.37, "mid", ".37"), (0.51, "near", ".51"), (1.0, "near", "1")],
)
def test_the_level_says_how_near_the_worst_error_came(make, save, ratio, level, shown) -> None:
    found, table = levels(save, make, make.result("a" * 16, ops={"tanh": [1, 24, ratio]}))
    assert found == {"tanh": [level]}
    [cell] = table.rows[0].cells
    assert (cell.symbol, cell.shown, cell.elements) == (SYMBOLS[level], shown, 24)
    assert {name for name, *_ in LEGEND} == set(SYMBOLS)


def test_an_op_is_wrong_beyond_its_bound_or_as_the_first_wrong_one(make, save) -> None:
    line = make.wrong("a" * 16, "tanh", ops={"tanh": [1, 24, 0.2], "add": [1, 24, 3.0], "mul": [1, 4, 0.2]})
    found, table = levels(save, make, line)
    assert found == {"add": ["wrong"], "mul": ["mid"], "tanh": ["wrong"]}
    # No number of tanh is wrong.
    assert {row.op: row.cells[0].shown for row in table.rows} == {"add": "3", "mul": ".2", "tanh": ""}
    assert [row.failure for row in table.rows] == ["✗", "", "✗"]


def test_an_op_that_raised_is_marked_even_where_nothing_of_it_was_compared(make, save) -> None:
    raised = make.result(
        "a" * 16, status="error", mode="reverse", reason="RuntimeError: no", elements=0, worst=None, ops={},
        first_wrong={"node": 1, "op": "tanh"},
    )  # fmt: skip
    found, table = levels(save, make, make.result("a" * 16, mode="value"), raised)
    assert found == {"tanh": ["mid", "error"]}
    assert table.rows[0].failure == "⚠"
    assert levels(save, make, raised)[0] == {"tanh": ["error"]}
    assert levels(save, make, raised, make.wrong("b" * 16, mode="reverse"))[0] == {"tanh": ["wrong"]}


def test_known_and_imprecise_results_make_no_op_wrong(make, save) -> None:
    known, _ = levels(save, make, make.wrong("a" * 16, "tanh", known="an-entry"))
    assert known == {"tanh": ["low"]}
    explained, _ = levels(
        save,
        make,
        make.result("a" * 16, status="imprecise", imprecise=3, digits=1.5, ops={"tanh": [1, 24, 9.0]}),
    )
    assert explained == {"tanh": ["imprecise"]}


def test_columns_are_device_dtype_and_group_the_cpu_and_wide_formats_first(make, save) -> None:
    lines = [
        make.result(f"{k}" * 16, device=device, dtype=dtype, mode=mode)
        for k, (device, dtype, mode) in enumerate(
            [
                ("cuda", "float64", "value"),
                ("cpu", "float32", "reverse"),
                ("cpu", "float64", "forward"),
                ("cpu", "float64", "value"),
            ]
        )
    ]
    found, table = levels(save, make, *lines)
    assert [(c[0], c[1]) for c in table.columns] == [
        ("cpu", "float64"),
        ("cpu", "float64"),
        ("cpu", "float32"),
        ("cuda", "float64"),
    ]
    assert table.devices == (("cpu", 3), ("cuda", 1))
    assert table.dtypes == (("float64", 2), ("float32", 1), ("float64", 1))
    assert found == {"tanh": ["mid"] * 4}
    assert table.rows[0].elements == 4 * 24


def test_an_op_of_which_nothing_was_compared_has_no_row(make, save) -> None:
    line = make.result(
        "a" * 16, status="undecided", reason="kink", elements=0, worst=None, ops={"tanh": [1, 0, 0.0]}
    )
    found, _ = levels(save, make, line)
    assert found == {}
