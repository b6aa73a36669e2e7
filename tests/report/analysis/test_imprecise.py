import json

import pytest

from refgrad.report import exit_code, render, table
from refgrad.report.analysis.findings import findings
from refgrad.report.analysis.imprecise import imprecise, sentence
from refgrad.report.ci.github import commands, summary
from refgrad.report.ci.gitlab import gitlab
from refgrad.report.ci.junit import junit
from refgrad.report.storage.load import load

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1}


@pytest.fixture
def run(make, save):
    def lost(case_id, op, digits, **changes):
        worst = make.result(case_id)["worst"] | {"op": op, "ratio": changes.pop("ratio", 40.0)}
        ops = {op: [1, 24, worst["ratio"]]}
        return make.result(case_id, status="imprecise", digits=digits, worst=worst, ops=ops, **changes)

    return lambda: load(
        save(
            [
                make.header(),
                make.result("a" * 16),
                lost("b" * 16, "exp", 4.25),
                lost("c" * 16, "tanh", 2.19),
                lost("d" * 16, "tanh", 3.5, ratio=900.0),
                lost("c" * 16, "tanh", 3.0, mode="forward"),
                lost("e" * 16, "tanh", None, dtype="float64"),
                lost("f" * 16, "log", None),
                END,
            ]
        )
    )


def test_results_stand_by_op_mode_and_dtype_the_fewest_digits_first(run):
    rows = imprecise(run())
    assert [(r.op, r.mode, r.dtype, r.cases, r.digits_text, r.worst) for r in rows] == [
        ("tanh", "reverse", "float64", 1, "–", 40.0),
        ("tanh", "reverse", "float32", 2, "2.1", 900.0),
        ("tanh", "forward", "float32", 1, "3", 40.0),
        ("exp", "reverse", "float32", 1, "4.2", 40.0),
        ("log", "reverse", "float32", 1, "–", 40.0),
    ]
    assert rows[1].results[0].id == "c" * 16
    assert sentence(rows) == "6 results of tanh (2.1 digits left), exp (4.2 digits left), log"


def test_they_are_no_failures_and_every_rendering_counts_them(run):
    found = run()
    assert exit_code(found) == 0
    assert findings(found) == ()
    text = table(found)
    assert "\nimprecise 6 results of tanh (2.1 digits left), exp (4.2 digits left), log\n" in text
    assert "impr." in text.splitlines()[0]
    assert max(map(len, text.splitlines())) <= 80
    page = render(found)
    section = page[page.index('<section id="imprecise"') :].split("</section>")[0]
    assert section.count("<tr") == 6
    assert "op:tanh%20status:imprecise" in section
    assert "Imprecise: 6 results of tanh" in summary(found)
    assert 'failures="0"' in junit(found)
    assert 'skipped="0"' in junit(found)
    assert commands(found) == json.loads(gitlab(found, "results.jsonl")) == []


def test_a_run_without_them_has_neither_section_nor_column(make, save):
    found = load(save([make.header(), make.result("a" * 16), END]))
    assert imprecise(found) == ()
    assert "impr" not in table(found)
    assert 'id="imprecise"' not in render(found)


def test_a_report_with_infinitely_many_digits_is_written(make, save):
    worst = make.result("a" * 16)["worst"] | {"op": "exp", "ratio": 0.0}
    lost = make.result("a" * 16, status="imprecise", digits="inf", worst=worst, ops={"exp": [1, 24, 0.0]})
    found = load(save([make.header(), lost, END]))
    assert [r.digits_text for r in imprecise(found)] == ["–"]
    assert "exp" in render(found)
