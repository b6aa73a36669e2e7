import pytest

from refgrad.report import render, table
from refgrad.report.analysis.items import items, judged_cases
from refgrad.report.analysis.verdict import verdict
from refgrad.report.storage.load import load

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1}


def item(name, seconds=1.0, **counts):
    return {"type": "item", "item": name, "seconds": seconds} | counts


@pytest.fixture
def run(make, save):
    return lambda *lines: load(save([make.header(), *lines, END]))


def test_the_slowest_come_first_and_what_judged_too_little_is_listed(run, make):
    found = items(
        run(
            item("quick", 0.5, drawn=50, judged=50),
            item("slow", 9.0, drawn=50, judged=38, unjudged=12),
            item("middle", 2.0, drawn=50, judged=49, unjudged=1),
            item("no block", "nan"),
        )
    )
    assert (found.number, found.seconds) == (4, 11.5)
    assert [i.item for i in found.slowest] == ["slow", "middle", "quick", "no block"]
    assert [i.item for i in found.short] == ["slow", "middle"]


def test_cases_are_counted_as_judged_where_something_came_out(run, make):
    found = run(
        make.result("a" * 16),
        make.result("a" * 16, mode="forward", status="unsupported"),
        make.result("b" * 16, status="undecided"),
        make.result("c" * 16, status="unsupported"),
        make.wrong("d" * 16),
        make.wrong("e" * 16, shrunk=True),
        item("slow", judged=4, unjudged=3, drawn=7),
    )
    assert judged_cases(found) == (2, 7)
    assert ("cases judged", "2 of 7") in verdict(found).proof


def test_what_was_not_judged_is_said_by_item_below_the_failures(run, make):
    found = run(
        make.wrong("a" * 16),
        item("test_family[softmax-float64-cpu-0]", judged=40, unjudged=10, drawn=50),
        item("other", judged=50, drawn=50),
    )
    said = verdict(found)
    [remark] = said.remarks
    assert remark == (
        "10 cases that the run was to judge were not judged: test_family[softmax-float64-cpu-0] (10 of 50)."
    )
    text = " ".join(table(found).split())
    assert text.index("disagree at tanh") < text.index(remark)
    page = render(found)
    assert page.index('id="disagree-tanh"') < page.index(remark)
    assert remark not in page[: page.index('id="failures"')]


def test_the_page_has_the_times(run, make):
    page = render(run(make.result("a" * 16), *[item(f"item {k}", k, judged=k, drawn=k) for k in range(40)]))
    section = page[page.index('id="items"') :]
    assert section.index("item 39<") < section.index("item 38<")
    assert "item 19<" not in section
    assert "40 items ran for 780 s together" in section
    assert "Items that did not judge" not in section
