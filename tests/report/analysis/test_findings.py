import pytest

from refgrad.report.analysis.findings import findings
from refgrad.report.storage.load import load


@pytest.fixture
def found(make, save):
    def read(*lines):
        return findings(load(save([make.header(), *lines])))

    return read


def end_to_end(make, case_id, op=None, **changes):
    """A disagreement end to end; its comparison is filed under the op of the output, which is not to blame."""
    first = None if op is None else {"node": 4, "op": op}
    return make.wrong(case_id, mode="reverse end to end", first_wrong=first, **changes) | {
        "ops": {"mean": [1, 24, 8e5]},
        "worst": make.wrong(case_id)["worst"] | {"op": "mean"},
    }


def test_one_wrong_op_is_one_finding_in_all_its_modes_dtypes_and_devices(found, make):
    modes = ("reverse", "forward", "recorded reverse", "reverse over reverse", "agreement of modes")
    lines = [
        make.wrong(f"{k:016x}", dtype=dtype, mode=mode, device=device)
        for k, dtype in enumerate(("float64", "float32", "bfloat16"))
        for mode in modes
        for device in ("cpu", "cuda")
    ]
    [f] = found(*lines)
    assert (f.name, f.cases, f.modes, f.dtypes, f.devices) == (
        "disagree at tanh",
        3,
        modes,
        ("float64", "float32", "bfloat16"),
        ("cpu", "cuda"),
    )
    assert f.extent == "3 of 3 cases, 5 modes, 3 dtypes, cpu cuda"


def test_what_raises_is_apart_from_wrong_numbers_and_its_messages_stand_together(found, make):
    first = {"node": 2, "op": "tanh"}
    errors = [
        make.result(f"{k:016x}", status="error", reason=f"RuntimeError: bad 0x{k:x}f", first_wrong=first)
        for k in range(5)
    ]
    other = make.result("e" * 16, status="error", reason="IndexError", first_wrong=first)
    got = found(make.wrong("a" * 16), make.wrong("b" * 16), *errors, other)
    assert sorted((f.name, f.cases) for f in got) == [("disagree at tanh", 2), ("error at tanh", 6)]
    [error] = [f for f in got if f.status == "error"]
    assert error.reasons == (("RuntimeError: bad #", 5), ("IndexError", 1))


def test_errors_without_an_op_meet_by_their_message(found, make):
    errors = [
        make.result(f"{k:016x}", status="error", reason=f"crashed at {k}", ops={}, worst=None)
        for k in range(5)
    ]
    [f] = found(*errors, make.result("f" * 16))
    assert (f.name, f.cases, f.op) == ("error: crashed at #", 5, "")


def test_an_end_to_end_result_belongs_to_the_op_found_node_by_node(found, make):
    for op in (None, "mean", ""):  # whatever it is filed under itself
        [f] = found(
            make.wrong("a" * 16, mode="forward"),
            make.wrong("a" * 16),
            end_to_end(make, "a" * 16, op),
        )
        assert (f.op, f.modes) == ("tanh", ("reverse", "forward", "reverse end to end"))


def test_an_end_to_end_result_that_is_right_node_by_node_names_no_op(found, make):
    first, last = found(make.wrong("a" * 16), end_to_end(make, "b" * 16, ""), make.result("b" * 16))
    assert first.op == "tanh"
    assert last.name == "disagree: end to end, right node by node"


def test_either_of_two_ops_is_the_one_found_wrong_alone(found, make):
    [f] = found(
        make.wrong("a" * 16, op="exp or tanh"),
        make.wrong("b" * 16, op="tanh or log"),
        make.wrong("c" * 16, mode="forward"),
    )
    assert (f.op, f.cases) == ("tanh", 3)
    assert f.smallest.id == "c" * 16  # it names the op by itself


def test_either_of_two_ops_stays_open_where_none_was_found_alone(found, make):
    [f] = found(make.wrong("a" * 16, op="exp or log"), make.result("b" * 16))
    assert f.name == "disagree at exp or log"
    assert f.query == 'op:"exp or log" status:disagree'


def test_the_case_to_look_at_is_of_plain_reverse_mode_then_small(found, make):
    [f] = found(
        make.wrong("a" * 16, nodes=3, mode="forward"),
        make.wrong("b" * 16, nodes=3, mode="functional reverse"),
        make.wrong("c" * 16, nodes=9, elements=1),
        make.wrong("d" * 16, nodes=4, elements=50),
        make.wrong("e" * 16, nodes=4, elements=7),
    )
    assert [r.id[0] for r in f.results] == ["e", "d", "c", "a", "b"]


def test_the_smallest_of_cases_of_which_nothing_was_compared_has_the_fewest_elements(found, make):
    def raised(name: str, elements: int):
        x = {"dtype": "float32", "shape": [elements], "data": [0.5] * elements}
        case = make.case("tanh") | {"inputs": {"x": x}}
        return make.result(name * 16, status="error", reason="raised", elements=0, worst=None, case=case)

    [f] = found(raised("a", 400), raised("b", 0), raised("c", 2))
    assert [r.id[0] for r in f.results] == ["c", "a", "b"]


def test_of_equal_cases_the_widest_format_is_shown(found, make):
    [f] = found(*[make.wrong(f"{k:016x}", dtype=d) for k, d in enumerate(("bfloat16", "float32", "float64"))])
    assert f.smallest.dtype == "float64"
    assert f.extent == "3 of 3 cases, reverse, 3 dtypes, cpu"


def wrong_by(make, op, factor, **changes):
    """A disagreement in which the number is right but for this factor."""
    element = make.wrong("a")["worst_elements"][0] | {"op": op, "got": 1.5 * factor, "expected": 1.5}
    return make.wrong(changes.pop("id", f"{op:_>16}"), op=op, worst_elements=[element], **changes)


def test_the_most_certain_and_most_severe_come_first(found, make):
    mostly_right = [make.result(f"{k:016x}", ops={"op4": [1, 9, 0.1]}) for k in range(4)]
    by_order = [
        [wrong_by(make, "op0", 3.0, id=f"a{k}", dtype=d) for k, d in enumerate(("float64", "float32"))],
        [wrong_by(make, "op1", 3.0, id=f"b{k}") for k in range(3)],
        [make.result("c", status="error", reason="raised", first_wrong={"node": 2, "op": "op2"})],
        [wrong_by(make, "op3", 1.0001, id=f"e{k}") for k in range(9)],
        [wrong_by(make, "op4", 3.0), *mostly_right],
        [make.wrong("f", op="either or other")],
        [wrong_by(make, "op5", 3.0, mode="functional reverse")],
        [wrong_by(make, "op6", 3.0, mode="reverse over reverse")],
        [wrong_by(make, "op7", 3.0, mode="agreement of modes")],
        [end_to_end(make, "h", "")],
    ]
    got = found(*[line for lines in reversed(by_order) for line in lines])
    names = [*(f"op{k}" for k in range(5)), "either or other", *(f"op{k}" for k in range(5, 8)), ""]
    assert [f.op for f in got] == names


def test_what_shrinking_made_is_shown_and_not_counted(found, make):
    [f] = found(
        make.wrong("a" * 16, nodes=9),
        make.wrong("b" * 16, nodes=8),
        make.wrong("c" * 16, nodes=3, shrunk=True),
    )
    assert f.smallest.id == "c" * 16
    assert f.extent == "2 of 2 cases, reverse, float32, cpu"
    assert str(f.matrix.rows[0][1][0]) == "✗ 2/2"
    [also] = found(make.wrong("a" * 16), make.result("d" * 16, shrunk=True))
    assert str(also.matrix.rows[0][1][0]) == "✗ 1/1"
    [alone] = found(make.wrong("c" * 16, shrunk=True))
    assert alone.cases == 1


def test_a_number_that_is_none_has_no_digit_right(found, make):
    first, second = found(
        wrong_by(make, "exp", 1.1),
        make.wrong("b" * 16, worst_elements=[make.wrong("b")["worst_elements"][0] | {"got": "nan"}]),
    )
    assert (first.op, second.op) == ("tanh", "exp")


def test_an_op_wrong_everywhere_comes_before_one_with_a_single_wrong_case(found, make):
    dtypes = ("float64", "float32", "bfloat16", "float16")
    # As right as wrong.
    saturated = [make.result(f"s{d}", dtype=d, ops={"tanh": [1, 9, 0.0]}) for d in dtypes]
    lines = [wrong_by(make, "tanh", 3.0, id=f"t{d}", dtype=d) for d in dtypes]
    first, second = found(*lines, *saturated, wrong_by(make, "abs", 3.0))
    assert (first.op, second.op) == ("tanh", "abs")


def test_rare_and_gross_comes_before_everywhere_and_in_the_last_digits(found, make):
    dtypes = ("float64", "float32")
    slight = [wrong_by(make, "cosh", 1 + 1e-6, id=f"c{k}{d}", dtype=d) for d in dtypes for k in range(4)]
    gross = [wrong_by(make, "cbrt", 3.0, id=f"g{k}{d}", dtype=d) for d in dtypes for k in range(4)]
    assert [f.op for f in found(*slight, *gross)] == ["cbrt", "cosh"]


def test_agreeing_and_undecided_results_are_no_failures(found, make):
    statuses = ("agree", "undecided", "unsupported", "imprecise")
    assert found(*[make.result(f"{k:016x}", status=status) for k, status in enumerate(statuses)]) == ()


def test_checks_of_a_project_s_tests_are_told_apart_by_their_place(found, make):
    for name in ("<lambda>", "mine"):
        got = found(
            make.wrong("a" * 16, op=name, where="tests/test_a.py:3"),
            make.wrong("b" * 16, op=name, where="tests/test_b.py:9"),
        )
        assert [f.where for f in got] == ["tests/test_a.py:3", "tests/test_b.py:9"]
        assert len({f.anchor for f in got}) == 2
        assert got[0].name == f"disagree at {name} (tests/test_a.py:3)"


def test_an_anchor_is_made_from_the_content(found, make):
    a = found(make.wrong("a" * 16), make.wrong("b" * 16, op="exp or log"), make.wrong("c" * 16, op="EXP-log"))
    b = found(make.wrong("d" * 16, dtype="float64", message="another"), make.wrong("0" * 16, op="exp or log"))
    anchors = {f.op: f.anchor for f in a}
    assert anchors["tanh"] == "disagree-tanh"
    assert {f.op: f.anchor for f in b}.items() <= anchors.items()
    assert len(set(anchors.values())) == 3
    assert all(set(anchor) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.") for anchor in anchors.values())
