import pytest

from refgrad.errors import CaseFileError
from refgrad.report import compare_with_baseline, exit_code, render, table
from refgrad.report.page.textbook import FLAGGED, tally, textbook
from refgrad.report.storage.load import load

AGAIN = "refgrad conformance --family textbook"
END = {"type": "end", "exit": 0, "finished": "2026-11-21T05:02:00Z", "seconds": 1.0}


def lesson(name, **changes):
    """The line of an item."""
    return {
        "type": "textbook", "place": 0, "id": name, "deck": name[:2], "title": f"Title of {name}", "text": "dy/dx = 2 x",
        "flags": [], "printed": [], "tables": [],
    } | changes  # fmt: skip


@pytest.fixture
def judged(make):
    """The results of an item: all four ways agree unless said otherwise."""

    def lines(name, **statuses):
        ways = {
            "reference forward": "agree",
            "reference reverse": "agree",
            "closed form": "agree",
            "torch": "agree",
        }
        ways |= {way.replace("_", " "): status for way, status in statuses.items()}
        return [
            make.result(
                name,
                family="textbook",
                dtype=dtype,
                mode=way,
                status=status,
                ops={},
                again=AGAIN,
                message=f"{way}: told so",
            )
            for dtype in ("float64", "float32")
            for way, status in ways.items()
        ]

    return lines


@pytest.fixture
def run(make, save):
    return lambda *lines: load(save([make.header(families=["textbook"]), *lines, END]))


def test_rows_stand_in_the_order_of_the_lectures(run, judged):
    lines = [lesson("D1-b", place=1), lesson("D0-z", place=0), lesson("D0-a", place=2)]
    found = textbook(run(*lines, *judged("D0-z"), *judged("D1-b"), *judged("D0-a")))
    assert [row.item.id for row in found] == ["D0-z", "D1-b", "D0-a"]
    assert [row.status for row in found] == ["agree"] * 3
    assert found[0].ways == ("agree", "agree", "agree", "agree", "")
    assert found[0].worst == "0.41"
    assert found[0].elements == 8 * 24


@pytest.mark.parametrize(
    ("statuses", "flags", "status"),
    [
        ({}, [], "agree"), ({}, ["misprint: x"], FLAGGED), ({"closed_form": "disagree"}, ["misprint: x"], "disagree"),
        ({"torch": "error"}, [], "error"), ({"torch": "undecided"}, [], "undecided"), ({"printed": "disagree"}, [], "disagree"),
    ],
)  # fmt: skip
def test_an_item_is_as_good_as_its_worst_way(run, judged, statuses, flags, status):
    (row,) = textbook(run(lesson("D0-a", flags=flags), *judged("D0-a", **statuses)))
    assert row.status == status
    assert tally([row]) == {status: 1}


def test_an_item_without_results_is_not_taken_for_one_that_agrees(run, make):
    other = make.result("D0-a", family="graphs")  # of the same name by chance
    (row,) = textbook(run(lesson("D0-a"), other))
    assert row.status == "undecided"
    assert row.worst == "–"


def test_a_wrong_way_fails_the_run(run, judged, make):
    assert exit_code(run(lesson("D0-a"), *judged("D0-a"))) == 0
    assert exit_code(run(lesson("D0-a"), *judged("D0-a", torch="disagree"))) == 1


def test_the_page_lists_titles_printed_numbers_flags_and_tables(run, judged):
    prints = [
        {"what": "f", "printed": "-12", "found": "-12", "holds": True},
        {"what": "x w", "printed": "[13, 9]", "found": "[-1, -1]", "holds": False},
    ]
    tables = [{"title": "Memory", "columns": ["n", "bytes"], "rows": [["20", "131072"]]}]
    flagged = lesson("D3-product", flags=["misprint: x w"], printed=prints, tables=tables)
    page = render(run(flagged, *judged("D3-product")))
    shown = (
        "Title of D3-product",
        "dy/dx = 2 x",
        "misprint: x w",
        "[13, 9]",
        "[-1, -1]",
        "-12",
        "Memory",
        "131072",
    )
    for text in (*shown, "1&nbsp;agrees, with a remark"):
        assert text in page
    assert '<a href="#textbook">' in page


def test_what_was_measured_stands_by_its_item_and_counts_for_nothing(run, judged):
    def measured(found):
        line = {"type": "measured", "id": "D3-product", "what": "time that it took", "found": found}
        return run(lesson("D3-product"), line, *judged("D3-product"))

    fast, slow = measured("0.10 s"), measured("9.75 s")
    assert 'time that it took: <b class="measured">9.75 s</b>' in render(slow)
    assert render(slow).replace("9.75 s", "0.10 s") == render(fast)
    assert textbook(slow)[0].status == "agree"
    assert compare_with_baseline(slow, fast).differences == ()
    other = run(
        lesson("D0-a"),
        {"type": "measured", "id": "D3-product", "what": "time", "found": "1 s"},
        *judged("D0-a"),
    )
    assert 'class="measured"' not in render(other)


def test_a_run_without_the_textbook_has_no_section(make, save):
    loaded = load(save(make.synthetic(5)))
    assert textbook(loaded) == ()
    assert 'id="textbook"' not in render(loaded)
    assert "textbook" not in table(loaded)


def test_a_failing_item_says_how_to_see_it_again(run, judged):
    page = render(run(lesson("D0-a"), *judged("D0-a", closed_form="disagree")))
    assert AGAIN in page
    assert "refgrad repro" not in page


def test_the_terminal_names_what_does_not_simply_agree(run, judged):
    lines = [lesson("D0-a"), lesson("D1-b", flags=["misprint"], place=1), lesson("D2-c", place=2)]
    text = table(run(*lines, *judged("D0-a"), *judged("D1-b"), *judged("D2-c", torch="disagree")))
    assert "\ntextbook  1 item agrees, 1 with a remark: D1-b, 1 wrong: D2-c\n" in text


def test_many_names_stay_within_eighty_columns(run, judged):
    names = [f"D0-{'x' * 20}-{k}" for k in range(60)]
    lines = [
        line for k, name in enumerate(names) for line in (lesson(name, place=k, flags=["f"]), *judged(name))
    ]
    text = table(run(*lines))
    assert max(map(len, text.splitlines())) <= 80
    assert "textbook  0 items agree, 60 with a remark: D0-" in text


def test_hostile_text_is_escaped(run, judged, make):
    bad = make.HOSTILE
    line = lesson(
        bad, deck=bad, title=bad, text=bad, flags=[bad], printed=[{"what": bad, "printed": bad, "found": bad, "holds": False}],
        tables=[{"title": bad, "columns": [bad], "rows": [[bad]]}],
    )  # fmt: skip
    loaded = run(line, {"type": "measured", "id": bad, "what": bad, "found": bad}, *judged(bad))
    page = render(loaded)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\x1b" not in table(loaded)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": 3}, '"id" is 3'), ({"printed": [3]}, '"printed" is [3]; a list of objects'), ({"place": -1}, '"place" is -1'),
        ({"tables": [{"title": "t", "rows": [3]}]}, '"rows" is [3]; a list of lists'), ({"printed": [{"what": "x"}]}, '"printed" is None'),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named(run, change, said):
    with pytest.raises(CaseFileError) as stop:
        run(lesson("D0-a") | change)
    assert said in str(stop.value)
