"""The list of expected refusals: listed refusals are unsupported, others are lost support, and answers are news."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refgrad.errors import DeviationsFileError
from refgrad.graph import Graph
from refgrad.testing import Case
from refgrad.testing.deviations.expected_refusals import (
    Refusal,
    Support,
    list_of,
    load,
    release,
    updated,
    written,
)
from refgrad.testing.judging.observation import NOT_ASKED, NoAnswer, Observation
from refgrad.testing.judging.verdict import AGREE, ERROR, UNDECIDED, UNSUPPORTED, Verdict

TANH = Refusal("tanh", "reverse", "float64", "cpu")
LIST = """
[recorded]
cpu = ["2.6", "2.13"]

[[unsupported]]
op = "tanh"
modes = ["reverse"]
dtypes = ["float64"]
device = "cpu"
releases = ["2.13"]
"""


def support(version: str = "2.13.0+cpu") -> Support:
    return Support({TANH: frozenset({"2.13"})}, {"cpu": frozenset({"2.6", "2.13"})}, version)


def case(dtype: str = "float64", device: str = "cpu") -> Case:
    x = np.ones(2)
    return Case("ops", Graph.record(np.tanh, x), {"x": x}, {"x": x}, x, dtype, device)


def refused(mode: str = "reverse", op: str = "tanh") -> Verdict:
    return Verdict(
        mode, UNSUPPORTED, reason="RuntimeError: derivative not there", first_wrong=(1, op) if op else None
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.6.0", False),
        ("2.9.1", False),
        ("2.13.1", True),
        ("2.14.0a0+git12", True),
        ("3.0", True),
        ("2.5", False),
    ],
)
def test_a_release_that_nobody_has_recorded_is_held_to_the_one_before_it(
    version: str, expected: bool
) -> None:
    assert support(version).expects("tanh", "reverse", "float64", "cpu") is expected


def test_a_device_that_nobody_has_recorded_is_held_to_the_cpu() -> None:
    assert support().expects("tanh", "reverse", "float64", "mps:0")
    known = Support(support().refusals, {**support().recorded, "cuda": frozenset({"2.13"})}, "2.13.0")
    assert not known.expects("tanh", "reverse", "float64", "cuda:1")


def test_a_format_that_no_cpu_computes_in_is_held_to_the_dtype_that_stores_it() -> None:
    single = Refusal("tanh", "forward", "float32", "cpu")
    known = Support({single: frozenset({"2.13"})}, {"cpu": frozenset({"2.13"})}, "2.13.0")
    assert known.expects("tanh", "forward", "tf32", "cuda")
    assert not known.expects("tanh", "forward", "bfloat16", "cuda")
    own = Support(known.refusals, {**known.recorded, "cuda": frozenset({"2.13"})}, "2.13.0")
    assert not own.expects("tanh", "forward", "tf32", "cuda")  # CUDA is recorded: its own list counts


def test_an_expected_refusal_stays_unsupported_told_twice_or_once() -> None:
    verdicts = [refused(), refused("reverse end to end")]
    support().check(case(), verdicts)
    assert [v.status for v in verdicts] == [UNSUPPORTED] * 2


@pytest.mark.parametrize(
    ("v", "dtype", "version"),
    [
        (refused("forward"), "float64", "2.13.0"),
        (refused(), "float32", "2.13.0"),
        (refused(op="exp"), "float64", "2.13.0"),
        (refused(op=""), "float64", "2.13.0"),
        (refused(), "float64", "2.6.0"),
        (refused("forward"), "float64", "99.0"),
    ],
)
def test_any_other_refusal_is_lost_support_and_fails(v: Verdict, dtype: str, version: str) -> None:
    support(version).check(case(dtype), [v])
    assert v.status == ERROR
    assert v.failed
    assert v.reason == "lost support: RuntimeError: derivative not there"
    assert v.message.startswith(f"{v.mode}: at ")
    assert f"expects an answer in release {release(version)}" in v.message


def test_what_nobody_asked_is_no_refusal() -> None:
    v = Verdict("forward", UNSUPPORTED, reason=NOT_ASKED.words)
    support().check(case(), [v])
    assert v.status == UNSUPPORTED


def test_an_answer_where_none_was_expected_is_told_once_and_fails_nothing() -> None:
    ours = support()
    for status in (AGREE, AGREE, UNDECIDED, ERROR):
        v = Verdict("reverse", status)
        ours.check(case(), [v, Verdict("forward", AGREE)])
        assert v.status == status
    (line,) = ours.lines()
    assert (line.kind, line.name) == ("support", "tanh reverse float64")
    assert line.text.startswith("2.13.0+cpu answers, for the arguments that were drawn, where 2.13 refused")
    ours.check(case(), [Verdict("reverse", AGREE)])
    assert not list(ours.lines())


@pytest.mark.parametrize("status", [UNDECIDED, ERROR])
def test_only_an_answer_is_news(status: str) -> None:
    ours = support()
    ours.check(case(), [Verdict("reverse", status)])
    assert not list(ours.lines())


def test_an_answer_of_a_program_of_many_ops_is_no_news() -> None:
    ours, x = support(), np.ones(2)
    many = Case("graphs", Graph.record(lambda x: np.tanh(np.tanh(x)), x), {"x": x}, {"x": x}, x, "float64")
    ours.check(many, [Verdict("reverse", AGREE)])
    assert not list(ours.lines())


def test_the_judge_holds_what_an_adapter_refused() -> None:
    from refgrad.testing import judge

    def observe(_: Case) -> Observation:
        y, nothing = np.tanh(np.ones(2)), [None, None]
        gone = {mode: NoAnswer("no such derivative", node=1) for mode in ("reverse", "forward")}
        return Observation([np.ones(2), y], nothing, nothing, dtypes={}, devices={}, unavailable=gone)

    free = {v.mode: v.status for v in judge(case(), observe(case()))}
    assert free["forward"] == free["forward end to end"] == UNSUPPORTED
    seen = replace(observe(case()), support=support())
    found = {v.mode: v.status for v in judge(case(), seen)}
    assert found["reverse"] == found["reverse end to end"] == UNSUPPORTED
    assert found["forward"] == found["forward end to end"] == ERROR


def test_a_file_is_read_and_written_alike(tmp_path: Path) -> None:
    path = tmp_path / "unsupported.toml"
    path.write_text(LIST)
    read = load(path, "2.13.0+cpu")
    assert read == support()
    path.write_text(written(read, "Two lines\nof comment.", ["reverse", "forward"], ["float64", "float32"]))
    assert load(path, "2.13.0+cpu") == read
    assert path.read_text().startswith("# Two lines\n# of comment.\n")


def test_an_update_speaks_of_its_release_and_device_alone() -> None:
    more = Refusal("exp", "forward", "float32", "cpu")
    after = updated(support("2.14.1"), "cpu", {more})
    assert after.refusals == {TANH: frozenset({"2.13"}), more: frozenset({"2.14"})}
    assert after.recorded == {"cpu": frozenset({"2.6", "2.13", "2.14"})}
    assert not after.expects("tanh", "reverse", "float64", "cpu")
    again = updated(support("2.13.1"), "cpu", set())
    assert not again.refusals  # 2.13 was the only release in which it was seen
    other = updated(support("2.13.1"), "cuda", {Refusal("exp", "forward", "float32", "cuda")})
    assert other.refusals[TANH] == frozenset({"2.13"})
    assert other.recorded["cuda"] == frozenset({"2.13"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[unsupported", "cannot be read"),
        ("x = 1", "expected a table [recorded]"),
        ("[[unsupported]]\nop = 'tanh'", "expected a table [recorded]"),
        (LIST.replace('op = "tanh"\n', ""), "entry 0: expected the fields ['op', 'modes'"),
        (LIST.replace('["float64"]', '"float64"'), "dtypes is a non-empty list of strings"),
        (LIST.replace('["reverse"]', "[]"), "modes is a non-empty list of strings"),
        (LIST.replace('["2.13"]', '["new"]'), "a release such as"),
    ],
)
def test_a_corrupted_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "unsupported.toml"
    path.write_text(text)
    with pytest.raises(DeviationsFileError) as caught:
        load(path, "2.13.0")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_former_names_of_modes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "unsupported.toml"
    path.write_text(LIST.replace('["reverse"]', '["func.vjp", "reverse over reverse"]'))
    assert {place.mode for place in load(path, "2.13.0").refusals} == {
        "functional reverse",
        "reverse over reverse",
    }


def test_every_backend_has_a_list_of_its_own(tmp_path: Path) -> None:
    assert list_of(tmp_path, "torch") is list_of(tmp_path, "toy") is None
    for name in ("unsupported.toml", "unsupported.toy.toml"):
        (tmp_path / name).write_text(LIST)
    assert list_of(tmp_path, "torch") == tmp_path / "unsupported.toml"
    assert list_of(tmp_path, "toy") == tmp_path / "unsupported.toy.toml"
