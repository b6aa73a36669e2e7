import pytest

from refgrad.report import exit_code, render, table
from refgrad.report.analysis.power import BELOW, CHANCE, FEW, OPEN, REACHED, power_tables, powers, weakest
from refgrad.report.analysis.verdict import verdict
from refgrad.report.storage.load import load

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1}


def audit(caught, planted, mutation="sign", equivalent=0, **more):
    counts = {"planted": planted, "equivalent": equivalent, "caught": caught}
    return {"type": "audit", "mutation": mutation, "dtype": "float64", **counts, **more}


@pytest.fixture
def run(make, save):
    def read(*lines):
        return load(save([make.header(), make.result("a" * 16), *lines, END]))

    return read


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (audit(99, 100), REACHED), (audit(98, 100), CHANCE), (audit(60, 100), BELOW), (audit(0, 3), FEW),
        (audit(0, 100, equivalent=98), FEW),
        (audit(0, 4), BELOW), (audit(60, 100, mutation="relative 1e-6"), OPEN), (audit(60, 100, check="end to end"), OPEN),
        (audit(70, 100, mutation="relative 1e-2", dtype="bfloat16"), REACHED),
    ],
)  # fmt: skip
def test_the_state_of_a_share(run, line, state):
    (power,) = powers(run(line))
    assert power.state == state
    assert exit_code(run(line)) == (3 if state == BELOW else 0)


def test_every_error_of_exact_cases_is_required(run):
    found = run(
        audit(99, 100),
        audit(50, 50, check="exact cases"),
        audit(1, 2, "roll", check="exact cases", equivalent=1),
    )
    assert {p.state for p in powers(found)} == {REACHED}
    assert exit_code(found) == 0
    assert weakest(found).audit.check == "node by node"
    # Those of exact cases are among them.
    assert ("planted errors caught", "99 of 100") in verdict(found).proof
    assert "planted  exact cases  51 of 51 caught (100%)" in table(found)
    (power,) = powers(run(audit(999, 1000, check="exact cases")))
    assert power.state == BELOW
    assert exit_code(run(audit(999, 1000, check="exact cases"))) == 3


def test_a_kind_of_which_every_error_was_caught_is_not_the_weakest(run):
    found = run(audit(500, 500))
    assert weakest(found) is None
    assert "weakest" not in table(found)


def test_items_are_counted_together(run):
    (power,) = powers(run(audit(9, 10), audit(10, 10, equivalent=0), audit(5, 9, equivalent=4)))
    assert (power.audit.planted, power.audit.equivalent, power.audit.caught) == (29, 4, 24)
    assert (
        len(powers(run(audit(9, 10), audit(9, 10, check="end to end"), audit(9, 10, dtype="float32")))) == 3
    )


def test_a_check_that_caught_nothing_at_all_is_vacuous_even_where_nothing_is_required(run):
    assert exit_code(run(audit(0, 19, check="end to end"))) == 0
    assert exit_code(run(audit(0, 20, check="end to end"))) == 3
    assert (
        exit_code(run(audit(0, 20, check="end to end"), audit(1, 9, mutation="roll", check="end to end")))
        == 0
    )


def test_a_vacuous_run_says_what_it_missed(run):
    said = verdict(run(audit(60, 100), audit(100, 100, mutation="roll")))
    assert said.exit == 3
    assert said.sentence.startswith("The run is vacuous")
    assert "sign in float64: 60 of 100, 99% required" in said.notes[0]
    assert "roll" not in said.notes[0]
    assert not said.remarks


def test_a_small_run_says_that_it_is_small(run):
    said = verdict(run(audit(1, 2), audit(100, 100, mutation="roll")))
    assert said.exit == 0
    assert "Too few errors were planted to judge 1 of 2 kinds" in said.remarks[1]


def test_a_disagreement_outweighs_and_the_note_remains(make, save):
    said = verdict(load(save([make.header(), make.wrong("a" * 16), audit(60, 100), END])))
    assert said.exit == 1
    assert any("agreement in this run proves nothing" in remark for remark in said.remarks)
    assert not any("planted" in note.lower() for note in said.notes)


def test_the_terminal_and_the_page_show_the_shares(run):
    found = run(
        audit(99, 102, equivalent=2),
        audit(60, 100, mutation="relative 1e-6"),
        audit(50, 60, check="end to end"),
    )
    text = table(found)
    assert "planted  node by node  159 of 200 caught (79.5%)" in text
    assert "planted  end to end  50 of 60 caught" in text
    assert "weakest: sign in float64: 99 of 100, 99% required" in text
    assert [s.check for s in power_tables(found)] == ["node by node", "end to end"]
    page = render(found)
    assert "<caption>node by node: 159 of 200 caught</caption>" in page
    assert "99.0%" in page
    assert "relative 1e-6" in page


def test_a_share_stands_beside_the_one_required(run):
    lines = [
        audit(99, 100), audit(98, 100, mutation="roll"), audit(60, 100, mutation="transpose"), audit(3, 3, mutation="factor 2"),
        audit(60, 100, mutation="relative 1e-6"),
    ]  # fmt: skip
    standing = {p.audit.mutation: p.standing for p in powers(run(*lines))}
    assert standing == {
        "sign": "≥ 99%", "roll": "≈ 99%", "transpose": "< 99%", "factor 2": "? 99%", "relative 1e-6": "",
    }  # fmt: skip
    page = render(run(*lines))
    assert '▲ 60.0% <span class="dim">&lt; 99%</span>' in page


def test_a_check_that_caught_everything_and_had_to_catch_nothing_is_folded(run):
    found = run(
        audit(99, 100),
        audit(100, 100, check="mutants", mutation="mutant jax-2380"),
        audit(9, 10, check="end to end"),
    )
    assert [(s.check, s.plain) for s in power_tables(found)] == [
        ("node by node", False), ("end to end", False), ("mutants", True),
    ]  # fmt: skip
    assert "<summary>mutants: 100 of 100 caught</summary>" in render(found)
