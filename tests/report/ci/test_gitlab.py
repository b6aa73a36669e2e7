import json
import re

from refgrad.report.ci.gitlab import gitlab
from refgrad.report.storage.load import load

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1}


def entries(save, lines):
    return json.loads(gitlab(load(save(lines)), "reports/results.jsonl"))


def test_every_finding_is_an_entry_with_what_gitlab_asks_for(make, save):
    lines = [make.header(), *[make.wrong(f"{k:016x}", op=f"op{k % 3}") for k in range(9)],
             {"type": "crash", "worker": "", "item": "an item", "reason": "died"}, END]  # fmt: skip
    found = entries(save, lines)
    assert len(found) == 4
    assert len({e["fingerprint"] for e in found}) == 4
    places = [e["location"]["path"] for e in found]
    assert places[:3] == ["refgrad/op0", "refgrad/op1", "refgrad/op2"]
    assert re.fullmatch(r"refgrad/an-item-[0-9a-f]{8}", places[3])
    for e in found:
        assert e["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert e["location"]["lines"] == {"begin": 1}
        assert e["description"]


def test_a_finding_keeps_its_fingerprint_from_run_to_run(make, save):
    [a] = entries(save, [make.header(), make.wrong("a" * 16, message="got 1.5"), END])
    [b] = entries(save, [make.header(), make.wrong("b" * 16, message="got 2.5"), END])
    assert a["fingerprint"] == b["fingerprint"]


def test_agreement_is_an_empty_list_and_a_run_that_proved_nothing_is_not(make, save):
    assert entries(save, [make.header(), make.result("a" * 16), END]) == []
    [e] = entries(save, [make.header(), END])
    assert e["severity"] == "blocker"
    assert e["location"]["path"] == "reports/results.jsonl"


def test_a_name_becomes_one_path_that_no_other_name_has(make, save):
    names = ("exp or log", "exp-or-log", "../../etc", "/etc", "<lambda>", "a\nb", "", "ø")
    lines = [make.wrong(f"{k:016x}", op=name) for k, name in enumerate(names)]
    paths = [e["location"]["path"] for e in entries(save, [make.header(), *lines, END])]
    assert len(set(paths)) == len(names)
    assert all(re.fullmatch(r"refgrad/[A-Za-z0-9_.][A-Za-z0-9_.-]*", path) for path in paths), paths


def test_a_check_of_a_project_s_tests_stands_where_the_test_is(make, save):
    [e] = entries(save, [make.header(), make.wrong("a" * 16, where="tests/test_mine.py:12"), END])
    assert e["location"] == {"path": "tests/test_mine.py", "lines": {"begin": 12}}
