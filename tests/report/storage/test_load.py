import gc
import gzip
import json
import math
import tracemalloc

import pytest

from refgrad.errors import ArgumentError, CaseFileError
from refgrad.records import End, encoded
from refgrad.report import render
from refgrad.report.analysis import row_tally
from refgrad.report.storage import lines
from refgrad.report.storage.details import each_case, each_result
from refgrad.report.storage.load import ended, header_of, holds_results, load
from refgrad.report.storage.merge import merge


def test_a_run_is_read_whole(make, save):
    run = load(save(make.synthetic(30)))
    assert run.cases == 30
    assert run.tally.results == 90
    assert len(run.audits) == 8
    assert not run.partial
    assert run.tally.elements == sum(r.elements for r in each_result(run)) > 0
    assert run.header.present["cuda"].startswith("not present")


def test_a_run_that_ends_now_is_as_its_file_reads(make, save, tmp_path):
    path, last = tmp_path / "results.jsonl", End(1, "2026-11-21T05:02:00Z", 63.2)
    path.write_bytes(b"".join(save(make.synthetic(30)).read_bytes().splitlines(keepends=True)[:-1]))
    before = load(path)
    assert before.partial
    found = ended(before, last)
    with path.open("ab") as file:
        file.write(encoded(last))
    whole = load(path)
    assert not whole.partial
    assert found.header == whole.header
    assert repr(found.results) == repr(whole.results)  # NaN is not itself where == compares fields
    assert list(found.lines) == list(whole.lines)
    assert found.lines.digest == whole.lines.digest
    with pytest.raises(ArgumentError, match="without an end line"):
        ended(found, last)


def test_gzip_is_recognised_by_content(make, save, tmp_path):
    path = save(make.synthetic(5))
    compressed_results = tmp_path / "results.data"
    compressed_results.write_bytes(gzip.compress(path.read_bytes()))
    assert render(load(compressed_results)) == render(load(path))


def test_a_torn_gzip_is_partial(make, save, tmp_path):
    data = gzip.compress(save(make.synthetic(40)).read_bytes())
    compressed_results = tmp_path / "torn.jsonl.gz"
    compressed_results.write_bytes(data[: len(data) // 2])
    run = load(compressed_results)
    assert run.partial
    assert run.truncated
    assert 0 < run.tally.results < 120


def test_a_torn_last_line_is_partial(make, save):
    path = save([make.header(), make.result("a" * 16), json.dumps(make.result("b" * 16))[:70]])
    run = load(path)
    assert run.truncated
    assert run.partial
    assert list(run.tally.cases.ids) == ["a" * 16]


def test_a_line_torn_inside_a_character_is_partial(make, save):
    path = save([make.header()])
    with path.open("ab") as file:
        file.write('{"type":"result","id":"ü'.encode()[:-1])
    assert load(path).truncated


def test_a_gzip_torn_in_its_first_line_is_refused_as_that(make, save, tmp_path):
    compressed_results = tmp_path / "torn.jsonl.gz"
    compressed_results.write_bytes(gzip.compress(save(make.synthetic(4)).read_bytes())[:12])
    with pytest.raises(CaseFileError, match="torn off before the end of its first line"):
        load(compressed_results)


def test_marks_that_editors_leave_do_not_matter(make, save, tmp_path):
    path, edited = save(make.synthetic(4)), tmp_path / "edited.jsonl"
    edited.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert repr(load(edited)) == repr(load(path))


def test_without_an_end_line_a_run_is_partial(make, save):
    run = load(save([make.header(), make.result("a" * 16)]))
    assert run.partial
    assert not run.truncated


def test_a_whole_last_line_without_newline_counts(make, save):
    run = load(save([make.header(), json.dumps(make.result("a" * 16))]))
    assert run.tally.results == 1
    assert not run.truncated


def test_the_order_of_lines_does_not_matter(make, save):
    lines = list(make.synthetic(20))
    turned = load(save([lines[0], *reversed(lines[1:-1]), lines[-1]], "turned.jsonl"))
    # Not ==: from Python 3.13 on a record that holds NaN differs from itself.
    assert repr(load(save(lines))) == repr(turned)


def test_non_finite_numbers_are_read(make, save):
    worst = {
        "ratio": "inf",
        "ulp": "nan",
        "got": "nan",
        "expected": "-inf",
        "bound": 0,
        "node": 1,
        "op": "log",
        "element": [],
    }
    [r] = each_result(load(save([make.header(), make.result("a" * 16, worst=worst)])))
    assert r.worst is not None
    assert math.isinf(r.worst.ratio)
    assert math.isnan(r.worst.got)
    assert r.worst.expected == -math.inf


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "empty"),
        (["hello\n"], "line 1: not a results file of refgrad"),
        (["[1]\n"], "line 1: a JSON object is expected"),
        (['{"type":"result"}\n'], "line 1: not a results file of refgrad"),
        (['{"type":"run"}\n'], "line 1: not a results file of refgrad"),
        (['{"type":"run","schema":2'], "line 1: not a results file of refgrad"),
        (['{"type":"run","schema":2,"shard":"2 of 2"}\n'], "line 1: \"shard\" is '2 of 2'; a part such as"),
        (
            ['{"type":"run","schema":1,"refgrad":"0.1.0"}\n'],
            r"schema 1, written by refgrad 0\.1\.0; .* schema 2\. Render",
        ),
    ],
)
def test_what_is_not_ours_is_refused(save, lines, message):
    with pytest.raises(CaseFileError, match=message):
        load(save(lines))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken\n", "line 2: not JSON"),
        ('{"type":"end","exit":NaN}\n', "NaN is not JSON"),
        ({"type": "verdict"}, "a record of type 'verdict'"),
        ({"type": "run", "schema": 3}, "results of schema 3"),
        ({"type": "end", "exit": "0"}, "\"exit\" is '0'; a count is expected"),
        ({"type": "audit", "mutation": "sign", "planted": -1, "caught": 0}, '"planted" is -1'),
    ],
)
def test_a_broken_record_is_named_with_its_line(make, save, line, message):
    with pytest.raises(CaseFileError, match=message) as caught:
        load(save([make.header(), line, make.result("a" * 16)]))
    assert "results.jsonl, line 2" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "maybe"}, {"id": 7}, {"elements": -1}, {"elements": True}, {"worst": 3}, {"worst": {"ratio": "big"}}, {"ops": []},
        {"ops": {"exp": [1, 2]}}, {"first_wrong": 4}, {"worst_elements": {}}, {"case": "x"}, {"sensitivity": "small"},
    ],
)  # fmt: skip
def test_a_result_that_breaks_the_schema_is_refused(make, save, change):
    with pytest.raises(CaseFileError, match="is expected"):
        load(save([make.header(), make.result("a" * 16, **change), make.result("b" * 16)]))


def test_files_joined_by_hand_are_the_shards_merged(make, save, tmp_path):
    end = {"type": "end", "exit": 0, "seconds": 1}
    shards = [
        save([make.header(shard=f"{k}/2"), make.result(str(k) * 16), end], f"{k}.jsonl") for k in (2, 1)
    ]
    plain, compressed_results = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(b"".join(s.read_bytes() for s in shards))
    compressed_results.write_bytes(b"".join(gzip.compress(s.read_bytes()) for s in shards))
    merged = merge([load(s) for s in shards])
    assert render(load(plain)) == render(load(compressed_results)) == render(merged)
    assert not load(plain).partial
    plain.write_bytes(shards[0].read_bytes())
    with plain.open("ab") as file:
        file.write(b'{"type":"run"')
    assert load(plain).truncated


def test_files_joined_by_hand_must_belong_together(make, save):
    with pytest.raises(
        CaseFileError, match=r"joined\.jsonl: these are not parts of one run: seed is '0' and '1'"
    ):
        load(save([make.header(), make.header(seed=1)], "joined.jsonl"))


def test_records_after_the_end_are_refused(make, save):
    end = {"type": "end", "exit": 0, "finished": "", "seconds": 1}
    with pytest.raises(CaseFileError, match="after the end of the run"):
        load(save([make.header(), end, make.result("a" * 16)]))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CaseFileError, match=r"absent\.jsonl: cannot be read"):
        load(tmp_path / "absent.jsonl")


def test_a_case_belongs_to_every_result_with_its_id_that_does_not_agree(make, save):
    a, b = "a" * 16, "b" * 16
    held = {"type": "case", "id": a, "case": make.case()}
    statuses = ("agree", "undecided", "unsupported", "error", "imprecise", "known")
    lines = [make.result(a, status=s, mode=s) for s in statuses]
    run = load(save([make.header(), lines[0], held, *lines[1:], held, make.result(b, status="undecided")]))
    outlined = [*run.results, *run.tally.rows.kept]
    assert {r.mode for r in outlined if r.size == len(make.case()["graph"]["nodes"])} == set(statuses[1:])
    assert [c.id for c in each_case(run)] == [a]  # two processes wrote it


def test_items_and_news_are_kept_and_news_once(make, save):
    item = {
        "type": "item",
        "item": "a",
        "seconds": 1.5,
        "drawn": 50,
        "judged": 48,
        "shrunk": 2,
        "unjudged": 2,
        "unshrunk": 1,
        "why": "2 without a verdict after 60.0 s",
    }
    news = {"type": "news", "kind": "mended", "name": "one", "text": "mended in 9.9"}
    one, other = (save([make.header(shard=f"{k}/2"), item, news, news], f"{k}.jsonl") for k in (1, 2))
    run = load(one)
    assert run.items[0].to_dict() == item
    assert [n.to_dict() for n in run.news] == [news]
    merged = merge([run, load(other)])
    assert len(merged.items) == 2
    assert len(merged.news) == 1


@pytest.mark.parametrize(
    ("data", "holds"),
    [
        (b'{"type":"run"}\n{"type":"end"}', True), (b"\x1f\x8b", True), (b'{"schema":1}', False), (b"", False), (b"[1]", False),
        (b"\xff", False),
    ],
)  # fmt: skip
def test_a_results_file_is_told_by_its_beginning(tmp_path, data, holds):
    (tmp_path / "file").write_bytes(data)
    assert holds_results(tmp_path / "file") == holds
    assert not holds_results(tmp_path / "absent")


def test_a_file_of_before_backends_is_torch_s_and_its_modes_have_their_names_of_today(make, save):
    modes = ["reverse", "func.vjp", "double backward", "jvp of vjp", "backward of mine"]
    run = load(
        save([make.header(modes=modes), *[make.result(f"{k:016}", mode=m) for k, m in enumerate(modes)]])
    )
    now = [
        "reverse",
        "functional reverse",
        "reverse over reverse",
        "forward over reverse",
        "backward of mine",
    ]
    assert [*run.header.modes] == [r.mode for r in sorted(each_result(run), key=lambda r: r.id)] == now
    assert (run.header.backend, run.header.release, run.header.calls) == ("torch", "2.13.0", {})


def test_the_backend_and_its_version_are_read(make, save):
    around = make.header()["environment"] | {"jax": "0.12"}
    run = load(save([make.header(backend="jax", calls={"forward": "jvp"}, environment=around)]))
    assert (run.header.backend, run.header.release, run.header.calls) == ("jax", "0.12", {"forward": "jvp"})


def test_a_result_that_agrees_costs_little_memory(make, save, monkeypatch):
    """The lines are in a file, and three results share a case. As objects they would take more than a kilobyte each."""
    monkeypatch.setattr(lines, "CHUNK", 1 << 15)
    monkeypatch.setattr(row_tally, "ALL", 300)
    monkeypatch.setattr(row_tally, "SINGLE", 100)
    held, results = [], []
    for cases in (300, 1500):
        path = save(make.synthetic(cases, failing=0))
        tracemalloc.start()
        run = load(path)
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        results.append(run.tally.results)
    assert results == [900, 4500]
    assert (held[1] - held[0]) / (results[1] - results[0]) < 300


def test_the_collector_is_as_it_was(make, save):
    whole, broken = (
        save([make.header()]),
        save([make.header(), "not JSON", make.result("a" * 16)], "broken.jsonl"),
    )
    assert gc.isenabled()
    load(whole)
    with pytest.raises(CaseFileError):
        load(broken)
    assert gc.isenabled()
    gc.disable()
    try:
        load(whole)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_first_line_alone_is_read(make, save, tmp_path):
    assert header_of(save([make.header(backend="jax"), "no json at all\n"])).backend == "jax"
    for name, text in {"empty": "", "torn": '{"type":"run"', "other": '{"type":"x"}\n'}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(CaseFileError, match=name):
            header_of(tmp_path / name)
    with pytest.raises(CaseFileError, match="cannot be read"):
        header_of(tmp_path / "absent")
