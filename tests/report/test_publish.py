import json
import os
from pathlib import Path

import pytest

from refgrad.cli import main
from refgrad.report import render
from refgrad.report.storage.load import load


@pytest.fixture
def results(make, save) -> Path:
    return save(make.synthetic(60, failing=0.1))


@pytest.fixture(autouse=True)
def _outside_of_ci(monkeypatch):
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def test_everything_at_once(results, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("an earlier step\n")
    asked = [
        "--junit",
        str(tmp_path / "j" / "junit.xml"),
        "--gitlab",
        str(tmp_path / "gl.json"),
        "--baseline",
        str(results),
    ]
    assert main(["report", str(results), "--out", str(tmp_path / "page"), *asked]) == 1
    out = capsys.readouterr().out
    assert (tmp_path / "j" / "junit.xml").read_text().startswith("<?xml")
    assert (tmp_path / "gl.json").read_text().startswith("[")
    assert 'id="baseline"' in (tmp_path / "page" / "report.html").read_text()
    assert (tmp_path / "summary.md").read_text().startswith("an earlier step\n## ❌ refgrad")
    head, _, rest = out.partition("\n")
    assert head.startswith("::stop-commands::")
    table, _, commands = rest.partition(f"\n::{head.removeprefix('::stop-commands::')}::\n")
    assert "exit 1" in table
    assert (
        commands.count("::error ")
        == len([line for line in commands.splitlines() if line.startswith("::")])
        > 0
    )


def test_shards_become_one_page_with_one_file_of_results(make, save, tmp_path, capsys):
    """Beside the page: from it come the same page, byte for byte, the same verdict and the same file."""
    shards = [
        str(save([make.header(shard=f"{k}/3"), make.wrong(str(k) * 16), {"type": "end", "exit": 1}], f"{k}.jsonl")) for k in (1, 2, 3)
    ]  # fmt: skip
    for given in (shards, shards[1:]):  # the second misses one
        once, twice = tmp_path / f"once {len(given)}", tmp_path / f"twice {len(given)}"
        assert main(["report", *given, "--out", str(once)]) == 1
        said = capsys.readouterr().out
        assert ("1/3 is not here" in said) == (len(given) == 2)
        assert main(["report", str(once / "results.jsonl.gz"), "--out", str(twice)]) == 1
        assert capsys.readouterr().out == said.replace(str(once), str(twice))
        for name in ("report.html", "results.jsonl.gz"):
            assert (once / name).read_bytes() == (twice / name).read_bytes()
    whole = (tmp_path / "once 3" / "results.jsonl.gz").read_bytes()
    assert (
        main(
            ["report", str(tmp_path / "once 2" / "results.jsonl.gz"), *shards, "--out", str(tmp_path / "all")]
        )
        == 1
    )
    assert (tmp_path / "all" / "results.jsonl.gz").read_bytes() == whole


def test_github_is_left_alone_elsewhere(results, tmp_path, capsys):
    assert main(["report", str(results), "--out", str(tmp_path / "r.html")]) == 1
    assert "::" not in capsys.readouterr().out
    assert main(["report", str(results), "--out", str(tmp_path / "r.html"), "--github"]) == 1
    assert "::error " in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--junit", "--gitlab", "--out"])
def test_what_cannot_be_written_is_named_and_is_exit_code_3(make, save, tmp_path, capsys, option):
    good = save(
        [make.header(), make.result("a" * 16), {"type": "end", "exit": 0, "finished": "", "seconds": 1}]
    )
    (tmp_path / "file").write_text("")
    asked = [option, str(tmp_path / "file" / "x.html")]
    assert main(["report", str(good), *asked]) == 3
    err = capsys.readouterr().err
    assert "x.html: cannot be written" in err


def test_what_is_read_is_never_written_over(results, tmp_path, capsys):
    before, page = results.read_bytes(), str(tmp_path / "r.html")
    link = tmp_path / "link"
    link.symlink_to(results)
    for asked in (["--junit", str(results)], ["--gitlab", str(link)], ["--junit", page], ["--junit", "x", "--gitlab", "./x"]):  # fmt: skip
        assert main(["report", str(results), "--out", page, *asked]) == 2
        assert f"{asked[-1]}: an input or another output has this name" in capsys.readouterr().err
    assert main(["report", str(results), "--out", str(results)]) == 2
    assert (
        "results.jsonl: is a file; a folder is expected, or the name of an .html file"
        in capsys.readouterr().err
    )
    assert results.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "results.jsonl"]


def test_a_page_is_refused_as_what_it_is(results, tmp_path, capsys):
    assert main(["report", str(results)]) == 1
    assert main(["report", str(tmp_path / "report.html")]) == 2
    assert "report.html, line 1: not a results file of refgrad" in capsys.readouterr().err


def test_a_full_disk_keeps_the_older_files(results, tmp_path, monkeypatch, capsys):
    page, xml, compressed_results = (
        tmp_path / "report.html",
        tmp_path / "junit.xml",
        tmp_path / "results.jsonl.gz",
    )
    for path in (page, xml, compressed_results):
        path.write_text("older")

    def full(handle: int, *_: object, **__: object) -> None:
        os.close(handle)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdopen", full)
    assert main(["report", str(results), "--junit", str(xml)]) == 1
    assert page.read_text() == xml.read_text() == compressed_results.read_text() == "older"
    assert capsys.readouterr().err.count("No space left on device") == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "junit.xml",
        "report.html",
        "results.jsonl",
        "results.jsonl.gz",
    ]


def test_half_a_pair_of_surrogates_does_not_stop_a_report(make, save, tmp_path, capsys):
    odd = '"family":"\\ud800 odd"'
    line = json.dumps(make.wrong("a" * 16)).replace('"family": "graphs"', odd)
    path = save([make.header(), line + "\n"])
    assert (
        main(["report", str(path), "--out", str(tmp_path / "r.html"), "--junit", str(tmp_path / "j.xml")])
        == 1
    )
    assert "? odd" in render(load(path))
    capsys.readouterr()


def test_a_baseline_of_another_backend_is_refused(make, save, tmp_path: Path, capsys) -> None:
    """Failures of one framework would be known failures of another one: their cases have the same ids."""
    end = {"type": "end", "exit": 1, "finished": "2026-11-21T05:02:00Z", "seconds": 10.0}
    torch, jax = (
        str(save([make.header(backend=backend), make.wrong("a" * 16), end], f"{backend}.jsonl"))
        for backend in ("torch", "jax")
    )
    more = ["--out", str(tmp_path / "page"), "--fail-on", "new", "--baseline"]
    assert main(["report", torch, *more, jax]) == 2
    assert "results of jax were given, and torch is judged" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()
    assert main(["report", torch, *more, torch]) == 0
