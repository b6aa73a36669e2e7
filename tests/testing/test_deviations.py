"""deviations.toml: known disagreements are marked, everything else still fails."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from packaging.specifiers import SpecifierSet

from refgrad.bounds import FORMATS
from refgrad.errors import DeviationsFileError
from refgrad.rounding import exact
from refgrad.testing.compare import compare
from refgrad.testing.deviations import Deviation, load, mark
from refgrad.testing.summary import Tally
from refgrad.testing.verdict import DISAGREE, Element, Verdict

ENTRY = """
[[deviation]]
id = "one"
ops = ["maximum"]
modes = ["forward"]
dtypes = ["float64"]
devices = ["cpu"]
versions = ">=2.6,<2.13"
reason = "because"
link = "docs"
case = "case.json"
"""


def deviation() -> Deviation:
    sets = (frozenset({"maximum"}), frozenset({"forward"}), frozenset({"float64"}), frozenset({"cpu"}))
    return Deviation("one", *sets, SpecifierSet(">=2.6,<2.13"), "because", "docs", Path("case.json"))


def wrong(mode: str = "forward", *accused: list[str]) -> Verdict:
    return Verdict(mode, DISAGREE, accused=list(accused) or [["maximum"]])


def test_a_recorded_disagreement_does_not_fail() -> None:
    v = wrong()
    mark([v], [deviation()], "float64", "cpu")
    assert v.known == "one"
    assert not v.failed
    assert not v  # known is not agreement


@pytest.mark.parametrize(
    ("v", "dtype", "device"),
    [
        (wrong("reverse"), "float64", "cpu"),
        (wrong(), "float32", "cpu"),
        (wrong(), "float64", "cuda"),
        (wrong("forward", ["tanh"]), "float64", "cpu"),
        (wrong("forward", ["maximum"], ["tanh"]), "float64", "cpu"),
        (wrong("forward", ["maximum", "tanh"]), "float64", "cpu"),
    ],
)
def test_everything_else_still_fails(v: Verdict, dtype: str, device: str) -> None:
    mark([v], [deviation()], dtype, device)
    assert v.failed


def test_end_to_end_is_known_only_where_the_nodes_are() -> None:
    whole = wrong("forward end to end", ["tanh"])
    mark([wrong(), whole], [deviation()], "float64", "cpu")
    assert whole.known == "one"
    alone = wrong("forward end to end", ["maximum"])
    mark([alone], [deviation()], "float64", "cpu")
    assert alone.failed


@pytest.mark.parametrize(("at", "known"), [(0.1, "one"), (0.5, "one"), (0.6, ""), (float("nan"), "")])
def test_a_range_of_operands_narrows_an_entry(at: float, known: str) -> None:
    v = wrong()
    v.wrong = [Element(1.0, 2.0, 0.1, 10.0, 1.0, (), op="maximum", operand=at)]
    mark([v], [dataclasses.replace(deviation(), operand=(0.0, 0.5))], "float64", "cpu")
    assert v.known == known


def test_each_wrong_node_is_held_against_its_own_entry() -> None:
    v = wrong("forward", ["maximum"], ["tanh"])
    v.wrong = [
        Element(1.0, 2.0, 0.1, 10.0, 1.0, (), op="maximum"),
        Element(9.0, 2.0, 0.1, 70.0, 1.0, (), op="tanh", operand=0.2),
    ]
    other = dataclasses.replace(deviation(), id="two", ops=frozenset({"tanh"}), operand=(0.0, 0.5))
    mark([v], [deviation(), other], "float64", "cpu")
    assert v.known == "one, two"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY + "operand = [1.0]", "operand is [least, greatest] magnitude"),
        (ENTRY + "operand = [2.0, 1.0]", "operand is [least, greatest] magnitude"),
        ("[[deviation", "cannot be read"),
        ("[other]\nx = 1", "expected [[deviation]] entries"),
        (ENTRY.replace('reason = "because"\n', ""), "entry 0 (one): expected the fields"),
        (ENTRY.replace('["maximum"]', '"maximum"'), "ops is a non-empty list"),
        (ENTRY.replace('"because"', '""'), "reason is a non-empty str"),
        (ENTRY.replace(">=2.6,<2.13", "seen in 2.6"), "versions are releases of torch"),
        (ENTRY.replace("case.json", "other.json"), "does not exist"),
        (ENTRY + ENTRY, "stand twice"),
    ],
)
def test_a_corrupted_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text("{}")
    path = tmp_path / "deviations.toml"
    path.write_text(text)
    with pytest.raises(DeviationsFileError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("torch", "concerned"),
    [("", True), ("2.6.0+cu124", True), ("2.12.1", True), ("2.13.0+cpu", False), ("2.14.0a0+git1f2e3d4", False), ("2.5.1", False)],
)  # fmt: skip
def test_an_entry_speaks_of_its_releases_of_torch_alone(torch: str, concerned: bool, tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text("{}")
    path = tmp_path / "deviations.toml"
    path.write_text(ENTRY)
    assert len(load(path, torch)) == concerned


def test_an_unbounded_entry_speaks_of_what_is_to_come(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text("{}")
    path = tmp_path / "deviations.toml"
    path.write_text(ENTRY.replace(">=2.6,<2.13", ">=2.6"))
    assert load(path, "2.14.0a0+git1f2e3d4")


def test_the_suite_s_own_file_loads() -> None:
    assert load(Path(__file__).parents[2] / "conformance" / "deviations.toml")


def test_what_fails_beside_a_known_disagreement_is_named_in_its_place() -> None:
    """maximum is known to be wrong, tanh after it is not: neither the verdict nor that from end to end accuses maximum."""
    tally = Tally("forward", "float64", "cpu")
    one, two = np.array([1.0]), exact(np.array([2.0]), FORMATS["float64"])
    for node, op in ((1, "maximum"), (2, "exp"), (3, "tanh")):
        got = one if op != "exp" else np.array([2.0])
        tally.add(node, op, compare(got, two, FORMATS["float64"], f"tangent of {op}"))
    whole = Tally("forward end to end", "float64", "cpu")
    whole.add(4, "mean", compare(one, two, FORMATS["float64"], "tangent of the output"))
    verdicts = [tally.verdict(), whole.verdict()]
    assert verdicts[0].first_wrong == (1, "maximum")
    mark(verdicts, [deviation()], "float64", "cpu")
    for v in verdicts:
        assert v.failed
        assert v.first_wrong == (3, "tanh")
        assert v.message.startswith(f"{v.mode}: first wrong at op tanh (node 3), float64 on cpu: ")
    assert "tangent of tanh[0]: got 1.0" in verdicts[0].message
    assert verdicts[0].evidence is not None
    assert verdicts[0].evidence.wrong[0].op == "tanh"
