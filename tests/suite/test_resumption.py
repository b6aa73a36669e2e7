"""A run that is killed in the middle and resumed has the results of one that was not."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from refgrad.errors import ArgumentError
from refgrad.records import Crash, End, FinishedItem, Header, News, Plan, Running, encoded
from refgrad.suite.resumption import check_same, interrupted, prepare
from refgrad.testing.runs import in_flight
from refgrad.testing.runs.journal import Journal
from refgrad.testing.runs.results import ResultsFile
from tests.suite.faulty_runs import command, killed
from tests.whole_runs import WholeRun, conformance, folder_of_all_processes, made_once

HEAD = Header(
    "1", "2026-01-01T00:00:00Z", ("refgrad", "conformance"), seed="3", families=("ops",), examples="7"
)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def content(path: Path) -> Counter[str]:
    """The lines but for times, and each case once: every process writes those that it judged."""
    found: Counter[str] = Counter()
    for line in lines(path):
        line.pop("seconds", None)
        text = json.dumps(line, sort_keys=True)
        if line["type"] == "case":
            found[text] = 1
        elif line["type"] not in ("run", "end"):
            found[text] += 1
    return found


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """The run that is not killed."""
    pytest.importorskip("torch")
    shared = folder_of_all_processes(tmp_path_factory.getbasetemp())
    return made_once(shared / "not-killed", again)


def again(out: Path, *more: str) -> WholeRun:
    """The command of ``started`` in this process, without a fault."""
    return conformance(out, *command(out, "--time-limit", "0", "--workers", "0", *more)[4:])


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGKILL, "2"), (signal.SIGINT, "0")], ids=["SIGKILL", "SIGINT"]
)
def test_a_killed_run_that_is_resumed_gives_the_results_of_one_that_was_not(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    whole: WholeRun,
    number: signal.Signals,
    workers: str,
) -> None:
    """With as many workers, or with none."""
    shared = folder_of_all_processes(tmp_path_factory.getbasetemp())
    out = shutil.copytree(killed(shared, number).out, tmp_path / "out")
    before = lines(out / "results.jsonl")
    assert any(line["type"] == "result" for line in before)
    assert before[-1]["type"] != "end"
    resumed = again(out, "--resume", "--workers", workers)
    assert resumed.code == 0, resumed.stdout + resumed.stderr
    assert lines(out / "results.jsonl")[0] == before[0]
    assert whole.code == 0
    assert content(out / "results.jsonl") == content(whole.results)
    # A complete run has nothing left: its report is written again.
    page = (out / "report.html").read_bytes()
    assert again(out, "--resume").code == 0
    assert (out / "report.html").read_bytes() == page
    other = again(out, "--resume", "--seed", "9")
    assert other.code == 2
    assert "--resume: the interrupted run has seed '0', this command '9' (--seed)" in other.stderr


def test_the_lines_of_unfinished_items_and_the_end_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    file = ResultsFile(path, journal=Journal(path))
    file.write(HEAD, Plan(("a", "b", "c", "d")))
    for name in ("a", "b"):
        file.begin(name)
        file.write(Crash("", name, "of a finished item") if name == "b" else FinishedItem(name, 1.5))
        file.finish()
    file.begin("c")
    file.write(News("support", "of c", ""))
    main = ResultsFile(path)
    main.write(Running("", "c", "1", {}), End(3, "", 5.0))
    found = interrupted(path)
    assert found is not None
    assert (found.finished, found.crashed, found.seconds) == ({"a": 1.5}, frozenset("b"), 5.0)
    assert found.planned - found.ended == {"c", "d"}
    assert not found.complete
    prepare(path, found)
    kept = (HEAD, Plan(("a", "b", "c", "d")), FinishedItem("a", 1.5), Crash("", "b", "of a finished item"))
    assert path.read_bytes() == b"".join(map(encoded, kept))
    assert not in_flight.folder(path).exists()


def test_an_empty_piece_brings_no_lines_back(tmp_path: Path) -> None:
    """A process that wrote nothing notes the place at which another one writes next. Journals of earlier versions have such pieces."""
    path = tmp_path / "results.jsonl"
    file = ResultsFile(path, journal=Journal(path))
    file.write(HEAD, Plan(("a", "b")))
    file.begin("a")
    file.write()
    start = path.stat().st_size
    file.write(News("support", "of a", ""))
    folder = in_flight.folder(path)
    assert len((folder / f"{os.getpid()}.journal").read_text().splitlines()) == 2  # the item and one piece
    (folder / "1.journal").write_text(f'["b"]\n[{start}, 0, 0]\n')
    (folder / "0.journal").write_text(f'["b"]\n[{start}, 0, 0]\n')
    found = interrupted(path)
    assert found is not None
    assert found.content == b"".join(map(encoded, (HEAD, Plan(("a", "b")))))


def test_what_cannot_be_resumed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert interrupted(path) is None
    path.write_text("no results\n")
    with pytest.raises(ArgumentError, match="it is no results file of a run"):
        interrupted(path)
    path.write_bytes(encoded(HEAD))
    with pytest.raises(ArgumentError, match=r"the folder results\.jsonl\.running is missing"):
        interrupted(path)
    path.write_bytes(
        encoded(HEAD) + encoded(Plan(("a",))) + encoded(FinishedItem("a")) + encoded(End(0, "", 1.0))
    )
    found = interrupted(path)
    assert found is not None
    assert found.complete


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("families", ("mlp",), "--family"),
        ("examples", "8", "--examples"),
        ("refgrad", "2", "another version"),
    ],
)
def test_another_command_is_refused(field: str, value: object, said: str) -> None:
    from dataclasses import replace

    check_same(HEAD, replace(HEAD, started="later", workers="5"))
    with pytest.raises(ArgumentError, match=said):
        check_same(HEAD, replace(HEAD, **{field: value}))  # type: ignore[arg-type]


def test_an_address_of_which_a_part_is_kept_is_compared_as_far_as_it_is() -> None:
    """Many options --replace make an address longer than a results file is read."""
    from dataclasses import replace

    long = "torch?replace=" + "a" * 2000
    kept = Header.read(json.loads(json.dumps(replace(HEAD, address=long).to_dict())))
    assert kept.address != long
    check_same(kept, replace(kept, address=long))
    with pytest.raises(ArgumentError, match="--replace"):
        check_same(kept, replace(kept, address=f"torch?load=b&{long}"))


def test_of_long_lists_the_differences_are_told_alone() -> None:
    """A run has 200 deviations, each with its reason: all of them twice filled the terminal."""
    from dataclasses import replace

    many = tuple((f"entry-{k}", "because " * 20, "docs") for k in range(200))
    with pytest.raises(ArgumentError) as raised:
        check_same(replace(HEAD, deviations=many), replace(HEAD, deviations=(*many[:-1], ("mine", "m", "l"))))
    said = str(raised.value)
    assert "entry-199" in said
    assert "mine" in said
    assert "entry-7" not in said
    assert len(said) < 500
