import base64
import hashlib
import html.parser
import json
import re
import sys
import zlib

import pytest

from refgrad.errors import RefgradError
from refgrad.report import render, write
from refgrad.report.page.table_rows import payload
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(html.parser.HTMLParser):
    """Elements and attributes of a page, and whether every element is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.open, self.text = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in {"href", "src", "action"}:
                self.links.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(make, save):
    return render(load(save(make.synthetic(120, failing=0.05))))


def unpacked(text):
    return json.loads(zlib.decompress(base64.b64decode(text)))


def test_the_page_is_well_formed_and_ids_are_unique(page):
    parsed = Page(page)
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    for name in re.findall(r'(?:aria-labelledby|aria-describedby|data-copy|for)="([^"]+)"', page):
        assert name in parsed.ids


def test_nothing_from_outside_becomes_markup(page):
    parsed = Page(page)
    scripts = [attrs for tag, attrs in parsed.tags if tag == "script"]
    assert len(scripts) == 2
    assert not any(tag == "img" for tag, _ in parsed.tags)
    assert not any(key.startswith("on") or key == "style" for _, attrs in parsed.tags for key in attrs)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7*7 }}" in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_hostile_text_everywhere_is_escaped(make, save):
    bad = make.HOSTILE
    lines = [
        make.header(
            command=[bad], families=[bad], devices=[bad], profile=bad, refgrad=bad, started=bad, seed=bad, modes=[bad], dtypes=[bad],
            environment={bad: bad, "devices": {bad: bad}},
        ),
        make.wrong(bad, op=bad, family=bad, dtype=bad, device=bad, mode=bad, message=bad, script=bad, reason=bad),
        make.result(bad, status="error", reason=bad, message=bad + "\n" + bad), make.result("c", status="undecided", reason=bad),
        {"type": "audit", "mutation": bad, "dtype": bad, "planted": 2, "equivalent": 0, "caught": 1},
        {"type": "crash", "worker": bad, "item": bad, "reason": bad}, {"type": "end", "exit": 1, "finished": bad, "seconds": 1},
    ]  # fmt: skip
    text = render(load(save(lines)))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    parsed = Page(text)
    assert parsed.open == []
    assert sum(tag == "script" for tag, _ in parsed.tags) == 2
    assert not any(tag == "img" for tag, _ in parsed.tags)


def test_the_policy_allows_exactly_what_is_in_the_page(page):
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        [content] = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_page_asks_nobody_for_anything(page):
    beside = "results.jsonl.gz"  # the record: it is offered, not loaded
    assert beside in Page(page).links
    assert all(link.startswith(("#", "data:")) or link == beside for link in Page(page).links)
    assert "http://" not in page
    assert "https://" not in page
    assert "url(http" not in page


def test_same_input_same_bytes_in_any_order_of_lines(make, save):
    lines = list(make.synthetic(60, failing=0.05))
    turned = [lines[0], *reversed(lines[1:-1]), lines[-1]]
    assert (
        render(load(save(lines))) == render(load(save(turned, "turned.jsonl"))) == render(load(save(lines)))
    )


def test_a_finding_shows_message_elements_graph_command_script_and_case(make, save):
    text = render(load(save([make.header(), make.wrong("ab" * 8, nodes=4), {"type": "end", "exit": 1}])))
    assert "first wrong at op tanh (node 2)" in text
    assert "gradient of x[0, 0]" in text
    assert "refgrad repro case-abababababababab.json" in text
    assert "print(torch.tanh(x))" in text
    assert 'class="box op suspect"' in text
    assert "<b>✗ first wrong</b>" in text
    assert "0.4621" in text  # the value of tanh(0.5), derived from the case
    [link] = [link for link in Page(text).links if link.startswith("data:application/json")]
    assert json.loads(base64.b64decode(link.partition(",")[2])) == make.case("tanh", 4)


@pytest.mark.parametrize(
    "case",
    [
        {}, {"graph": 3}, {"graph": {"nodes": "x"}}, {"graph": {"nodes": [{"op": "tanh", "of": [5]}]}}, {"graph": {"nodes": [7]}},
        {"graph": {"nodes": [{"input": "x"}, {"op": "nobody's", "of": [0]}], "outputs": "?"}}, {"graph": {"nodes": [{}] * 300}},
    ],
)  # fmt: skip
def test_a_case_that_cannot_be_read_is_shown_without_its_figure(make, save, case):
    text = render(
        load(save([make.header(), make.wrong("ab" * 8, case=case, first_wrong={"node": 0, "op": "tanh"})]))
    )
    assert ("refgrad repro" in text) == bool(case)


def test_a_finding_has_an_address_of_its_content(make, save):
    lines = [
        make.wrong(f"{k:016x}", op=op, nodes=3 + k) for k, op in enumerate(("tanh", "exp or log", "sigmoid"))
    ]
    first = Page(render(load(save([make.header(), *lines]))))
    later = Page(render(load(save([make.header(), make.wrong("f" * 16, op="exp or log", dtype="float64")]))))
    anchors = [name for name in first.ids if name.startswith("disagree-") and not name.endswith("-h")]
    assert len(anchors) == 3
    assert {"disagree-tanh", "disagree-sigmoid"} < set(anchors)
    assert len(set(anchors) & set(later.ids)) == 1
    assert all(f"#{name}" in first.links for name in anchors)
    assert not any(name.startswith("finding-") for name in first.ids)


def test_the_table_lists_a_result_under_the_op_it_is_held_against(make, save):
    lines = [make.wrong("a" * 16, op="exp or tanh"), make.wrong("b" * 16, mode="forward")]
    data = unpacked(payload(load(save([make.header(), *lines]))).text)
    assert [data["words"]["op"][k] for k in data["index"]["op"]] == ["tanh", "tanh"]


def test_a_case_has_an_address_made_of_its_content(make, save):
    one = make.wrong("ab" * 8, mode="reverse end to end")
    more = [make.wrong(f"{k:016x}", op=f"op{k}") for k in range(3)]
    page, longer = (render(load(save([make.header(), *lines]))) for lines in ([one], [*more, one]))
    for text in (page, longer):
        assert text.count('id="case-abababababababab-reverse-end-to-end"') == 1
        assert 'href="#case-abababababababab-reverse-end-to-end"' in text


def test_the_same_case_twice_keeps_ids_apart(make, save):
    lines = [make.wrong("ab" * 8, op=op) for op in ("tanh", "exp")]
    parsed = Page(render(load(save([make.header(), *lines]))))
    assert len(parsed.ids) == len(set(parsed.ids))
    assert "case-abababababababab-reverse-again" in parsed.ids


def test_partial_and_empty_runs_have_a_page(make, save):
    assert "Partial: it has no end line" in render(load(save([make.header(), make.result("a" * 16)])))
    assert "Nothing was proved: no element was compared." in render(
        load(save([make.header(), {"type": "end", "exit": 3}]))
    )


def test_the_table_holds_every_result_of_a_small_run(make, save):
    run = load(save(make.synthetic(50, failing=0.05)))
    compressed_results = payload(run)
    data = unpacked(compressed_results.text)
    assert compressed_results.grouped == 0
    assert sorted(data["id"]) == sorted(r.id for r in each_result(run))
    assert next(data["words"]["status"][k] for k in data["index"]["status"]) == "disagree"
    assert sum(data["elements"]) == run.tally.elements


def test_a_large_run_stays_small_and_loses_no_count(make, save):
    run = load(save(make.synthetic(12_000)))
    text = render(run)
    data = unpacked(payload(run).text)
    assert len(text.encode()) < 450_000
    assert sum(data["results"]) == run.tally.results == 36_000
    assert sum(data["elements"]) == run.tally.elements
    failed = {r.id for r in run.results if r.failed}
    assert failed <= set(data["id"])


def test_a_run_in_which_much_fails_stays_below_a_megabyte(make, save):
    many = [
        make.wrong(
            f"{k:016x}",
            op=f"op{k % 997}",
            nodes=3 + k % 40,
            message=f"reverse: got {k / 7!r}, expected {k / 3!r}",
            script="x = 1\n" * 200,
        )
        for k in range(5000)
    ]
    assert len(render(load(save([make.header(), *many]))).encode()) < 1_000_000


def test_write_replaces_the_file_at_once_and_leaves_nothing_else(make, save, tmp_path):
    run = load(save(make.synthetic(3)))
    target = tmp_path / "reports" / "report.html"
    write(run, target)
    target.write_text("old", encoding="utf-8")
    write(run, target)
    assert target.read_text(encoding="utf-8") == render(run)
    assert [p.name for p in target.parent.iterdir()] == ["report.html"]


def test_a_failing_write_keeps_the_old_file(make, save, tmp_path, monkeypatch):
    run = load(save(make.synthetic(3)))
    target = tmp_path / "reports" / "report.html"
    write(run, target)
    before = target.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(run, target)
    assert target.read_bytes() == before
    assert [p.name for p in target.parent.iterdir()] == ["report.html"]


def test_without_jinja2_the_error_says_what_to_install(make, save, monkeypatch):
    run = load(save(make.synthetic(3)))
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(RefgradError, match=r'pip install "refgrad\[conformance\]"'):
        render(run)
