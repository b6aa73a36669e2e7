import gzip
import os
import stat
import threading
from pathlib import Path

import pytest

from refgrad.report.storage.files import (
    PREVIOUS,
    RESULTS,
    folder_names,
    is_special_file,
    write_atomically,
    write_results,
)
from refgrad.report.storage.load import load
from tests.report.conftest import compressed_results


@pytest.fixture
def run(make, save):
    return load(save(make.synthetic(30, failing=0.1)))


def test_the_same_results_in_any_order_of_lines_are_the_same_bytes(make, save, run):
    lines = list(make.synthetic(30, failing=0.1))
    turned = load(save([lines[0], *reversed(lines[1:-1]), lines[-1]], "turned.jsonl"))
    assert compressed_results(turned) == compressed_results(run)
    assert compressed_results(run)[4:8] == bytes(4)  # the time in a gzip's head
    assert compressed_results(load(save(make.synthetic(30, seed=1)))) != compressed_results(run)


def test_every_line_is_there(make, save, run):
    path = save(make.synthetic(30, failing=0.1))
    assert sorted(gzip.decompress(compressed_results(run)).splitlines()) == sorted(
        path.read_bytes().splitlines()
    )
    first, *_, last = gzip.decompress(compressed_results(run)).splitlines()
    assert b'"type": "run"' in first
    assert b'"type": "end"' in last


def test_what_is_read_again_is_the_same(run, tmp_path):
    path = write_results(run, tmp_path / "new")
    again = load(path)
    assert repr(again) == repr(run)
    assert compressed_results(again) == compressed_results(run)


def test_the_cases_of_a_killed_run_that_lie_beside_its_file_are_in_the_packed_one(make, save, tmp_path):
    path = save([make.header(), make.result("a" * 16)])
    beside = tmp_path / "results.jsonl.running"
    beside.mkdir()
    (beside / "1.json").write_text(
        f'{{"worker": "gw0", "item": "i", "id": "{"b" * 16}", "case": {{"dtype": "float32"}}}}'
    )
    run = load(path)
    assert [c.id for c in run.running] == ["b" * 16]
    assert repr(load(write_results(run, tmp_path / "new"))) == repr(run)


def test_results_of_another_run_are_kept_as_the_previous_ones(make, save, run, tmp_path):
    other = load(save(make.synthetic(3)))
    path = write_results(other, tmp_path)
    write_results(other, tmp_path)
    assert not (tmp_path / PREVIOUS).exists()  # the same again: nothing was replaced
    write_results(run, tmp_path)
    assert path == tmp_path / RESULTS
    assert path.read_bytes() == compressed_results(run)
    assert (tmp_path / PREVIOUS).read_bytes() == compressed_results(other)


@pytest.mark.parametrize("writes", [0, 1])
def test_a_write_that_fails_loses_nothing(make, save, run, tmp_path, monkeypatch, writes):
    other = load(save(make.synthetic(3)))
    folder = tmp_path / "folder"
    write_results(other, folder)
    replace, left = type(folder).replace, [writes]

    def fail(self, target):
        left[0] -= 1
        if left[0] < 0:
            raise OSError("disk full")
        return replace(self, target)

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_results(run, folder)
    assert (folder / RESULTS).read_bytes() == compressed_results(other)
    assert {p.name for p in folder.iterdir()} <= {RESULTS, PREVIOUS}


def test_what_is_no_file_is_written_to_and_never_replaced(tmp_path):
    """As root, a rename would put a file in the place of /dev/null."""
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_atomically(pipe, "whole")
    reader.join(60)
    assert got == ["whole"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]
    assert is_special_file(Path("/dev/null"))
    assert is_special_file(Path("/dev/stdout"))
    assert not is_special_file(tmp_path / "new")
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, "x")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    there, link = tmp_path / "there" / "page", tmp_path / "link"
    there.write_text("older")
    link.symlink_to(there)
    write_atomically(link, "newer")
    assert link.is_symlink()
    assert there.read_text() == "newer"
    assert [p.name for p in there.parent.iterdir()] == ["page"]


def test_folders_of_backends_are_plain_and_different() -> None:
    labels = ("torch", "jax 0.10.2", "jax-0.10.2", "../x", "..", "日本", "a" * 100)
    found = folder_names(labels)
    assert list(found) == list(labels)
    assert list(found.values()) == [
        "torch",
        "jax-0.10.2",
        "jax-0.10.2-2",
        "x",
        "backend",
        "backend-2",
        "a" * 60,
    ]
