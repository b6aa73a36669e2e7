import pytest

from refgrad.report import load
from refgrad.report.clusters import clusters


@pytest.fixture
def found(make, save):
    def read(*lines):
        return clusters(load(save([make.header(), *lines])))

    return read


def test_same_first_wrong_op_dtype_device_and_mode_stand_together(found, make):
    got = found(
        *[make.wrong(f"{k:016x}", nodes=5) for k in range(4)],
        make.wrong("f" * 16, dtype="float64"),
        make.wrong("e" * 16, op="svd"),
    )
    assert sorted((c.op, c.dtype, c.cases) for c in got) == [
        ("svd", "float32", 1),
        ("tanh", "float32", 4),
        ("tanh", "float64", 1),
    ]


def test_device_and_mode_tell_clusters_apart(found, make):
    assert (
        len(
            found(
                make.wrong("a" * 16),
                make.wrong("b" * 16, device="cuda"),
                make.wrong("c" * 16, mode="forward"),
            )
        )
        == 3
    )


def test_the_case_with_the_fewest_nodes_then_elements_is_shown(found, make):
    [c] = found(
        make.wrong("a" * 16, nodes=9, elements=1),
        make.wrong("b" * 16, nodes=4, elements=50),
        make.wrong("c" * 16, nodes=4, elements=7),
    )
    assert c.smallest.id == "c" * 16
    assert [r.id[0] for r in c.results] == ["c", "b", "a"]


def test_the_smallest_reproduction_comes_first_and_a_case_without_graph_last(found, make):
    got = found(
        make.wrong("a" * 16, op="svd", case=None),
        make.wrong("b" * 16, nodes=8),
        make.wrong("c" * 16, op="exp", nodes=3),
    )
    assert [c.op for c in got] == ["exp", "tanh", "svd"]


def test_errors_meet_by_their_message_with_numbers_blanked(found, make):
    errors = [
        make.result(
            f"{k:016x}",
            status="error",
            reason=f"RuntimeError: bad 0x{k:x}f at {k}",
            ops={},
            worst=None,
            message=f"Traceback {k}",
        )
        for k in range(5)
    ]
    [c] = found(*errors, make.result("f" * 16))
    assert (c.cases, c.reason) == (5, "RuntimeError: bad # at #")


def test_agreeing_and_undecided_results_are_no_failures(found, make):
    assert (
        found(
            make.result("a" * 16),
            make.result("b" * 16, status="undecided"),
            make.result("c" * 16, status="unsupported"),
        )
        == ()
    )


def test_the_query_quotes_what_has_spaces(found, make):
    [c] = found(make.wrong("a" * 16, op="exp or log"))
    assert c.query == 'op:"exp or log" dtype:float32 device:cpu mode:reverse status:disagree'
