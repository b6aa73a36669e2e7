import pytest

from refgrad.report import compare_with_baseline, render, table
from refgrad.report.storage.load import load


@pytest.fixture
def run(make, save):
    def build(name, *lines):
        return load(
            save([make.header(), *lines, {"type": "end", "exit": 0, "finished": "", "seconds": 1}], name)
        )

    return build


def kinds(found):
    return {d.id[0]: d.kind for d in found.differences}


def test_every_kind_of_difference(make, run):
    def right(k, **c):
        return make.result(k * 16, **c)

    def wrong(k, **c):
        return make.wrong(k * 16, **c)

    before = run(
        "old", right("a"), wrong("b"), wrong("c"), wrong("d"), wrong("e"), right("f"), right("g"), wrong("h")
    )
    now = run(
        "new", wrong("a"), right("b"), wrong("c"), wrong("d", op="exp"), right("f"), right("g", status="undecided", reason="blind bound"),
        wrong("h", known="recorded"), wrong("i"), right("j"),
    )  # fmt: skip
    found = compare_with_baseline(now, before)
    assert kinds(found) == {
        "a": "new", "b": "fixed", "c": "same", "d": "changed", "e": "not judged again", "g": "changed", "h": "changed", "i": "new",
    }  # fmt: skip
    said = {d.id[0]: (d.before, d.now) for d in found.differences}
    assert said["d"] == ("reverse: disagree at tanh", "reverse: disagree at exp")
    assert said["e"] == ("reverse: disagree at tanh", "not judged")
    assert said["g"] == ("reverse: agree", "reverse: undecided")
    assert said["i"] == ("not judged", "reverse: disagree at tanh")
    assert (found.shared, found.cases) == (7, 9)
    assert (
        found.sentence
        == "2 new, 3 changed, 1 fixed, 1 not judged again, 1 same; 7 cases of 9 were judged in both runs"
    )


def test_a_run_against_itself_is_the_same(make, save):
    run = load(save(make.synthetic(200, failing=0.05)))
    found = compare_with_baseline(run, run)
    assert {d.kind for d in found.differences} == {"same"}
    failing = found.of("same")
    assert (
        found.sentence
        == f"no difference, {failing} cases failing as before; 200 cases of 200 were judged in both runs"
    )
    right = load(save(make.synthetic(20, failing=0)))
    assert (
        compare_with_baseline(right, right).sentence
        == "no difference; 20 cases of 20 were judged in both runs"
    )
    # Not a single case was judged in both.
    assert not compare_with_baseline(right, run).sentence.startswith("no difference")
    assert found.of("same") == len({r.id for r in run.results if r.failed}) > 0


def test_one_mode_of_a_case_mended_and_another_broken_is_a_change(make, run):
    before = run("old", make.wrong("a" * 16, mode="value"), make.result("a" * 16, mode="reverse"))
    now = run("new", make.result("a" * 16, mode="value"), make.wrong("a" * 16, mode="reverse"))
    [d] = compare_with_baseline(now, before).differences
    assert d.kind == "changed"
    assert (d.before, d.now) == (
        "reverse: agree; value: disagree at tanh",
        "reverse: disagree at tanh; value: agree",
    )


def test_the_terminal_and_the_page_say_it(make, run):
    before, now = run("old", make.wrong("b" * 16)), run("new", make.wrong("a" * 16), make.result("b" * 16))
    found = compare_with_baseline(now, before)
    text = table(now, comparison=found)
    assert "against the baseline: 1 new, 0 changed, 1 fixed" in text
    assert "new  aaaaaaaaaaaaaaaa  not judged -> reverse: disagree at tanh" in text
    assert max(map(len, text.splitlines())) <= 80
    page = render(now, found)
    assert '<section id="baseline"' in page
    assert page.count("<code>bbbbbbbbbbbbbbbb</code>") == 1
    assert '<section id="baseline"' not in render(now)


def test_many_differences_are_counted_and_cut(make, run):
    now = run("new", *[make.wrong(f"{k:016x}") for k in range(1000)])
    page = render(now, compare_with_baseline(now, run("old", make.result("b" * 16))))
    assert "The first 300 of 1\u202f000 cases" in page
    assert len(page.encode()) < 1_000_000


def test_without_a_case_in_common_it_is_said_why(make, save):
    runs = [
        load(save([make.header(seed=seed), make.result(str(seed) * 16)], f"{seed}.jsonl")) for seed in (0, 1)
    ]
    said = compare_with_baseline(runs[1], runs[0]).sentence
    assert said.endswith(
        "0 cases of 1 were judged in both runs, for they were made otherwise: seed was '0' and is '1'"
    )
    assert "otherwise" not in compare_with_baseline(runs[0], runs[0]).sentence


def test_a_baseline_with_former_names_of_modes_is_the_same(make, run):
    before = run("old", make.wrong("a" * 16, mode="func.vjp"), make.result("b" * 16, mode="jvp of vjp"))
    now = run(
        "new",
        make.wrong("a" * 16, mode="functional reverse"),
        make.result("b" * 16, mode="forward over reverse"),
    )
    assert kinds(compare_with_baseline(now, before)) == {"a": "same"}
