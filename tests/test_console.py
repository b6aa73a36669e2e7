"""What a command prints reaches any terminal as text, and a pipe that is closed is no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refgrad import console

ROOT = Path(__file__).parents[1]


def command(code: str) -> list[str]:
    return [sys.executable, "-c", f"from refgrad import console; console.use_substitutes(); {code}"]


def run(code: str, **around: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **around}
    return subprocess.run(command(code), env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", "7.8e−16 ± 2 …\n"), ("latin-1", "7.8e-16 ± 2 ~\n"), ("ascii", "7.8e-16 +- 2 ~\n")]
)  # fmt: skip
def test_signs_that_a_terminal_lacks_are_written_in_plain_letters(encoding: str, expected: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    done = subprocess.run(command("print('7.8e−16 ± 2 …')"), env=env, capture_output=True, check=True)
    assert done.stdout.decode(encoding) == expected


def test_a_sign_without_a_plain_one_is_a_question_mark() -> None:
    assert run("print('漢')", PYTHONIOENCODING="ascii").stdout == "?\n"


def test_a_reader_who_has_left_is_no_fault() -> None:
    code = "import time; time.sleep(1); print('again', console.print_text('x' * 100_000) == '', file=__import__('sys').stderr); print('y')"
    writer = subprocess.Popen(
        command(code), env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.close()
    assert writer.stderr.read() == "again True\n"
    writer.stderr.close()
    assert writer.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_is_said() -> None:
    code = "print(console.print_text('x'), file=__import__('sys').stderr)"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command(code), env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr == "No space left on device\n"
    assert done.returncode == 0


def test_text_is_shown_and_not_obeyed() -> None:
    hostile = "a\x1b[2J\x07\x9b\u202eb\tc\r\n::error::x\u2028y\ud800"
    assert console.printable(hostile) == "a [2J   b c\n::error::x\ny "
    assert console.printable_line(hostile) == "a [2J   b c ::error::x y "


@pytest.mark.skipif(os.name == "nt", reason="a shell of Windows closes no stream")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_a_closed_stream_is_the_null_device_here_and_in_children(
    tmp_path: Path, closed: tuple[int, ...]
) -> None:
    """Without this the first file of a run would take the number of the stream, and children would find it closed."""
    told = tmp_path / "told"
    children = "import os, subprocess, sys; [os.fstat(k) for k in range(3)]"
    code = (
        "import os, subprocess, sys; from refgrad import console; console.open_streams(); "
        "null = os.stat(os.devnull).st_rdev; "
        "found = [k for k in range(3) if os.fstat(k).st_rdev == null]; "
        "print('x', flush=True); print('x', file=sys.stderr, flush=True); "
        f"ended = subprocess.run([sys.executable, '-c', {children!r}]).returncode; "
        f"open({str(told)!r}, 'w').write(repr((found, ended, None in (sys.stdin, sys.stdout, sys.stderr))))"
    )

    def close() -> None:
        for number in closed:
            os.close(number)

    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    one = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.Popen(one, env=env, preexec_fn=close, **streams).communicate()  # noqa: PLW1509  no threads here
    assert told.read_text() == repr((list(closed), 0, False))


def test_streams_are_kept_whatever_is_done_to_them() -> None:
    done = run(
        "import os, sys\n"
        "from refgrad.console import kept_streams\n"
        "with kept_streams():\n"
        "    os.close(1)\n"
        "    sys.stderr.flush()\n"
        "    sys.stdout = sys.stderr = None\n"
        "print('here')\n"
        "print('there', file=sys.stderr)\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "here\n", "there\n")
