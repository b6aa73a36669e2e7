from xml.etree import ElementTree as ET

import pytest

from refgrad.report.ci.junit import junit
from refgrad.report.storage.load import load


@pytest.fixture
def parsed(save):
    return lambda lines: ET.fromstring(junit(load(save(lines))))  # noqa: S314 - our own text


def test_counts_hold(make, parsed):
    root = parsed(make.synthetic(400, failing=0.02))
    cases = list(root.iter("testcase"))
    assert int(root.get("tests")) == len(cases) > 30
    assert int(root.get("failures")) == len(list(root.iter("failure"))) > 0
    assert int(root.get("errors")) == len(list(root.iter("error"))) > 0
    assert sum(int(s.get("tests")) for s in root.iter("testsuite")) == len(cases)
    assert root.get("time") == "63.2"
    names = [(c.get("classname"), c.get("name")) for c in cases]
    assert len(names) == len(set(names))


def test_a_run_without_failures_has_none_and_a_vacuous_one_has(make, parsed):
    end = {"type": "end", "exit": 0, "finished": "", "seconds": 1}
    assert parsed([make.header(), make.result("a" * 16), end]).get("failures") == "0"
    root = parsed(
        [make.header(), make.result("a" * 16, status="undecided", elements=0, reason="blind bound"), end]
    )
    assert root.get("failures") == "1"
    assert root.find(".//failure").get("type") == "exit 3"
    assert root.get("skipped") == "1"


def test_imprecise_results_were_judged(make, parsed):
    root = parsed([make.header(), make.result("a" * 16, status="imprecise")])
    assert root.get("skipped") == "0"
    assert root.find(".//system-out").text == "1 case imprecise; 24 elements compared"


def test_a_finding_has_the_same_name_whatever_the_case(make, parsed):
    def named(case_id):
        root = parsed([make.header(), make.wrong(case_id)])
        return [c.get("name") for c in root.iter("testcase") if c.find("failure") is not None]

    assert named("a" * 16) == named("b" * 16)
    assert "disagree at tanh" in named("a" * 16)


def test_a_finding_is_one_test_case_with_its_matrix(make, parsed):
    lines = [
        make.wrong(f"{k:016x}", dtype=d, mode=m)
        for k, d in enumerate(("float64", "float32"))
        for m in make.MODES
    ]
    root = parsed([make.header(), *lines])
    [suite] = root.findall("testsuite[@name='findings']")
    [found] = suite.findall("testcase")
    assert (found.get("classname"), found.get("name")) == ("refgrad.findings", "disagree at tanh")
    told = found.find("failure").text.splitlines()
    assert told[0] == "2 of 2 cases, 3 modes, float64 float32, cpu"
    assert told[3].split() == ["cpu", "float64", "cpu", "float32"]
    assert told[4].split() == ["reverse", "✗", "1/1", "✗", "1/1"]


def test_items_have_their_times_and_a_crash_belongs_to_its_item(make, parsed):
    counts = {"drawn": 50, "judged": 48, "unjudged": 2, "shrunk": 1}
    root = parsed(
        [
            make.header(),
            make.result("a" * 16),
            {"type": "item", "item": "first", "seconds": 1.25} | counts,
            {"type": "item", "item": "second", "seconds": 2.5},
            {"type": "crash", "worker": "", "item": "second", "reason": "died"},
            {"type": "crash", "worker": "", "item": "third", "reason": "died"},
        ]
    )
    [suite] = root.findall("testsuite[@name='items']")
    assert (suite.get("time"), suite.get("tests"), suite.get("errors")) == ("3.750", "3", "2")
    first, second, third = suite.findall("testcase")
    assert (first.get("name"), first.get("time")) == ("first", "1.250")
    assert first.find("system-out").text == "48 cases judged, 2 not; 1 failure shrunk"
    assert second.find("error").get("message") == third.find("error").get("message") == "died"
    assert third.get("time") is None


def test_hostile_text_is_text(make, save):
    hostile = make.HOSTILE + "\x00\x1b]]>\ud800\uffff" + "x" * 100_000
    lines = [make.header(), make.wrong("a" * 16, op=hostile, message=hostile, family=hostile, dtype=hostile),
             {"type": "crash", "worker": "gw0", "item": hostile, "reason": hostile}]  # fmt: skip
    text = junit(load(save(lines)))
    root = ET.fromstring(text)  # noqa: S314 - our own text
    assert not list(root.iter("script"))
    assert "\x1b" not in text
    assert len(text) < 60_000
