import re

import pytest

from refgrad.report.ci.github import MOST, MOST_BYTES, commands, markdown, summary
from refgrad.report.storage.load import load


@pytest.fixture
def run(make, save):
    return lambda *lines: load(
        save([make.header(), *lines, {"type": "end", "exit": 0, "finished": "", "seconds": 1}])
    )


def test_at_most_nine_and_then_how_many_more(make, run):
    few = commands(run(*[make.wrong(f"{k:016x}", op=f"op{k}") for k in range(9)]))
    many = commands(run(*[make.wrong(f"{k:016x}", op=f"op{k}") for k in range(31)]))
    assert len(few) == 9
    assert len(many) == 10
    assert all(line.startswith("::error title=disagree at op") for line in many[:9])
    assert many[9] == "::error title=refgrad::22 more findings; the report shows them all"


def test_nothing_is_said_of_a_run_that_agrees_and_a_vacuous_one_is_named(make, run):
    assert commands(run(make.result("a" * 16))) == []
    [line] = commands(run(make.result("a" * 16, elements=0, status="undecided")))
    assert line.startswith("::error title=refgrad%3A exit 3::Nothing was proved")


def test_a_message_cannot_begin_a_command(make, run):
    hostile = "x::\n::add-mask::secret\r\n::error::%0A, file=a" + make.HOSTILE
    lines = commands(
        run(
            make.wrong("a" * 16, op=hostile, message=hostile),
            {"type": "crash", "item": hostile, "reason": hostile},
        )
    )
    assert len(lines) == 2
    for line in lines:
        assert "\n" not in line
        assert "\r" not in line
        properties = re.fullmatch(r"::error title=([^,:]*)::(.*)", line)
        assert properties is not None


def test_the_summary_is_short_and_plain(make, run):
    hostile = (
        "[link](https://example.org) <img src=x> | `code` @user #1 https://example.org **b**" + make.HOSTILE
    )
    text = summary(run(make.wrong("a" * 16, op=hostile, message=hostile, dtype=hostile)))
    for markup in ("](", "<img", "<script", "`code`", "@user", "https://", "**b**"):
        assert markup not in text
    assert text.startswith("## ❌ refgrad: exit 1\n")


def test_ten_thousand_findings_stay_below_the_limit(make, run):
    text = summary(run(*[make.wrong(f"{k:016x}", op=f"op{k}", message="|" * 900) for k in range(10_000)]))
    assert 150_000 < len(text.encode()) < MOST_BYTES
    assert "more findings are in the report." in text


def test_markdown_is_escaped_to_the_last_sign():
    assert markdown("a*b_c") == "a&#42;b&#95;c"
    assert markdown("<b>") == "&lt;b&gt;"


def test_annotations_and_the_summary_name_the_backend_where_there_are_several(make, save) -> None:
    head = make.header(backend="jax", beside=["torch", "jax"])
    run = load(save([head, *(make.wrong(f"{k:016x}", f"op{k}") for k in range(MOST + 1))]))
    lines = commands(run)
    assert len(lines) == MOST + 1
    assert all(line.startswith("::error title=jax%3A ") for line in lines)
    assert summary(run).startswith("## ❌ refgrad, jax: exit 1")
    assert "jax" not in "".join(commands(load(save([make.header(), make.wrong("a" * 16)]))))
