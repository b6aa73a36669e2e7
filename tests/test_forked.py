"""A script in a copy of a process ends as it would in a process of its own, and leaves nothing behind for the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests import forked

ENDS = {
    "print(__name__)": (0, "__main__\n", ""),
    "import sys; print(sys.argv[1:]); raise SystemExit(3)": (3, "['a', 'b']\n", ""),
    "raise SystemExit('no')": (1, "", ""),
    "raise SystemExit": (0, "", ""),
    "1 / 0": (1, "", "ZeroDivisionError: division by zero"),
    "import os; os.abort()": (-6, "", ""),
    "import beside; print(beside.WHERE)": (0, "here\n", ""),
}


@pytest.mark.parametrize("text", ENDS)
def test_a_script_ends_as_in_a_process_of_its_own(text: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(text)
    (tmp_path / "beside.py").write_text("WHERE = 'here'")
    done = forked.run(script, "a", "b", folder=tmp_path)
    code, out, err = ENDS[text]
    assert (done.returncode, done.stdout) == (code, out)
    assert err in done.stderr


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import torch\nprint(hasattr(torch, 'planted'))\ntorch.planted = 1\n")
    assert [forked.run(script, folder=tmp_path).stdout for _ in range(2)] == ["False\n"] * 2
