import json

from refgrad.report import load
from refgrad.report.gitlab import gitlab

END = {"type": "end", "exit": 0, "finished": "", "seconds": 1}


def entries(save, lines):
    return json.loads(gitlab(load(save(lines)), "reports/results.jsonl"))


def test_every_finding_is_an_entry_with_what_gitlab_asks_for(make, save):
    lines = [make.header(), *[make.wrong(f"{k:016x}", op=f"op{k % 3}") for k in range(9)],
             {"type": "crash", "worker": "", "item": "an item", "reason": "died"}, END]  # fmt: skip
    found = entries(save, lines)
    assert len(found) == 4
    assert len({e["fingerprint"] for e in found}) == 4
    for e in found:
        assert e["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert e["location"] == {"path": "reports/results.jsonl", "lines": {"begin": 1}}
        assert e["description"]


def test_a_finding_keeps_its_fingerprint_from_run_to_run(make, save):
    [a] = entries(save, [make.header(), make.wrong("a" * 16, message="got 1.5"), END])
    [b] = entries(save, [make.header(), make.wrong("b" * 16, message="got 2.5"), END])
    assert a["fingerprint"] == b["fingerprint"]


def test_agreement_is_an_empty_list_and_a_run_that_proved_nothing_is_not(make, save):
    assert entries(save, [make.header(), make.result("a" * 16), END]) == []
    [e] = entries(save, [make.header(), END])
    assert e["severity"] == "blocker"
