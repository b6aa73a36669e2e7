"""The case at hand: on disk while it is judged, gone when it has a verdict; a limit on its time."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from refgrad.errors import CaseTimeout, ResultsWriteError
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.runs.in_flight import (
    CurrentCase,
    clear,
    folder,
    move,
    unfinished_cases,
    worker_died,
)


def a_case(x: float = 1.0) -> Case:
    a = np.array([x, 2.0])
    return Case("graphs", Graph.record(np.sin, a), {"x": a}, {"x": a}, a, "float64")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def test_a_case_is_left_until_it_is_judged(results: Path) -> None:
    running = CurrentCase(results, "gw7")
    with running.judging("an item", a_case()):
        [found] = unfinished_cases(results)
    assert (found.worker, found.item, found.id) == ("gw7", "an item", a_case().id)
    assert Case.from_dict(found.case).id == a_case().id
    assert unfinished_cases(results) == [found]  # judged, but not written yet
    running.finished()
    assert unfinished_cases(results) == []
    with running.judging("an item", a_case(3.0)):
        assert unfinished_cases(results)[0].id == a_case(3.0).id
    running.close()
    assert len(unfinished_cases(results)) == 1
    clear(results)
    assert unfinished_cases(results) == []


def test_a_process_that_ends_well_leaves_nothing(results: Path) -> None:
    CurrentCase(results).close()
    assert not [p for p in results.parent.rglob("*") if p.is_file()]


def test_without_room_for_the_case_nothing_is_judged(results: Path) -> None:
    folder(results).write_text("a file where the folder has to be")
    with pytest.raises(ResultsWriteError, match=r"results\.jsonl\.running.*: cannot be written: "):
        CurrentCase(results)


def test_half_a_file_names_no_case(results: Path) -> None:
    running = CurrentCase(results)
    with running.judging("an item", a_case()):
        pass
    [path] = results.parent.rglob("*.json")
    for text in (path.read_text()[:90], "[]", '{"item": 3}', "null", ""):
        path.write_text(text)
        assert unfinished_cases(results) == []
    running.close()


def test_time_runs_out_and_the_handler_is_put_back(results: Path) -> None:
    before = signal.getsignal(signal.SIGALRM)
    running = CurrentCase(results, limit=0.2)
    with pytest.raises(CaseTimeout), running.watched(), running.judging("an item", a_case()):
        time.sleep(20)
    assert signal.getsignal(signal.SIGALRM) is before
    with running.watched(), running.judging("an item", a_case()):
        pass
    time.sleep(0.8)  # past every limit: nothing is armed any more
    running.close()


def test_a_short_limit_ends_cases_and_not_the_process_between_them(results: Path) -> None:
    running = CurrentCase(results, limit=0.01)
    with running.watched():
        for _ in range(2):
            with pytest.raises(CaseTimeout), running.judging("an item", a_case()):
                time.sleep(20)
            time.sleep(0.3)  # many times the limit
    running.close()


def test_a_limit_within_a_limit_leaves_the_rest_of_the_outer_one(results: Path) -> None:
    running, begun = CurrentCase(results, limit=0.4), time.monotonic()

    def slow() -> None:
        with pytest.raises(CaseTimeout), running.limited():
            time.sleep(20)
        time.sleep(20)

    with pytest.raises(CaseTimeout), running.watched(), running.limited(2):
        slow()
    assert 0.7 < time.monotonic() - begun < 15
    running.close()


def a_slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> str:
    """The name of a module that takes its time to import. It counts how often its code begins and ends."""
    name = f"slow_{tmp_path.name.replace('-', '_')}"
    text = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end:\n    time.sleep(0.01)\nwhole = True\n"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_an_import_is_not_interrupted_and_the_time_begins_anew_at_its_end(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.func imports torch._dynamo at its first pullback. Half of that module would make every later case an error."""
    name = a_slow_module(tmp_path, monkeypatch, 0.5)
    running = CurrentCase(results, limit=0.2)
    with running.watched(), running.judging("an item", a_case()):
        module = importlib.import_module(name)
        time.sleep(0.05)  # past the limit, and within the new one
    assert module.whole
    running.close()


def test_a_case_that_hangs_after_its_import_is_interrupted(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_slow_module(tmp_path, monkeypatch, 0.5)
    running = CurrentCase(results, limit=0.2)

    def hang() -> None:
        assert importlib.import_module(name).whole
        time.sleep(20)

    for _ in range(2):  # the second time there is nothing to import
        with pytest.raises(CaseTimeout), running.watched(), running.judging("an item", a_case()):
            hang()
    running.close()


def test_a_run_that_is_itself_imported_keeps_its_limits(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only imports that begin within the case count: a script that runs the suite may be a module."""
    (tmp_path / "runs_the_suite.py").write_text(
        "import time\nfrom refgrad.errors import CaseTimeout\nfrom refgrad.testing.runs.in_flight import CurrentCase\n"
        f"running = CurrentCase({str(results)!r}, limit=0.2)\nlate = False\n"
        "try:\n    with running.limited():\n        time.sleep(20)\nexcept CaseTimeout:\n    late = True\nrunning.close()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("runs_the_suite").late


def alone(code: str) -> subprocess.CompletedProcess[bytes]:
    """The code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_a_limit_outside_of_an_item_leaves_no_watchdog_behind(results: Path) -> None:
    """The process lives on after the time at which the watchdog would have ended it."""
    code = textwrap.dedent(f"""
        import time
        from refgrad.testing.runs import in_flight as running
        running.GRACE = 0.1
        one = running.CurrentCase({str(results)!r}, limit=0.1)
        with one.limited():
            pass
        one.close()
        time.sleep(1)
        print("lives")
    """)
    done = alone(code)
    assert done.stdout.split() == [b"lives"]


def test_what_a_killed_run_has_left_goes_with_its_results(results: Path) -> None:
    running = CurrentCase(results)
    with running.judging("an item", a_case()):
        pass
    before = unfinished_cases(results)
    move(results, results.with_name("elsewhere.jsonl"))
    assert unfinished_cases(results) == []
    assert unfinished_cases(results.with_name("elsewhere.jsonl")) == before
    move(results, results.with_name("elsewhere.jsonl"))  # of a run that left nothing
    assert unfinished_cases(results.with_name("elsewhere.jsonl")) == []
    running.close()  # of a worker that has outlived its run


def test_only_a_report_without_a_phase_is_of_a_worker_that_died() -> None:
    assert worker_died(SimpleNamespace(failed=True, when="???"))
    assert not worker_died(SimpleNamespace(failed=True, when="call"))
    assert not worker_died(SimpleNamespace(failed=False, when="???"))


def test_a_process_that_does_not_answer_is_ended_with_its_traceback(results: Path) -> None:
    code = textwrap.dedent(f"""
        import signal, time
        import tests.testing.runs.test_in_flight as t
        from refgrad.testing.runs import in_flight as running
        from refgrad.testing.runs.in_flight import CurrentCase
        running.GRACE = 0.3
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        one = CurrentCase({str(results)!r}, limit=0.3)
        with one.watched(), one.judging("an item", t.a_case()):
            def hangs(): time.sleep(60)
            hangs()
    """)
    done = alone(code)
    assert done.returncode == 1
    [found] = unfinished_cases(results)
    assert found.overdue
    assert "in hangs" in found.trace
    assert found.id == a_case().id
