import pytest

from refgrad.report.analysis.findings import findings
from refgrad.report.storage.load import load


@pytest.fixture
def matrix(make, save):
    def read(*lines):
        [f] = findings(load(save([make.header(), *lines])))
        return f.matrix

    return read


def test_cells_count_what_fails_of_what_was_judged(matrix, make):
    m = matrix(
        make.wrong("a" * 16),
        make.wrong("b" * 16),
        make.result("c" * 16),
        make.result("d" * 16, dtype="float64"),
        make.result("d" * 16, mode="forward", dtype="float64"),
        make.result("e" * 16, status="undecided"),
        make.result("f" * 16, ops={"exp": [1, 24, 0.1]}),
    )
    assert m.columns == (("cpu", "float64"), ("cpu", "float32"))
    assert [(mode, [str(c or "") for c in cells]) for mode, cells in m.rows] == [
        ("reverse", ["✓ 1", "✗ 2/3"]),
        ("forward", ["✓ 1", ""]),
    ]


def test_an_end_to_end_result_counts_for_every_op_of_its_case(matrix, make):
    m = matrix(
        make.wrong("a" * 16),
        make.wrong("a" * 16, mode="reverse end to end", ops={"mean": [1, 24, 9.0]}),
        make.result("b" * 16),
        make.result("b" * 16, mode="reverse end to end", ops={"mean": [1, 24, 0.5]}),
    )
    assert [(mode, str(cells[0])) for mode, cells in m.rows] == [
        ("reverse", "✗ 1/2"),
        ("reverse end to end", "✗ 1/2"),
    ]


def test_a_result_in_which_another_op_is_the_first_wrong_one_speaks_for_an_op_only_where_it_is_right(
    make, save
):
    both = {"tanh": [1, 24, 9.0], "exp": [1, 24, 9.0]}
    one = {"tanh": [1, 24, 9.0], "exp": [1, 24, 0.5]}
    whole = {
        "mode": "reverse end to end",
        "ops": {"mean": [1, 24, 9.0]},
        "first_wrong": {"node": 4, "op": ""},
    }
    lines = [
        make.wrong("a" * 16, ops=both),
        make.wrong("a" * 16, **whole),
        make.wrong("b" * 16, ops=one),
        make.wrong("b" * 16, **whole),
        make.wrong("c" * 16, op="exp"),
        make.wrong("c" * 16, **whole),
    ]
    found = {f.op: f.matrix for f in findings(load(save([make.header(), *lines])))}
    assert [str(cells[0]) for _, cells in found["tanh"].rows] == ["✗ 2/2", "✗ 2/2"]
    assert [str(cells[0]) for _, cells in found["exp"].rows] == ["✗ 1/2", "✗ 1/1"]


def test_plain_reverse_mode_is_the_first_row_and_further_modes_appear_where_they_fail(matrix, make):
    failing = ("reverse over reverse", "reverse", "forward")
    agreeing = ("value", "functional reverse")
    m = matrix(
        *[make.wrong("a" * 16, mode=mode) for mode in failing],
        *[make.result("a" * 16, mode=mode) for mode in agreeing],
    )
    assert [mode for mode, _ in m.rows] == ["reverse", "value", "forward", "reverse over reverse"]


def test_modes_of_a_group_share_a_row_where_room_is_short(matrix, make):
    modes = (
        "reverse",
        "functional reverse",
        "recorded reverse",
        "forward over reverse",
        "reverse over forward",
        "mine",
    )
    m = matrix(*[make.wrong("a" * 16, mode=mode) for mode in modes]).grouped
    assert [(mode, str(cells[0])) for mode, cells in m.rows] == [
        ("reverse", "✗ 3/3"),
        ("second order", "✗ 2/2"),
        ("mine", "✗ 1/1"),
    ]


def test_columns_of_a_device_stand_together(matrix, make):
    places = [
        ("cuda", "float32"),
        ("cpu", "float32"),
        ("cuda", "float64"),
        ("cpu", "float16"),
        ("a", "float64"),
    ]
    m = matrix(*[make.wrong(f"{k:016x}", device=d, dtype=t) for k, (d, t) in enumerate(places)])
    assert m.columns == (
        ("cpu", "float32"), ("cpu", "float16"), ("a", "float64"), ("cuda", "float64"), ("cuda", "float32"),
    )  # fmt: skip
    assert m.spans == (("cpu", 2), ("a", 1), ("cuda", 2))
