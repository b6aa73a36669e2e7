"""A worker process as a backend: the protocol of the page, addresses, and the commands that judge one."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from refgrad import backends
from refgrad.backends import WorkerBackend
from refgrad.backends.messages import Hello
from refgrad.backends.shipped import FOLDER, SHIPPED, command, variable
from refgrad.cli import main
from refgrad.errors import ArgumentError, WorkerError
from refgrad.graph import Graph
from refgrad.report import load
from refgrad.testing import Case, judge

PAGE = Path(__file__).parents[2] / "docs" / "extend" / "worker.md"
TEMPLATE = FOLDER / "template_worker.py"


@pytest.fixture(autouse=True)
def this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """No framework is in another Python, and a run judges no mutant, which no worker is asked for."""
    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k 'test_family or test_case'")
    for name in SHIPPED:
        monkeypatch.delenv(variable(name), raising=False)


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
    assert len(text.splitlines()) < 160
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported <= {"base64", "json", "os", "sys", "traceback", "numpy"}


@pytest.mark.parametrize(
    "field", ["flushing", "flushing_products", "storing_sums", "storing_broadcasts", "stored_reciprocal"]
)
def test_a_profile_lists_formats_that_refgrad_knows(field: str) -> None:
    hello = {
        "schema": 1,
        "framework": "made",
        "version": "1",
        "dtypes": {"cpu": []},
        "modes": {"value": "call"},
    }
    read = Hello.read({**hello, "profile": {field: ["float16"]}})
    assert getattr(read.profile, field) == {"float16"}
    with pytest.raises(WorkerError, match=f"the profile's {field} names unknown formats \\['float17'\\]"):
        Hello.read({**hello, "profile": {field: ["float17"]}})


def test_what_a_framework_lacks_is_unsupported_by_name() -> None:
    backend = WorkerBackend([sys.executable, str(TEMPLATE)])
    x = np.ones(2, "float32")
    case = Case("made", Graph.record(lambda x: np.arctan(np.exp(x)), x), {"x": x}, {"x": x}, x, "float32")
    [v] = judge(case, backend.judged(case))
    assert (v.status, v.reason, v.first_wrong) == ("unsupported", "template has no op arctan", (2, "arctan"))
    assert not backend.computes("bfloat16", "cpu")


def test_an_address_is_a_name_a_python_a_file_or_a_command() -> None:
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
    found = importlib.util.find_spec("autograd") is not None
    assert found or "pip install autograd" in listed["autograd"]


def options(out: Path, examples: int) -> list[str]:
    chosen = [
        "--family",
        "ops",
        "--dtype",
        "float32",
        "--examples",
        str(examples),
        "--workers",
        "0",
        "--out",
        str(out),
    ]
    return ["conformance", *chosen]


def at_the_third_case(file: Path, fault: str) -> Path:
    """The template with a fault in the third request."""
    text = TEMPLATE.read_text(encoding="utf-8")
    place = "        request = json.loads(line)\n"
    assert place in text
    file.write_text(text.replace(place, f"{place}        if request['id'] == 3:\n            {fault}\n"))
    return file


def test_the_command_judges_a_worker(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    right = options(tmp_path / "out", 30)
    assert main([*right, "--backend", str(TEMPLATE)]) == 0, capfd.readouterr()
    wrong = tmp_path / "wrong_worker.py"
    wrong.write_text(TEMPLATE.read_text(encoding="utf-8").replace("1 - y * y", "1 - y"))
    assert main([*right, "--backend", str(wrong)]) == 1
    assert "disagree at tanh" in capfd.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("os.kill(os.getpid(), 9)", "the worker was ended by signal 9"),
        ("import time; time.sleep(600)", "time limit: no verdict after 2.0 s"),
    ],
)
def test_a_run_loses_one_case_to_a_worker_that_dies_or_hangs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    worker = at_the_third_case(tmp_path / "worker.py", fault)
    assert main([*options(tmp_path / "out", 12), "--backend", str(worker), "--time-limit", "2"]) == 1, (
        capfd.readouterr()
    )
    lines = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    results = [r for line in lines if (r := json.loads(line))["type"] == "result" and r["family"] == "ops"]
    failed = [r["reason"] for r in results if r["status"] == "error"]
    assert [reason.startswith(words) for reason in failed] == [True], failed
    assert len({r["id"] for r in results}) == 12
    assert {r["status"] for r in results} <= {"agree", "undecided", "error"}


def test_a_worker_that_dies_at_import_ends_the_command_with_its_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(f"import a_framework_that_is_not_there\n{TEMPLATE.read_text(encoding='utf-8')}")
    assert main([*options(tmp_path / "out", 12), "--backend", str(worker)]) == 2
    assert "No module named 'a_framework_that_is_not_there'" in capsys.readouterr().err


def test_a_run_that_judges_nothing_proves_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    worker = tmp_path / "worker.py"
    text = TEMPLATE.read_text(encoding="utf-8")
    place = 'observe(request["case"])'
    worker.write_text(
        text.replace(place, f'{place} if request["id"] > 99 else {{"unsupported": {{"case": "not today"}}}}')
    )
    assert main([*options(tmp_path / "out", 5), "--backend", str(worker)]) == 3
    assert "not today" in capfd.readouterr().out


def test_repro_names_the_worker_of_a_run_and_starts_it_where_it_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    worker = tmp_path / "wrong_worker.py"
    worker.write_text(TEMPLATE.read_text(encoding="utf-8").replace("1 - y * y", "1 - y"))
    assert main([*options(tmp_path / "out", 30), "--backend", str(worker)]) == 1
    results = str(tmp_path / "out" / "results.jsonl")
    found = next(r.id for r in load(Path(results)).results if r.status == "disagree")
    assert main(["repro", results, "--id", found]) == 2
    said = capfd.readouterr().err
    assert f"'template', started by {sys.executable} {worker}" in said.replace("\n", " ")
    assert main(["repro", results, "--id", found, "--backend", str(worker)]) == 1
    again = [
        *options(tmp_path / "out", 30)[:1],
        "--last-failed",
        "--workers",
        "0",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*again, "--backend", str(worker)]) == 1
    assert main([*again, "--backend", str(TEMPLATE)]) == 0


@pytest.fixture(scope="module")
def serving() -> Any:
    """The module that workers share."""
    spec = importlib.util.spec_from_file_location("serving", FOLDER / "serving.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_given(x: float | None) -> float | None:
    return x


def test_derivatives_are_sent_by_node_and_by_use(serving: Any) -> None:
    case = SimpleNamespace(nodes=[None] * 3)
    bars = {(0, -1): 1.0, (2, -1): 2.0, (2, 0): 3.0, (2, 1): 4.0}
    cotangents, parts = [1.0, None, 2.0], [[2, 0, 3.0], [2, 1, 4.0]]
    assert serving.derivatives(case, bars, sent=as_given) == {"cotangents": cotangents, "parts": parts}
    found = serving.derivatives(case, bars, {1: 5.0}, as_given)
    assert found == {"cotangents": cotangents, "parts": parts, "tangents": [None, 5.0, None]}
    message = serving.sent(np.float32(1.0))
    assert serving.derivatives(case, {(1, -1): np.float32(1.0)})["cotangents"] == [None, message, None]


def test_a_framework_refuses_in_its_own_words_alone(serving: Any) -> None:
    """A NotImplementedError of another origin, a subclass, or the words in another exception are faults."""

    class OtherError(NotImplementedError):
        pass

    words = "VJP of sort not defined"
    failed = serving.Failed(3)
    failed.__cause__ = NotImplementedError(words)
    assert serving.refused(NotImplementedError(words), "JVP of", "VJP of")
    assert serving.refused(failed, "VJP of")
    for error in (
        NotImplementedError(),
        NotImplementedError("a kernel"),
        ValueError(words),
        OtherError(words),
    ):
        assert not serving.refused(error, "JVP of", "VJP of"), repr(error)
