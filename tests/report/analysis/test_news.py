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
    assert "one: &lt;b&gt;because" in page
    assert 'id="news"' not in render(load(save([make.header(), make.result("a" * 16), END])))


def test_parts_tell_the_same_news_once(make: Any, save: Any) -> None:
    parts = [
        load(save([make.header(shard=f"{k}/2"), make.result(str(k) * 16), line("one"), END], f"{k}.jsonl"))
        for k in (1, 2)
    ]
    assert merge(parts).news == (News("mended", "one", "one: <b>because</b>"),)


def test_news_without_a_name_is_refused(make: Any, save: Any, tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match='"name"'):
        load(save([make.header(), {"type": "news", "kind": "mended"}]))
