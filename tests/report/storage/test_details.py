"""What a run in memory leaves out is read again: cases, scripts, observations, and results that agree."""

from __future__ import annotations

import pytest

from refgrad.report.storage.details import each_case, each_result, in_full, results_of
from refgrad.report.storage.load import load

OBSERVED = {
    "nodes": {"2": [{"part": "value", "shape": [], "got": [1.5], "expected": [0.5], "wrong": True}]},
    "suspects": [2],
}


def test_a_result_in_full_has_what_its_line_and_its_case_hold(make, save) -> None:
    lines = [
        make.wrong("a" * 16, observed=OBSERVED),
        make.wrong("b" * 16, op="exp"),
        make.wrong("a" * 16, mode="value"),
    ]
    run = load(save([make.header(), *lines, make.result("c" * 16)]))
    assert not any(r.script or r.case or r.observed or len(r.worst_elements) > 1 for r in run.results)
    full = in_full(run, run.results[::-1])
    assert [(r.id, r.mode) for r in full] == [(r.id, r.mode) for r in run.results[::-1]]
    assert all(r.script and len(r.worst_elements) == 3 for r in full)
    assert {r.op: r.case for r in full} == {"tanh": make.case(), "exp": make.case("exp")}
    assert [r.observed is not None for r in full] == [r.id[0] == "a" and r.mode == "reverse" for r in full]
    # NaN is not itself where == compares fields.
    assert repr([r.lean for r in full]) == repr(list(run.results[::-1]))
    assert in_full(run, []) == []


def test_an_expected_disagreement_stays_known(make, save) -> None:
    back = {"type": "expected", "ids": ["a" * 16], "known": "asked for"}
    run = load(save([make.header(), make.wrong("a" * 16), back]))
    [full] = in_full(run, run.results)
    assert (full.status, full.known, bool(full.script)) == ("known", "asked for", True)


@pytest.mark.parametrize("name", ["a" * 16, 'with "quotes"', "ü" * 8, "long" * 1000])
def test_lines_of_another_form_are_found(make, save, name) -> None:
    line = make.wrong(name)
    turned = dict(reversed(line.items()))
    for written in (line, turned):
        run = load(save([make.header(), *make.apart(written)]))
        [full] = in_full(run, run.results)
        assert full.script
        assert full.case == make.case()


def test_each_case_and_each_result_is_read(make, save) -> None:
    running = {"type": "running", "worker": "gw1", "item": "i", "id": "f" * 16, "case": make.case("sin")}
    lines = [
        make.wrong("a" * 16),
        make.result("b" * 16),
        make.result("c" * 16, status="undecided", case=make.case("exp")),
        running,
    ]
    run = load(save([make.header(), *lines]))
    assert {c.id[0]: c.case for c in each_case(run)} == {
        "a": make.case(),
        "c": make.case("exp"),
        "f": make.case("sin"),
    }
    assert sorted(r.id[0] for r in each_result(run)) == ["a", "b", "c"]


def test_the_results_of_some_cases_are_read_again(make, save):
    lines = [
        make.result("a" * 16),
        make.result("a" * 16, mode="value"),
        make.wrong("b" * 16),
        make.result("c" * 16),
    ]
    run = load(save([make.header(), *lines]))
    found = list(results_of(run, {"a" * 16, "b" * 16}))
    assert sorted((r.id[0], r.mode, r.status) for r in found) == [
        ("a", "reverse", "agree"),
        ("a", "value", "agree"),
        ("b", "reverse", "disagree"),
    ]
    assert list(results_of(run, set())) == []
