import pytest

from refgrad.report.analysis.blame import Blame
from refgrad.report.storage.load import load


@pytest.fixture
def blamed(make, save):
    """The op that each failing result is held against, by case and mode."""

    def read(*lines):
        run = load(save([make.header(), *lines]))
        blame = Blame(run.results)
        return {(r.id[0], r.mode): blame.op(r) for r in run.results if r.failed}

    return read


WHOLE = {"ops": {"mean": [1, 24, 8e5]}, "first_wrong": {"node": 4, "op": ""}}


def test_an_end_to_end_result_takes_the_op_of_its_own_direction_first(blamed, make):
    got = blamed(
        make.wrong("a" * 16, op="exp"),
        make.wrong("a" * 16, op="tanh", mode="forward"),
        make.wrong("a" * 16, mode="reverse end to end", **WHOLE),
        make.wrong("a" * 16, mode="forward end to end", **WHOLE),
        make.wrong("b" * 16, op="log", mode="value"),
        make.wrong("b" * 16, mode="forward end to end", **WHOLE),
        make.wrong("c" * 16, mode="forward end to end", **WHOLE),
    )
    assert got["a", "reverse end to end"] == "exp"
    assert got["a", "forward end to end"] == "tanh"
    assert got["b", "forward end to end"] == "log"
    assert got["c", "forward end to end"] == ""


def test_a_wrong_value_comes_before_the_other_direction(blamed, make):
    got = blamed(
        make.wrong("a" * 16, op="exp", mode="value"),
        make.wrong("a" * 16, op="tanh", mode="forward"),
        make.wrong("a" * 16, mode="reverse end to end", **WHOLE),
    )
    assert got["a", "reverse end to end"] == "exp"


def test_of_two_suspects_found_alone_the_more_frequent_one_is_named(blamed, make):
    lines = [make.wrong(f"{k:016x}", op=op) for k, op in enumerate(("exp", "log", "log"))]
    assert blamed(*lines, make.wrong("f" * 16, op="exp or log"))["f", "reverse"] == "log"


def test_what_raised_says_nothing_of_wrong_numbers(blamed, make):
    error = make.result("a" * 16, status="error", reason="raised", first_wrong={"node": 2, "op": "exp"})
    assert blamed(error, make.wrong("b" * 16, op="exp or log"))["b", "reverse"] == "exp or log"


def test_end_to_end_two_suspects_are_settled_too(blamed, make):
    got = blamed(
        make.wrong("a" * 16, op="exp or log"),
        make.wrong("a" * 16, mode="reverse end to end", **WHOLE),
        make.wrong("b" * 16, op="log", mode="forward"),
    )
    assert set(got.values()) == {"log"}
