import pytest

from refgrad.report.analysis.coverage import coverage_rows, unjudged
from refgrad.report.page.heat_map import heat_map
from refgrad.report.page.histogram import histograms
from refgrad.report.storage.load import load


@pytest.fixture
def run(make, save):
    def read(*lines, **head):
        return load(save([make.header(**head), *lines]))

    return read


def test_the_heat_map_keeps_the_worst_ratio_and_adds_the_elements(run, make):
    heat = heat_map(
        run(
            make.result("a" * 16, ops={"exp": [1, 10, 0.2]}),
            make.result("b" * 16, ops={"exp": [1, 5, 0.7], "log": [1, 3, 0.05]}),
        )
    )
    assert heat.columns == (("cpu", "float32", "reverse"),)
    assert [(r.op, r.cells[0].symbol, r.cells[0].ratio, r.cells[0].elements) for r in heat.rows] == [
        ("exp", "▲", "0.7", 15),
        ("log", "○", "0.05", 3),
    ]
    assert [r.cells[0].shown for r in heat.rows] == [".7", ""]


def test_modes_of_a_group_share_a_column_that_keeps_the_worst(run, make):
    modes = {"functional reverse": 0.3, "reverse": 0.2, "reverse over reverse": 0.6, "mine": 0.1}
    heat = heat_map(
        run(*[make.result(f"{k:016x}", mode=mode, ops={"exp": [1, 10, ratio]}) for k, (mode, ratio) in enumerate(modes.items())])
    )  # fmt: skip
    assert [mode for _, _, mode in heat.columns] == ["reverse", "second order", "mine"]
    assert [(c.ratio, c.elements) for c in heat.rows[0].cells] == [("0.3", 20), ("0.6", 10), ("0.1", 10)]
    assert heat.rows[0].elements == 40


def test_a_first_wrong_op_is_marked_even_where_no_number_is_wrong(run, make):
    heat = heat_map(run(make.wrong("a" * 16, op="svd", ops={"svd": [1, 4, 0.0]})))
    assert heat.rows[0].failure == "✗"
    assert heat.rows[0].cells[0].ratio == ""


def test_nan_is_the_worst_ratio(run, make):
    heat = heat_map(
        run(
            make.result("a" * 16, ops={"exp": [1, 1, "nan"]}), make.result("b" * 16, ops={"exp": [1, 1, 0.5]})
        )
    )
    assert heat.rows[0].cells[0].level == "wrong"
    assert heat.rows[0].cells[0].ratio == "∞"


def test_an_op_of_which_nothing_was_compared_has_an_empty_cell(run, make):
    heat = heat_map(
        run(
            make.result("a" * 16, ops={"exp": [1, 0, 0.0], "log": [1, 0, 0.0]}),
            make.result("b" * 16, mode="forward", ops={"exp": [1, 5, 0.1]}),
        )
    )
    assert [row.op for row in heat.rows] == ["exp"]
    assert heat.rows[0].cells[0] is None
    assert heat.rows[0].cells[1] is not None


def test_columns_stand_cpu_first_and_wide_dtypes_first(run, make):
    lines = [
        make.result(f"{k:016x}", device=device, dtype=dtype, mode=mode)
        for k, (device, dtype, mode) in enumerate(
            [
                ("cuda", "float16", "value"),
                ("cpu", "float32", "forward"),
                ("cpu", "float32", "value"),
                ("cpu", "float64", "reverse"),
            ]
        )
    ]
    heat = heat_map(run(*lines))
    assert heat.columns[0] == ("cpu", "float64", "reverse")
    assert heat.columns[1:3] == (("cpu", "float32", "value"), ("cpu", "float32", "forward"))
    assert heat.devices == (("cpu", 3), ("cuda", 1))
    assert heat.dtypes == (("float64", 1), ("float32", 2), ("float16", 1))


def test_histograms_count_every_worst_element_once(run, make):
    lines = [
        make.result(
            f"{k:016x}",
            worst={
                "ratio": ratio,
                "ulp": 0.3,
                "got": 0,
                "expected": 0,
                "bound": 0,
                "node": 0,
                "op": "exp",
                "element": [],
            },
        )
        for k, ratio in enumerate([0, 0.5, 1.0, 1.001, 1e9, "nan"])
    ]
    ratio, ulp = histograms(run(*lines, make.result("f" * 16, worst=None)))
    assert ratio.total == 6
    assert ulp.total == 6
    assert sum(b.number for b in ratio.bars if b.beyond) == 3
    assert [b.number for b in ratio.bars if b.label == "≤ 1"] == [2]
    assert ratio.bars[-1].number == 1


def test_shares_count_statuses_and_blunt_elements(run, make):
    [share] = coverage_rows(
        run(make.result("a" * 16, loose=4, blind=1), make.result("b" * 16, status="undecided", elements=0))
    )
    assert (share.cases, share.of("agree"), share.of("undecided"), share.loose, share.blind) == (
        2,
        1,
        1,
        4,
        1,
    )


def test_an_end_to_end_error_marks_the_op_at_fault_and_not_the_output(run, make):
    whole = {
        "mode": "reverse end to end",
        "ops": {"mean": [1, 24, 8e5]},
        "first_wrong": {"node": 4, "op": ""},
    }
    heat = heat_map(run(make.wrong("a" * 16), make.wrong("a" * 16, **whole), make.wrong("b" * 16, **whole)))
    symbols = {row.op: [c and c.symbol for c in row.cells] for row in heat.rows}
    assert heat.columns == (("cpu", "float32", "reverse"), ("cpu", "float32", "end to end"))
    assert symbols == {"mean": [None, "○"], "tanh": ["✗", "✗"]}


def test_of_two_suspects_the_innocent_one_is_not_marked(run, make):
    both = {"exp": [1, 24, 8e5], "tanh": [1, 24, 8e5]}
    heat = heat_map(
        run(make.wrong("a" * 16, op="exp or tanh", ops=both), make.wrong("b" * 16, mode="forward"))
    )
    assert [row.op for row in heat.rows if row.failure] == ["tanh"]
    alone = heat_map(run(make.wrong("a" * 16, op="exp or tanh", ops=both)))
    assert [row.op for row in alone.rows if row.failure] == ["exp", "tanh"]


def test_an_imprecise_op_has_a_mark_of_its_own(run, make):
    lost = make.result("a" * 16, status="imprecise", ops={"exp": [1, 24, 40.0], "log": [1, 24, 0.2]})
    heat = heat_map(run(lost, make.result("b" * 16, ops={"exp": [1, 24, 0.2]})))
    assert [(row.op, row.cells[0].symbol, row.failure) for row in heat.rows] == [
        ("exp", "≈", ""),
        ("log", "●", ""),
    ]
    wrong = heat_map(run(lost, make.wrong("b" * 16, op="exp")))
    assert wrong.rows[0].cells[0].symbol == "✗"


def test_what_shrinking_made_is_not_counted_again(run, make):
    [share] = coverage_rows(run(make.wrong("a" * 16), make.wrong("b" * 16, shrunk=True)))
    assert (share.cases, share.of("disagree"), share.elements) == (1, 1, 24)


def test_modes_of_a_group_are_counted_together_or_apart(run, make):
    found = run(
        make.result("a" * 16, mode="reverse"),
        make.result("a" * 16, mode="functional reverse"),
        make.result("a" * 16),
    )
    [together] = coverage_rows(found)
    assert (together.mode, together.cases, together.of("agree")) == ("reverse", 1, 3)
    assert [(s.mode, s.of("agree")) for s in coverage_rows(found, per_mode=True)] == [
        ("reverse", 2),
        ("functional reverse", 1),
    ]


def test_the_textbook_is_counted_by_itself(run, make):
    found = run(make.result("a" * 16, loose=6), make.result("D3-training", family="textbook", elements=10**8))
    [share] = coverage_rows(found)
    assert share.elements == 24
    left = unjudged(found)
    assert (left.elements, left.loose) == (24, 6)


def test_reasons_are_counted_and_the_rest_is_named(run, make):
    u = unjudged(
        run(
            *[make.result(f"{k:016x}", status="undecided", reason="kink", elements=0, ops={"abs": [1, 0, 0]}) for k in range(3)],
            make.result("f" * 16, status="unsupported", reason=""),
            devices=["cpu", "cuda"], dtypes=["float32", "bfloat16"], modes=["reverse", "forward"], families=["graphs", "mlp"],
        )
    )  # fmt: skip
    assert [(x.reason, x.results, x.ops) for x in u.reasons] == [
        ("kink", 3, "abs"),
        ("no reason given", 1, "tanh"),
    ]
    absent = dict(u.absent)
    assert absent["device cuda"] == "not present: CUDA was not judged"
    assert absent["device cpu"] == "results came, none of them was decided"
    assert absent["dtype bfloat16"] == "asked for, and no result came"
    assert {"mode forward", "family mlp"} <= absent.keys()
