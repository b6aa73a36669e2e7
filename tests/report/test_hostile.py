"""Results that come from anywhere: nothing in them is run, drawn as markup or obeyed by a terminal, and what is broken is named."""

import copy
import gzip
import json
import random
from collections import Counter
from html.parser import HTMLParser

import pytest

from refgrad.errors import CaseFileError, RefgradError
from refgrad.report import compare_with_baseline, render, table
from refgrad.report.ci.github import commands, summary
from refgrad.report.ci.gitlab import gitlab
from refgrad.report.ci.junit import junit
from refgrad.report.storage.load import load
from refgrad.report.storage.merge import merge

OBSERVED = {
    "nodes": {
        "2": [
            {"part": "value", "shape": [2, 30], "at": [7], "got": [1.5], "expected": [0.5], "wrong": True},
            {"part": "sent", "shape": [], "got": [], "expected": [0.25], "wrong": True, "to": 0},
        ]
    },
    "suspects": [2],
}
END = {"type": "end", "exit": 0, "finished": "2026-11-21T05:02:00Z", "seconds": 1}


class Seen(HTMLParser):
    """Tags, event handlers and addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [
            value or ""
            for name, value in attrs
            if name in ("href", "src", "action", "formaction", "data", "xlink:href")
        ]


def everywhere(record, text):
    """The record with this text in the place of every text that the schema leaves free."""
    if isinstance(record, dict):
        return {
            k: v if k in ("type", "status", "mode", "part") else everywhere(v, text)
            for k, v in record.items()
        }
    if isinstance(record, list):
        return [everywhere(v, text) for v in record]
    return text if isinstance(record, str) and record not in ("nan", "inf", "-inf") else record


def records(make):
    return [
        make.header(missing={"cuda": "gone"}, deviations=[{"id": "one", "reason": "r", "link": "l"}]),
        {"type": "plan", "items": ["a", "b"]}, make.wrong("a" * 16, again="pytest a", where="a.py:3", observed=OBSERVED),
        make.wrong("c" * 16, known="one"),
        make.result("b" * 16), make.result("d" * 16, status="error", reason="it broke", message="trace"),
        make.result("e" * 16, status="undecided", reason="blind bound", case=make.case()),
        make.result("g" * 16, status="imprecise", imprecise=3, digits=1.5, worst_elements=[make.wrong("g")["worst"]]),
        {"type": "news", "kind": "mended", "name": "one", "text": "mended in 9.9"},
        {"type": "audit", "mutation": "sign", "dtype": "float64", "planted": 3, "equivalent": 1, "caught": 2, "check": "node by node"},
        {"type": "crash", "worker": "gw0", "item": "i", "reason": "died"}, {"type": "item", "item": "b", "seconds": 1.5},
        {"type": "textbook", "id": "D0-a", "deck": "D0", "title": "t"}, {"type": "measured", "id": "D0-a", "what": "time", "found": "1 s"},
        {"type": "running", "worker": "gw1", "item": "i", "id": "f" * 16, "case": make.case()}, END,
    ]  # fmt: skip


def outputs(run):
    compared = compare_with_baseline(run, run)
    return {
        "page": render(run, compared), "table": table(run, comparison=compared), "junit": junit(run), "github": "\n".join(commands(run)),
        "summary": summary(run, compared), "gitlab": gitlab(run, "results.jsonl"),
    }  # fmt: skip


def test_a_text_in_every_field_is_only_ever_text(make, save):
    hostile = make.HOSTILE + "\r\n::error::x\x07\x9b\u2028<style>*{}</style><a href=javascript:alert(1)>"
    shown = outputs(
        load(
            save(
                [
                    everywhere(r, hostile) | ({"refgrad": "1"} if r["type"] == "run" else {})
                    for r in records(make)
                ]
            )
        )
    )
    page = Seen(shown["page"])
    plain = Seen(outputs(load(save(records(make))))["page"])
    for tag in ("script", "style", "iframe", "object", "link", "meta", "form", "input", "base", "html"):
        assert page.tags[tag] == plain.tags[tag], tag
    assert not page.tags["img"]
    assert not page.handlers
    assert all(
        a.startswith(("#", "data:application/json;base64,")) or a in ("data:,", "results.jsonl.gz")
        for a in page.addresses
    )
    for name, text in shown.items():
        for sign in "\x1b\x07\x9b\u202e":
            assert sign not in text, name
    assert "49" not in shown["table"].replace("1.49", "")  # {{ 7*7 }} was not evaluated
    assert all(line.startswith("::error ") for line in shown["github"].splitlines())
    json.loads(shown["gitlab"])


def test_very_long_text_makes_no_very_long_output(make, save):
    shown = outputs(
        load(
            save(
                [
                    everywhere(r, "long " * 400_000) if r["type"] in ("result", "crash") else r
                    for r in records(make)
                ]
            )
        )
    )
    assert {name: len(text) for name, text in shown.items() if len(text) > 400_000} == {}


def test_a_file_cut_anywhere_is_partial_or_refused(make, save, tmp_path):
    data = save([*make.synthetic(4)]).read_bytes()
    path, seen = tmp_path / "cut.jsonl", Counter()
    for whole, end in [
        (d, k) for d in (data, gzip.compress(data)) for k in range(0, len(d), max(1, len(d) // 150))
    ]:
        path.write_bytes(whole[:end])
        try:
            seen["partial" if load(path).partial else "whole"] += 1
        except CaseFileError as error:
            seen["refused" if "cut.jsonl" in str(error) else "nameless"] += 1
    assert not seen["whole"] + seen["nameless"]
    assert seen["partial"] > 100
    assert seen["refused"] > 0


def places(x, at=()):
    yield at
    for k, v in x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, list) else ():
        yield from places(v, (*at, k))


def changed(x, at, value):
    y = z = copy.deepcopy(x)
    for k in at[:-1]:
        z = z[k]
    z[at[-1]] = value
    return y


def test_any_value_in_any_place_is_refused_by_name_or_shown(make, save):
    listed = records(make)
    junk = [None, True, -1, 1e308, 10**30, "", "nan", [], {}, [[]], {"a": 1}, {"slice": 1}, [-1]]
    draw = random.Random(0)
    seen: Counter[str] = Counter()
    for k, at, value in draw.sample(
        [(k, at, v) for k, r in enumerate(listed) for at in places(r) if at for v in junk], 150
    ):
        path = save([changed(r, at, value) if i == k else r for i, r in enumerate(listed)])
        try:
            outputs(merge([load(path)]))
            seen["shown"] += 1
        except RefgradError as error:
            # The case of a result is a line of its own, before it: either may be to blame.
            lines = [
                sum(len(make.apart(r)) for r in listed[:k]) + n
                for n in range(1, len(make.apart(listed[k])) + 1)
            ]
            named = any(str(error).startswith(f"{path}, line {line}: ") for line in lines)
            seen["refused" if named else str(error)] += 1
    assert set(seen) == {"shown", "refused"}


@pytest.mark.parametrize(
    "node", [
        {"op": "pad", "of": [0], "with": {"pad_width": 1 << 33, "constant_values": 0.0}},
        {"op": "reshape", "of": [0], "with": {"shape": {"tuple": [1 << 60, -5]}}},
        {"op": "no such op", "of": [0], "with": {}},
        {"op": "getitem", "of": [0], "with": {"key": "__import__('os').abort()"}},
        {"op": "sin", "of": [9], "with": {}},
    ],
)  # fmt: skip
def test_a_case_that_asks_for_the_impossible_is_a_page_without_its_numbers(make, save, node):
    case = make.case()
    case["graph"]["nodes"][2:] = [node]
    page = render(load(save([make.header(), make.wrong("a" * 16, case=case), END])))
    assert "Its case is shown below" in page


def test_files_that_are_not_ours_leave_everything_as_it_was(tmp_path, capsys, make, save):
    from refgrad.cli import main

    good, page = save([make.header(), make.result("a" * 16), END], "good.jsonl"), tmp_path / "report.html"
    page.write_text("older")
    bad = {
        "empty.jsonl": b"", "binary.jsonl": bytes(range(256)) * 9, "html.jsonl": b"<html>", "deep.jsonl": b"[" * 200_000,
        "other.jsonl": b'{"type":"run","schema":99}\n', "gz.jsonl": b"\x1f\x8b broken", "torch.jsonl": b"PK\x03\x04",
        "bomb.jsonl.gz": gzip.compress(b" " * 50_000_000),
    }  # fmt: skip
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
        for arguments in (
            [str(tmp_path / name)],
            [str(good), "--baseline", str(tmp_path / name)],
            [str(good), str(tmp_path / name)],
        ):
            assert main(["report", *arguments, "--out", str(page)]) == 2, name
            assert name in capsys.readouterr().err
    assert page.read_text() == "older"
    assert main(["report", str(tmp_path), "--out", str(page)]) == 2
    assert main(["repro", str(tmp_path / "deep.jsonl")]) == 2
    assert page.read_text() == "older"
