"""What CI is offered: the action's script does what it says, and the documentation's Python runs."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ACTION = (ROOT / "action.yml").read_text(encoding="utf-8")
SCRIPT = textwrap.dedent(ACTION.partition("run: |\n")[2].partition("    - name:")[0])


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_action_passes_arguments_on_and_the_exit_code_back(tmp_path: Path, code: int) -> None:
    stub = tmp_path / "refgrad"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/arguments"\nexit {code}\n')
    stub.chmod(0o755)
    hostile = '$(touch "$OUT/pwned"); * `id`'
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(tmp_path / "said"),
        "OUT": "a report",
    }
    for arguments, baseline in ((f"--shard 1/4 {hostile}", "old results.jsonl"), ("", "")):
        given = {**env, "ARGUMENTS": arguments, "BASELINE": baseline}
        done = subprocess.run(
            ["/bin/bash", "-e", "-o", "pipefail", "-c", SCRIPT], env=given, cwd=tmp_path, check=False
        )
        assert done.returncode == code
        got = (tmp_path / "arguments").read_text().splitlines()
        ends = [
            "--out",
            "a report",
            "--junit",
            "a report/junit.xml",
            *(["--baseline", baseline] if baseline else []),
        ]
        assert got == ["conformance", *arguments.split(), *ends]
    assert f"exit-code={code}" in (tmp_path / "said").read_text()
    assert not list(tmp_path.rglob("pwned"))


def test_the_action_puts_no_input_into_a_script() -> None:
    scripts = re.findall(r"^ +run: (?:\|\n((?: {8}.*\n)+)|(.*)\n)", ACTION, flags=re.MULTILINE)
    assert len(scripts) == 2
    assert "${{" not in "".join(a + b for a, b in scripts)


def test_options_that_the_documentation_names_exist() -> None:
    from refgrad.cli import _parser

    text = (ROOT / "docs" / "ci-example.md").read_text(encoding="utf-8")
    actions = _parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    known = {o for command in actions.values() for a in command._actions for o in a.option_strings}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--refgrad-report"}
    assert len(named) >= 8
    assert named <= known


def test_the_python_of_the_documentation_runs() -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "ci-example.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert blocks
    for block in blocks:
        exec(compile(block, "ci-example.md", "exec"), {})  # noqa: S102  the point of the test
