"""News: read, put together, shown by the terminal and by the page; never a failure."""

from pathlib import Path
from typing import Any

import pytest

from refgrad.errors import CaseFileError
from refgrad.records import News
from refgrad.report.analysis.verdict import exit_code
from refgrad.report.page.html import render
from refgrad.report.storage.load import load
from refgrad.report.storage.merge import merge
from refgrad.report.terminal import table

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1.0}


def line(name: str, kind: str = "mended") -> dict[str, Any]:
    return {"type": "news", "kind": kind, "name": name, "text": f"{name}: <b>because</b>"}


def test_news_is_shown_and_does_not_fail(make: Any, save: Any) -> None:
    run = load(
        save(
            [make.header(), make.result("a" * 16), line("two"), line("one"), line("odd", "still there"), END]
        )
    )
    assert [n.name for n in run.news] == ["one", "two", "odd"]
    assert exit_code(run) == 0
    shown = table(run)
    assert "news      mended, torch 2.13.0: one, two" in shown
    assert "news      still there, torch 2.13.0: odd" in shown
    page = render(run)
    assert 'id="news"' in page
    assert '<a href="#news">News</a>' in page
    assert "one: &lt;b&gt;because" in page
    assert 'id="news"' not in render(load(save([make.header(), make.result("a" * 16), END])))


def test_parts_tell_the_same_news_once(make: Any, save: Any) -> None:
    parts = [
        load(save([make.header(shard=f"{k}/2"), make.result(str(k) * 16), line("one"), END], f"{k}.jsonl"))
        for k in (1, 2)
    ]
    assert merge(parts).news == (News("mended", "one", "one: <b>because</b>"),)


def refusal(make: Any, case: str) -> Any:
    return {
        **make.result(case, status="unsupported", mode="forward"), "dtype": "float16", "reason": "no forward mode", "elements": 0,
        "worst": None, "ops": {}, "first_wrong": {"node": 1, "op": "nn.cdist"},
    }  # fmt: skip


def test_an_answer_is_no_news_where_other_arguments_are_refused(make: Any, save: Any) -> None:
    """The list of refusals names op, mode and dtype, and the kernel depends on the arguments."""
    names = ["nn.cdist forward float16", "nn.cdist forward float32", "nn.cdist value float16"]
    answers = [line(name, "support") for name in names]
    run = load(save([make.header(), refusal(make, "a" * 16), *answers, END]))
    assert [n.name for n in run.news] == names[1:]
    parts = [
        load(save([make.header(shard=f"{k}/2"), *lines, END], f"{k}.jsonl"))
        for k, lines in ((1, answers), (2, [refusal(make, "b" * 16)]))
    ]
    assert len(parts[0].news) == 3
    assert merge(parts).news == run.news


def test_news_without_a_name_is_refused(make: Any, save: Any, tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match='"name"'):
        load(save([make.header(), {"type": "news", "kind": "mended"}]))
