"""Worker processes that go wrong: one case or the backend is named, and all else goes on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from refgrad.backends import WorkerBackend
from refgrad.backends.shipped import FOLDER
from refgrad.backends.worker import IN_A_ROW
from refgrad.errors import WorkerError
from refgrad.graph import Graph
from refgrad.testing import Case
from refgrad.testing.runs.item import examine

TEMPLATE = FOLDER / "template_worker.py"
FAULTY = f"""
import os, sys, time
sys.path.insert(0, {str(FOLDER)!r})
import serving

channel = serving.take_channel()
import numpy as np

how = sys.argv[1]
print("a log of its own")
if how == "import":
    import a_framework_that_is_not_there
asked = 0

def observe(case):
    global asked
    asked += 1
    if how == "marked" and case.inputs["x"][0] or how == "always":
        os._exit(7)
    if how == "parameter":
        raise serving.Unsupported("parameter", "sin.where")
    if how == "case":
        raise serving.Unsupported("case", "no arrays of three elements")
    if how == "unnamed":
        raise serving.Unsupported("weather", "rain")
    x = np.zeros(3, "float32")
    answer = {{"values": [serving.sent(x) for _ in case.nodes]}}
    if asked != 2:
        return answer
    if how == "dies":
        os.kill(os.getpid(), 9)
    if how == "exits":
        os._exit(7)
    if how == "hangs":
        time.sleep(600)
    if how == "garbage":
        channel.writing.write("garbage\\n")
        channel.writing.flush()
    if how == "another":
        channel.send({{"id": 77, **answer}})
    if how == "short":
        return {{"values": answer["values"][1:]}}
    if how == "no array":
        return {{"values": [1.0 for _ in case.nodes]}}
    if how == "parts":
        return {{**answer, "parts": [[9, 0, None]]}}
    if how == "closes":
        os.close(channel.writing.fileno())
        time.sleep(600)
    raise ValueError("of the framework")

channel.serve({{"framework": "faulty", "version": "1", "ops": ["sin"], "dtypes": {{"cpu": ["float32"]}},
                "modes": {{"value": "call"}}, **({{"ops": ["no such op"]}} if how == "hello" else {{}})}}, observe)
"""


@pytest.fixture
def faulty(tmp_path: Path) -> Callable[[str], WorkerBackend]:
    """Makes a worker that goes wrong in its second case, in the way that is named."""
    file = tmp_path / "faulty.py"
    file.write_text(FAULTY)
    made: list[WorkerBackend] = []

    def make(how: str) -> WorkerBackend:
        made.append(WorkerBackend([sys.executable, str(file), how], case_limit=3.0))
        return made[-1]

    yield make
    for backend in made:
        backend.process.kill()


def sine(dtype: str = "float32") -> Case:
    x = np.zeros(3, dtype)
    return Case("made", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, dtype)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("dies", "the worker was ended by signal 9"),
        ("exits", "the worker ended with exit code 7"),
        ("hangs", "the worker did not answer within 3 s and was ended"),
        ("garbage", "the worker wrote a line that is no JSON: 'garbage"),
        ("another", "the worker answered case 77, and was asked case 2"),
        ("short", "values has 1 entries; the graph has 2 nodes"),
        ("no array", "an array is an object with dtype, shape and base64; got 1.0"),
        (
            "parts",
            "parts lists [user, position of the operand, array] for operands of the graph; got [9, 0, None]",
        ),
        ("closes", "the worker closed its output and was ended"),
        ("raises", "ValueError: of the framework"),
    ],
)
def test_a_fault_costs_one_case_and_is_named(
    faulty: Callable[[str], WorkerBackend], how: str, words: str
) -> None:
    backend = faulty(how)
    found = [examine(sine(), backend.judged)[0] for _ in range(3)]
    assert [v.status for v in found] == ["agree", "error", "agree"]
    assert found[1].reason.startswith(words)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PYTHONIOENCODING", "utf-16"),
        ("PYTHONWARNINGS", "error"),
        ("PYTHONINSPECT", "1"),
        ("PYTHONSAFEPATH", "1"),
        ("PYTHONHOME", "/nowhere"),
    ],
)
def test_settings_of_this_python_do_not_reach_a_worker(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Warnings as errors made cases of the template fail; another encoding made every message unreadable."""
    monkeypatch.setenv(variable, value)
    backend = WorkerBackend([sys.executable, str(TEMPLATE)])
    x = np.array([0.0, 1e38], "float32")
    case = Case("made", Graph.record(lambda x: x * x * x, x), {"x": x}, {"x": x}, x, "float32")  # overflows
    found = examine(case, backend.judged)
    backend.process.kill()
    assert not [v.reason for v in found if v.failed]
    assert len(found) >= 3


def test_a_late_case_is_not_run_again(faulty: Callable[[str], WorkerBackend]) -> None:
    backend = faulty("hangs")
    found = [examine(sine(), backend.judged)[0] for _ in range(2)]
    assert [v.repeatable for v in found] == [True, False]


def test_a_deadline_holds_for_a_worker_that_does_not_read(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        TEMPLATE.read_text(encoding="utf-8").replace(
            "for line in sys.stdin:", "import time; time.sleep(600)\n    for line in sys.stdin:"
        )
    )
    backend = WorkerBackend([sys.executable, str(deaf)], case_limit=1.0)
    x = np.zeros(2**17, "float32")
    seen = backend.judged(Case("made", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, "float32"))
    assert seen.unavailable["value"].words == "the worker did not answer within 1 s and was ended"


def test_a_limit_of_the_run_is_the_deadline_of_the_process(faulty: Callable[[str], WorkerBackend]) -> None:
    backend = faulty("hangs")
    backend.limit(0.5)
    backend.judged(sine())
    assert examine(sine(), backend.judged)[0].reason.startswith(
        "the worker did not answer within 0.5 s and was ended"
    )


def test_a_worker_without_answers_is_given_up(faulty: Callable[[str], WorkerBackend]) -> None:
    backend = faulty("always")
    reasons = [examine(sine(), backend.judged)[0].reason for _ in range(IN_A_ROW + 2)]
    assert reasons[:IN_A_ROW] == ["the worker ended with exit code 7; it said:"] * IN_A_ROW
    given_up = f"the worker is not asked any more after {IN_A_ROW} cases in a row without an answer"
    assert set(reasons[IN_A_ROW:]) == {
        f"{given_up}; the last time: the worker ended with exit code 7; it said:"
    }
    assert not backend.process.alive


def test_cases_that_end_a_worker_do_not_give_it_up(faulty: Callable[[str], WorkerBackend]) -> None:
    """After some of them in a row, a case that was answered before is answered again."""
    backend = faulty("marked")
    x = np.ones(3, "float32")
    marked = Case("made", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, "float32")
    assert examine(sine(), backend.judged)[0].status == "agree"
    assert {examine(marked, backend.judged)[0].status for _ in range(2 * IN_A_ROW + 1)} == {"error"}
    assert examine(sine(), backend.judged)[0].status == "agree"


def test_a_worker_is_ended_with_the_processes_that_it_started() -> None:
    backend = WorkerBackend(["sh", "-c", f"{sys.executable} {TEMPLATE}; exit 0"])
    backend.suspend()
    assert not backend.process.alive
    backend.judged(sine())
    assert backend.process._running is not None
    group = backend.process._running.pid
    backend.process.kill()
    until = time.monotonic() + 60
    while _there(group):  # a child that has no parent any more is reaped by the system
        assert time.monotonic() < until
        time.sleep(0.01)


def _there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("parameter", "unsupported", "faulty has no parameter sin.where"),
        ("case", "unsupported", "no arrays of three elements"),
        (
            "unnamed",
            "error",
            "unsupported is an object of one of ['op', 'dtype', 'parameter', 'case'] with a text",
        ),
    ],
)
def test_what_is_unsupported_has_a_name(
    faulty: Callable[[str], WorkerBackend], how: str, status: str, words: str
) -> None:
    [v] = examine(sine(), faulty(how).judged)
    assert v.status == status
    assert v.reason.startswith(words)


def test_what_a_worker_printed_is_in_the_message(faulty: Callable[[str], WorkerBackend]) -> None:
    backend = faulty("exits")
    backend.judged(sine())
    assert "a log of its own" in examine(sine(), backend.judged)[0].message


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("import", "No module named 'a_framework_that_is_not_there'"),
        ("hello", "the hello names ops that refgrad does not have, in ops: \\['no such op'\\]"),
    ],
)
def test_a_worker_that_does_not_start_is_an_error_at_once(
    faulty: Callable[[str], WorkerBackend], how: str, words: str
) -> None:
    with pytest.raises(WorkerError, match=words):
        _ = faulty(how).hello


def test_a_caller_s_time_limit_ends_the_process(faulty: Callable[[str], WorkerBackend]) -> None:
    """An exception that interrupts the wait must not leave an answer behind that is taken for the next one."""
    backend = faulty("hangs")
    backend.judged(sine())

    class Limit(BaseException):
        pass

    def interrupted(*_: object) -> None:
        raise Limit

    backend.process._next = interrupted  # type: ignore[method-assign]
    with pytest.raises(Limit):
        backend.observe(sine())
    assert not backend.process.alive
