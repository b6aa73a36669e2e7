"""The command: exit codes, messages, files."""

from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.families import FAMILIES
from refgrad.bounds.formats import FORMATS
from refgrad.cli import main
from refgrad.graph import Graph
from refgrad.suite.scope import LECTURES, TEXTBOOK
from refgrad.testing import Case
from tests.whole_runs import WholeRun


def test_help_and_version(capsys) -> None:
    assert main([]) == 2
    assert "conformance" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("refgrad 0.")


def test_the_package_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "refgrad", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refgrad 0.")
    assert subprocess.run([sys.executable, "-m", "refgrad"], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(
    ("option", "names"), [("--dtype", tuple(FORMATS)), ("--family", (*FAMILIES, TEXTBOOK, LECTURES))]
)
def test_help_lists_what_an_option_takes(capsys, option: str, names: tuple[str, ...]) -> None:
    """The help loads neither NumPy nor the suite, so it repeats their names."""
    with pytest.raises(SystemExit):
        main(["conformance", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    listed = text.rpartition(f" {option} NAME ")[2].partition(" (repeatable")[0]
    assert listed.replace(" or ", ", ").split(", ") == list(names)


def test_wrong_use_is_exit_code_2(capsys) -> None:
    for arguments in (
        ["conformance", "--dtype", "float8"],
        ["conformance", "--examples", "0"],
        ["frobnicate"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--workers", "-1", "expected a whole number from 0 on, got '-1'"),
        ("--workers", "many", "expected a whole number from 0 on, got 'many'"),
        ("--examples", "1.5", "expected a whole number from 1 on, got '1.5'"),
        ("--examples", "9" * 5000, "expected a whole number from 1 on"),
        ("--seed", "-5", "expected a whole number from 0 to 2^63 - 1, got '-5'"),
        ("--seed", str(2**63), "expected a whole number from 0 to 2^63 - 1, got '9223372036854775808'"),
        ("--seed", "1.5", "expected a whole number from 0 to 2^63 - 1, got '1.5'"),
        ("--examples", "0", "expected a whole number from 1 on, got '0'"),
        ("--time-limit", "nan", "expected seconds, 0 or more, got 'nan'"),
        ("--time-limit", "soon", "expected seconds, 0 or more, got 'soon'"),
        ("--out", "", "expected the name of a folder, got an empty one"),
        ("--junit", "", "expected the name of a file, got an empty one"),
        ("--baseline", "", "expected the name of a file, got an empty one"),
        ("--for", "2", "expected a time such as 90s, 30m or 2h, got '2'"),
        ("--for", "0s", "expected a time such as 90s, 30m or 2h, got '0s'"),
        ("--for", "1d", "expected a time such as 90s, 30m or 2h, got '1d'"),
        ("--max-failures", "0", "expected a whole number from 1 on, got '0'"),
        ("--dtype", "float8", f"expected one of {', '.join(FORMATS)}, got 'float8'"),
    ],
)
def test_a_value_that_is_none_is_said_in_words(capsys, option: str, value: str, said: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["conformance", f"{option}={value}"])
    assert stop.value.code == 2
    assert f"argument {option}: {said}" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--load={}", "--replace=softmax={}:f", "--backend={}:Backend"])
@pytest.mark.parametrize("leaves", ["sys.exit(0)", "pytest.skip('no GPU', allow_module_level=True)"])
def test_a_module_that_leaves_during_its_import_is_wrong_use(
    capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, leaves: str
) -> None:
    """Its exit code 0 would be that of the run, of which no case was judged."""
    pytest.importorskip("torch")
    name = f"leaves_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(f"import sys, pytest\n{leaves}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["conformance", option.format(name), "--op", "softmax", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "SystemExit: 0" in said or "Skipped: no GPU" in said
    assert name in said


def test_an_exit_from_outside_is_no_verdict(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(_: object) -> int:
        raise SystemExit(0)

    monkeypatch.setattr("refgrad.cli._ops", leave)
    assert main(["ops"]) == 3
    assert "ended by SystemExit(0)" in capsys.readouterr().err


def test_a_name_that_is_too_long_is_said(capsys) -> None:
    pytest.importorskip("torch")
    options = ["--backend", "tests.suite.faulty_backend:Faulty", "--family", "graphs", "--examples", "1"]
    assert main(["conformance", *options, "--out", "a" * 300]) == 3
    assert "File name too long" in capsys.readouterr().err


def test_an_empty_shard_is_wrong_use(capsys, tmp_path: Path) -> None:
    """A pipeline whose variable is not set would run the whole suite on each machine."""
    options = ["--backend", "tests.suite.faulty_backend:Faulty", "--family", "graphs", "--examples", "1"]
    assert main(["conformance", *options, "--shard", "", "--out", str(tmp_path)]) == 2
    assert "a shard is written I/N" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("stream", "code"), [("stdout", 3), ("stderr", 0)])
def test_a_full_disk_behind_a_stream_is_no_traceback(stream: str, code: int) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        done = subprocess.run([sys.executable, "-m", "refgrad", "ops"], **streams, text=True, check=False)
    assert done.returncode == code
    assert done.stderr in (None, "refgrad: standard output: cannot be written: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_wrong_use_is_exit_code_2_also_where_nobody_can_be_told() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        for options in (["repro", "/nowhere"], ["frobnicate"], ["report", "/nowhere"]):
            one = [sys.executable, "-m", "refgrad", *options]
            assert subprocess.run(one, stderr=full, check=False).returncode == 2


def test_what_no_device_computes_in_is_said(capsys) -> None:
    pytest.importorskip("torch")
    assert main(["conformance", "--dtype", "tf32", "--device", "cpu"]) == 2  # said, not passed over
    assert "none of the devices ['cpu'] computes in it" in capsys.readouterr().err


def test_the_table_of_ops(capsys) -> None:
    assert main(["ops"]) == 0
    out = capsys.readouterr().out
    assert "tanh" in out
    assert "matmul" in out


def test_a_mistyped_option_is_told_by_its_command(capsys) -> None:
    for given, said in (
        (["conformance", "--exampels", "3"], "--exampels 3; did you mean --examples?"),
        (["report", "r.jsonl", "--junti=x.xml"], "--junti=x.xml; did you mean --junit?"),
        (["ops", "tanh"], "unrecognized arguments: tanh\n"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(given)
        err = capsys.readouterr().err
        assert err.startswith(f"usage: refgrad {given[0]} ")
        assert said in err
    with pytest.raises(SystemExit, match="2"):
        main(["--vresion"])
    assert "did you mean --version?" in capsys.readouterr().err


def test_an_unknown_family_is_named(capsys, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert main(["conformance", "--family", "frogs", "--out", str(tmp_path)]) == 2
    assert "no family named ['frogs']" in capsys.readouterr().err
    assert main(["conformance", "--family", "op", "--out", str(tmp_path)]) == 2
    assert "no family named ['op']; did you mean ops? there are" in capsys.readouterr().err


def test_a_missing_device_is_exit_code_3_by_name(capsys, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert main(["conformance", "--device", "xpu", "--out", str(tmp_path)]) == 3
    assert "device 'xpu'" in capsys.readouterr().err
    assert not (tmp_path / "results.jsonl").exists()


@pytest.mark.parametrize("name", ["cpu:7", "cpu:0"])
def test_a_cpu_with_a_number_is_refused(capsys, tmp_path: Path, name: str) -> None:
    pytest.importorskip("torch")
    small = ["--family", "matmul", "--dtype", "float64", "--examples", "1", "--workers", "0"]
    assert main(["conformance", "--device", name, *small, "--out", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert f"device {name!r} was asked for, but torch counts no CPUs: there is one, named 'cpu'" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["the file", '"type":"run"', '"type":"plan"'])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_that_cannot_write_its_results_is_exit_code_3(
    capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, workers: str
) -> None:
    """A disk without room for the file, for its first line, or for the names of what is to run."""
    pytest.importorskip("torch")
    opened, write = os.open, os.write

    def full_for_files(path: object, *rest: Any) -> int:
        return no_room() if str(path).endswith("results.jsonl") else opened(path, *rest)

    def full_for_lines(descriptor: int, data: bytes) -> int:
        return no_room() if missing.encode() in data else write(descriptor, data)

    def no_room() -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    if missing == "the file":
        monkeypatch.setattr(os, "open", full_for_files)
    else:
        monkeypatch.setattr(os, "write", full_for_lines)
    small = ["--family", "matmul", "--dtype", "float64", "--device", "cpu", "--examples", "2"]
    assert main(["conformance", *small, "--workers", workers, "--out", str(tmp_path / "full")]) == 3
    assert "results.jsonl: cannot be written: No space left on device" in capsys.readouterr().err


@pytest.mark.long
def test_a_short_run_agrees_and_leaves_report_and_results(clean_run: WholeRun, tmp_path: Path) -> None:
    assert clean_run.code == 0, clean_run.stdout + clean_run.stderr
    page, again = clean_run.out / "report.html", tmp_path / "again.html"
    assert f"report: {page}" in clean_run.stdout
    lines = clean_run.lines()
    assert (lines[0]["type"], lines[-1]["type"], lines[-1]["exit"]) == ("run", "end", 0)
    assert sum(line.get("elements", 0) for line in lines) > 1000
    assert main(["report", str(clean_run.results), "--out", str(again)]) == 0
    assert again.read_bytes() == page.read_bytes()
    packed = gzip.decompress((clean_run.out / "results.jsonl.gz").read_bytes()).splitlines()
    assert sorted(packed) == sorted(clean_run.results.read_bytes().splitlines())


def test_repro_prints_every_verdict(capsys, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    x = np.array([1.0, 2.0])
    case = Case("graphs", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, "float64")
    (tmp_path / "case.json").write_text(case.to_json())
    assert main(["repro", str(tmp_path / "case.json")]) == 0
    out = capsys.readouterr().out
    assert case.id in out
    assert out.count(": agree") == 5
    assert "node 1  sin of 0" in out
    assert main(["repro", str(tmp_path / "case.json"), "--script"]) == 2  # there is nothing to show
    assert "no failure to write a script of (value: agree" in capsys.readouterr().err


def test_repro_prints_a_script_and_marks_the_first_wrong_node(capsys) -> None:
    pytest.importorskip("torch")
    from tests.recorded import any_fault

    path, [op, *_] = any_fault().case, sorted(any_fault().ops)
    assert main(["repro", str(path)]) == 1
    assert "<- FIRST WRONG" in capsys.readouterr().out
    assert main(["repro", str(path), "--script"]) == 1
    text = capsys.readouterr().out
    assert op in text
    with pytest.raises(SystemExit) as stop:
        exec(compile(text, "script", "exec"), {})  # noqa: S102  the point of the test
    assert stop.value.code == 1


def test_a_case_for_a_device_that_is_missing_is_exit_code_3_and_for_a_dtype_it_lacks_2(
    capsys, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    x = np.array([1.0, 2.0])
    case = Case("graphs", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, "float64", device="xpu\x1b[2J")
    (tmp_path / "case.json").write_text(case.to_json())
    for device in ([], ["--device", "cpu:many"], ["--device", ""], ["--device", "nn"]):
        assert main(["repro", str(tmp_path / "case.json"), *device]) == 3
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("refgrad: device ")
        assert captured.err.count("\n") == 1
    (tmp_path / "case.json").write_text(replace(case, dtype="tf32").to_json())
    assert main(["repro", str(tmp_path / "case.json"), "--device", "cpu"]) == 2
    assert "its dtype is 'tf32', in which device 'cpu' does not compute" in capsys.readouterr().err


def test_a_case_is_named_before_it_can_end_the_process(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = Path(__file__).parents[1] / "conformance" / "deviations" / "forward-maximum.json"
    code = "import os, refgrad.torch.observe as o; o.observe = lambda *_: os.abort(); from refgrad.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "repro", str(path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == -signal.SIGABRT
    assert done.stdout == f"case {Case.load(path).id}: family deviations, float64 on cpu, 3 nodes\n"


def test_names_in_a_case_cannot_reach_the_terminal(capsys, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    x = np.array([1.0, 2.0])
    hostile = "\x1b[2J\n::error::x\u202e"
    case = Case(hostile, Graph.record(np.sin, x), {"x": x}, {"x": x}, x, "float64")
    (tmp_path / "case.json").write_text(case.to_json().replace('"x"', json.dumps(f"x{hostile}")))
    assert main(["repro", str(tmp_path / "case.json")]) == 0
    out = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in out)
    assert not any(line.startswith("::") for line in out.splitlines())


def test_an_interrupt_proves_nothing(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("refgrad.cli._ops", interrupted)
    assert main(["ops"]) == 3
    assert capsys.readouterr().err == "refgrad: interrupted\n"


def test_what_an_error_quotes_is_one_line_of_plain_text(capsys, tmp_path: Path) -> None:
    (tmp_path / "r").write_text('{"type":"run","schema":99,"refgrad":"\\u001b[2J\\n::error::x"}\n')
    assert main(["report", str(tmp_path / "r")]) == 2
    said = capsys.readouterr().err
    assert "written by refgrad  [2J ::error::x;" in said
    assert said.count("\n") == 1


def test_a_malformed_case_file_is_exit_code_2(capsys, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "case.json").write_text("{}")
    assert main(["repro", str(tmp_path / "case.json")]) == 2
    assert "case.json" in capsys.readouterr().err
