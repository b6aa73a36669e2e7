"""A run that compared nothing of an op that it was to judge proves nothing of it."""

from __future__ import annotations

import pytest

from refgrad.report import exit_code
from refgrad.report.analysis.never_compared import never_compared
from refgrad.report.analysis.verdict import verdict
from refgrad.report.storage.load import load

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1}
NODE_BY_NODE = ["value", "reverse", "forward"]


@pytest.fixture
def run(make, save):
    def read(*lines, **changes):
        asked = {"ops": ["exp", "tanh"], "examples": "4", "modes": NODE_BY_NODE} | changes
        return load(save([make.header(**asked), *lines]))

    return read


def test_an_op_that_was_never_compared_is_named_and_ends_the_run_with_3(run, make) -> None:
    found = run(make.result("a" * 16, ops={"exp": [1, 24, 0.1], "tanh": [1, 0, 0.0]}), END)
    assert never_compared(found) == ["tanh"]
    assert exit_code(found) == 3
    assert verdict(found).sentence.startswith("Nothing was proved of tanh: no element of it was compared.")


def test_ops_that_were_compared_are_proved(run, make) -> None:
    found = run(make.result("a" * 16, ops={"exp": [1, 24, 0.1], "tanh": [1, 3, 0.0]}), END)
    assert not never_compared(found)
    assert exit_code(found) == 0


def test_a_wrong_op_was_compared(run, make) -> None:
    found = run(make.result("a" * 16, ops={"exp": [1, 24, 0.1]}), make.wrong("b" * 16, "tanh"), END)
    assert not never_compared(found)
    assert exit_code(found) == 1


@pytest.mark.parametrize(
    "changes",
    [{"shard": "1/2"}, {"examples": ""}, {"ops": []}, {"modes": ["value", "reverse end to end"]}],
    ids=["a part", "the failures of another run", "no selection", "end to end"],
)
def test_where_results_do_not_tell_the_ops_nothing_is_said(run, make, changes) -> None:
    assert not never_compared(run(make.result("a" * 16, ops={"exp": [1, 24, 0.1]}), END, **changes))
