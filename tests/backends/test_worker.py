"""A worker process as a backend: the protocol of the page, and what a worker may do wrong."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from refgrad import backends
from refgrad.backends import WorkerBackend
from refgrad.backends.shipped import FOLDER, SHIPPED, command
from refgrad.cli import main
from refgrad.errors import ArgumentError, WorkerError
from refgrad.graph import Graph
from refgrad.testing import Case, judge
from refgrad.testing.runs.item import examine

PAGE = Path(__file__).parents[2] / "docs" / "extend" / "worker.md"
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


def test_the_messages_of_the_page_are_those_of_the_template() -> None:
    blocks = [
        json.loads(b) for b in re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    ]
    hello, *messages = blocks
    requests, answers = messages[::2], messages[1::2]
    assert [m["id"] for m in requests] == [m["id"] for m in answers] == [1, 2]
    lines = "".join(json.dumps(m) + "\n" for m in requests)
    done = subprocess.run(
        [sys.executable, str(TEMPLATE)], input=lines, capture_output=True, text=True, timeout=60, check=True
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said == [{**hello, "version": np.__version__}, *answers]


def test_the_template_is_short_and_needs_numpy_alone() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported <= {"base64", "json", "os", "sys", "traceback", "numpy"}


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


def test_what_a_framework_lacks_is_unsupported_by_name() -> None:
    backend = WorkerBackend([sys.executable, str(TEMPLATE)])
    x = np.ones(2, "float32")
    case = Case("made", Graph.record(lambda x: np.arctan(np.exp(x)), x), {"x": x}, {"x": x}, x, "float32")
    [v] = judge(case, backend.judged(case))
    assert (v.status, v.reason, v.first_wrong) == ("unsupported", "template has no op arctan", (2, "arctan"))
    assert not backend.computes("bfloat16", "cpu")


def test_addresses() -> None:
    assert command("autograd") == [sys.executable, str(FOLDER / "autograd_worker.py")]
    assert command(f"autograd={sys.executable}") == command("autograd")
    assert command(str(TEMPLATE)) == [sys.executable, str(TEMPLATE)]
    assert command("ssh host python3 'my worker.py'") == ["ssh", "host", "python3", "my worker.py"]
    assert command("torch") == command("module:attribute") == []
    with pytest.raises(
        ArgumentError, match="there is no '/no/python'; autograd=PATH names the Python that has autograd"
    ):
        command("autograd=/no/python")
    with pytest.raises(ArgumentError, match="there is no such file"):
        command("./not_there.py")


def test_the_environment_names_the_python_of_a_framework(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nprint('7.6.5')\n")
    python.chmod(0o755)
    monkeypatch.setenv("REFGRAD_PYTHON_JAX", str(python))
    assert command("jax-jit") == [str(python), str(FOLDER / "jax_worker.py"), "jit"]
    assert command(f"jax={sys.executable}")[0] == sys.executable
    assert command("autograd")[0] == sys.executable
    assert main(["backends"]) == 0
    listed = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]}
    assert listed["jax"] == listed["jax-jit"] == "7.6.5"
    monkeypatch.setenv("REFGRAD_PYTHON_JAX", "/no/python")
    with pytest.raises(
        ArgumentError,
        match="REFGRAD_PYTHON_JAX=/no/python: there is no such file; it names the Python that has jax",
    ):
        command("jax")


def test_no_worker_imports_refgrad_and_none_is_long() -> None:
    for path in FOLDER.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (refgrad|conformance)\b", text, re.MULTILINE), path
        assert len(text.splitlines()) <= 400, path
        ast.parse(text, feature_version=(3, 10))


def test_every_shipped_worker_is_a_file_and_known() -> None:
    files = {p.name for p in FOLDER.glob("*_worker.py")} - {"template_worker.py"}
    assert files == {worker.script[0] for worker in SHIPPED.values()}
    assert SHIPPED.keys() <= set(backends.known())


def test_backends_are_listed_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends"]) == 0
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert listed.keys() == set(backends.known())
    assert "pip install autograd" in listed["autograd"]


def test_the_command_judges_a_worker(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = [
        "--family",
        "ops",
        "--dtype",
        "float32",
        "--examples",
        "30",
        "--workers",
        "0",
        "--out",
        str(out),
    ]
    assert main(["conformance", "--backend", str(TEMPLATE), *options]) == 0, capfd.readouterr()
    wrong = tmp_path / "wrong_worker.py"
    wrong.write_text(TEMPLATE.read_text(encoding="utf-8").replace("1 - y * y", "1 - y"))
    assert main(["conformance", "--backend", str(wrong), *options]) == 1
    assert "disagree at tanh" in capfd.readouterr().out
