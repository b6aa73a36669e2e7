"""Terminal, page, JUnit, annotations, the job's summary and GitLab name the same findings, in the same order, with the same counts."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from refgrad.report import render, table
from refgrad.report.analysis.findings import findings
from refgrad.report.analysis.verdict import verdict
from refgrad.report.ci.github import commands, summary
from refgrad.report.ci.gitlab import gitlab
from refgrad.report.ci.junit import junit
from refgrad.report.storage.load import load


@pytest.fixture
def run(make, save):
    whole = {"mode": "reverse end to end", "first_wrong": {"node": 4, "op": ""}}
    lines = [
        *[make.wrong(f"a{k}", op="tanh", dtype=d) for k, d in enumerate(("float64", "float32", "float16"))],
        make.wrong("a0", op="tanh", mode="reverse end to end", dtype="float64", first_wrong=whole["first_wrong"]),
        *[make.wrong(f"b{k}", op="exp", mode=mode) for k, mode in enumerate(("reverse", "forward"))],
        make.wrong("c", op="exp or log"),
        make.result("d", status="error", reason="RuntimeError: illegal memory access", first_wrong={"node": 2, "op": "sigmoid"}),
        make.wrong("e", op="mish", mode="reverse over reverse"),
        make.wrong("f", **whole),
        {"type": "end", "exit": 1, "finished": "", "seconds": 1},
    ]  # fmt: skip
    return load(save([make.header(), *lines]))


EXPECTED = [
    ("disagree at tanh", "3 of 3 cases, 2 modes, 3 dtypes, cpu"),
    ("disagree at exp", "3 of 3 cases, 2 modes, float32, cpu"),
    ("error at sigmoid", "1 of 1 case, reverse, float32, cpu"),
    ("disagree at mish", "1 of 1 case, reverse over reverse, float32, cpu"),
    ("disagree: end to end, right node by node", "1 of 1 case, reverse end to end, float32, cpu"),
]


def test_findings_are_these(run):
    assert [(f.name, f.extent) for f in findings(run)] == EXPECTED


def test_the_terminal(run):
    lines = " ".join(table(run).split())
    places = [lines.index(f"{name}: {extent}") for name, extent in EXPECTED]
    assert places == sorted(places)


def test_the_page(run):
    articles = re.findall(r'<article class="finding".*?</article>', render(run), re.DOTALL)
    told = []
    for article in articles:
        heading = re.sub(r"<[^>]+>", "", article[article.index("<h3") : article.index("</h3>")])
        told.append(heading.split(maxsplit=1)[1])
    wanted = [f"{name.replace(' at ', ' ').replace(':', '')} {extent}" for name, extent in EXPECTED]
    assert told == wanted


def test_junit(run):
    root = ET.fromstring(junit(run))  # noqa: S314 - our own text
    cases = root.findall("testsuite[@name='findings']/testcase")
    assert [(c.get("name"), c[0].text.splitlines()[0]) for c in cases] == EXPECTED
    assert [c[0].tag for c in cases] == ["failure", "failure", "error", "failure", "failure"]


def test_annotations(run):
    told = [re.fullmatch(r"::error title=(.*?)::(.*)", line).groups() for line in commands(run)]
    assert [
        (title.replace("%3A", ":").replace("%2C", ","), message.split(":")[0]) for title, message in told
    ] == EXPECTED


def test_the_summary(run):
    rows = [line for line in summary(run).splitlines() if re.match(r"\| (disagree|error)", line)]
    plain = [re.sub(r"&#(\d+);", lambda m: chr(int(m[1])), row) for row in rows]
    assert [tuple(cell.strip() for cell in row.split("|")[1:3]) for row in plain] == EXPECTED


def test_gitlab(run):
    entries = json.loads(gitlab(run, "results.jsonl"))
    for entry, (name, extent) in zip(entries, EXPECTED, strict=True):
        assert entry["description"].startswith(f"{name}: {extent}: ")


def test_the_verdict_names_them_in_this_order(run):
    assert verdict(run).sentence == (
        "8 cases disagree with the derivative, first wrong at tanh, exp, mish, end to end, right node by node; "
        "1 result could not be judged because of an error, at sigmoid."
    )
