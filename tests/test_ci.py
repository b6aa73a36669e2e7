"""The files for CI and releases: the action and its steps, the workflows, the check of a release, the forms for issues."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

import refgrad

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts under test are Bash scripts")

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


def test_actions_of_others_are_pinned_to_a_commit() -> None:
    files = [ROOT / "action.yml", *(ROOT / ".github" / "workflows").glob("*.yml")]
    used = [line for file in files for line in re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))]
    pinned = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/workflows/\w+\.yml")
    assert len(used) > 5
    assert [line for line in used if not pinned.fullmatch(line)] == []


# --- this project's own ---------------------------------------------------------------------------------------------------

RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TESTS, FIRST = "python3 -m pip install nox && python3 -m nox -s tests", "python3 -m nox -s conformance"


def stubbed(folder: Path, broken: str = "") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """`.ci/run` with a python3 that only says how it was called; a call with ``broken`` in it fails."""
    (folder / "bin").mkdir()
    said = folder / "said"
    failing = f'case "$*" in *"{broken}"*) exit 1;; esac\n' if broken else ""
    stub = f"""#!/bin/sh
[ "$2" = venv ] && exit 1
echo "$* PIP_CONSTRAINT=$PIP_CONSTRAINT REFGRAD_TORCH=$REFGRAD_TORCH" >> "{said}"
{failing}echo "7 passed in 1s"
"""
    (folder / "bin" / "python3").write_text(stub)
    (folder / "bin" / "python3").chmod(0o755)
    env = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "REFGRAD_TORCH": "torch==2.13.0",
    }  # fmt: skip
    done = subprocess.run(
        ["/bin/bash", str(ROOT / ".ci" / "run")], env=env, capture_output=True, text=True, check=False
    )
    return done, said.read_text().splitlines()


def test_the_whole_check_runs_the_tests_pinned_and_the_first_command_unpinned(tmp_path: Path) -> None:
    done, (install, tests, first) = stubbed(tmp_path)
    assert done.returncode == 0, done.stderr
    assert install.startswith("-m pip install nox ")
    pinned = f"PIP_CONSTRAINT={ROOT}/.ci/constraints.txt REFGRAD_TORCH=torch==2.13.0"
    assert tests == f"-m nox -s tests {pinned}"
    # An environment of its own: nox keeps environments, and the one before has torch pinned.
    assert re.fullmatch(
        r"-m nox --envdir \S+ -s conformance -- --examples \d+ PIP_CONSTRAINT= REFGRAD_TORCH=",
        first,
    )
    assert done.stdout.splitlines()[-1] == "7 passed in 1s"


@pytest.mark.parametrize("broken", ["pip install", "nox -s tests", "conformance"])
def test_the_whole_check_fails_where_a_part_of_it_does(tmp_path: Path, broken: str) -> None:
    assert stubbed(tmp_path, broken)[0].returncode != 0


def test_the_whole_check_is_what_the_readme_tells() -> None:
    assert TESTS in README
    assert TESTS in RUN
    assert FIRST in README


def workflow(name: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return dict(yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")))


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step["run"] for step in job["steps"] if "run" in step)


def test_ci_runs_the_tests_pinned_and_the_first_command_unpinned() -> None:
    jobs = workflow("ci.yml")["jobs"]
    assert TESTS in commands(jobs["tests"])
    assert f"{FIRST} --" in commands(jobs["newest"])
    assert "PIP_CONSTRAINT" not in str(jobs["newest"])
    assert "REFGRAD_TORCH" not in str(jobs["newest"])
    assert {"tests", "conformance", "newest"} <= {*jobs["passed"]["needs"]}


def test_a_nightly_run_meets_the_newest_torch_in_shards_of_one_seed() -> None:
    nightly = workflow("nightly.yml")
    assert nightly[True]["schedule"]  # YAML takes "on" for true
    judge, report = nightly["jobs"]["conformance"], nightly["jobs"]["report"]
    shards = judge["strategy"]["matrix"]["shard"]
    assert f'--profile nightly --seed "$GITHUB_RUN_NUMBER" --shard "$SHARD/{len(shards)}"' in commands(judge)
    assert shards == list(range(1, len(shards) + 1))
    assert "PIP_CONSTRAINT" not in str(nightly)
    assert "REFGRAD_TORCH" not in str(nightly)
    assert report["needs"] == "conformance"
    assert "shards/*/results.jsonl.gz" in commands(report)


def test_ci_measures_coverage_and_tries_other_systems() -> None:
    jobs = workflow("ci.yml")["jobs"]
    assert "nox -s coverage" in commands(jobs["coverage"])
    assert jobs["platforms"]["strategy"]["matrix"]["os"] == ["macos-latest", "windows-latest"]
    # Platforms are not needed until they have passed once.
    assert {*jobs} - {"passed", "platforms"} == {*jobs["passed"]["needs"]}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    systems = [c for c in settings["project"]["classifiers"] if c.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]
    assert settings["tool"]["coverage"]["run"]["branch"]
    assert settings["tool"]["coverage"]["report"]["fail_under"] > 0


# --- a release ---


def needed(jobs: dict[str, Any], name: str) -> set[str]:
    """The jobs that have to pass before this one, directly or through others."""
    asked = jobs[name].get("needs", [])
    direct = {asked} if isinstance(asked, str) else {*asked}
    return direct.union(*(needed(jobs, other) for other in direct))


def test_nothing_is_published_before_the_tests_have_passed_on_the_tag() -> None:
    release, ci = workflow("release.yml"), workflow("ci.yml")
    jobs = release["jobs"]
    publishing = [name for name, job in jobs.items() if "gh-action-pypi-publish" in str(job)]
    assert publishing == ["publish"]
    assert {*jobs} - {"publish"} == needed(jobs, "publish")
    assert not any("if" in job for job in jobs.values())
    assert jobs["tests"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in ci[True]  # YAML takes "on" for true
    assert jobs["tests"]["needs"] == "release-check"
    assert '.ci/check_release.py "$GITHUB_REF_NAME"' in commands(jobs["release-check"])
    assert "nox -s build contents" in commands(jobs["build"])
    assert release[True]["push"] == {"tags": ["v*"]}


def release_of(root: Path, version: str, changelog: str, fragments: tuple[str, ...] = ()) -> Path:
    """A project whose release can be checked."""
    for folder in ("refgrad", "changes", ".ci"):
        (root / folder).mkdir(parents=True)
    (root / "refgrad" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (root / "CHANGELOG.md").write_text(changelog)
    for name in ("README.md", *fragments):
        (root / "changes" / name).write_text("A change.\n")
    shutil.copy(ROOT / ".ci" / "check_release.py", root / ".ci")
    return root / ".ci" / "check_release.py"


SECTION = "# Changelog\n\n## 1.2.3 (2026-11-26)\n"


@pytest.mark.parametrize(
    ("tag", "changelog", "fragments", "complaint"),
    [
        ("v1.2.3", SECTION, (), ""),
        ("v1.2.4", SECTION, (), "expected the tag 'v1.2.3'"),
        ("1.2.3", SECTION, (), "expected the tag 'v1.2.3'"),
        ("v1.2.3", "## 1.2.30 (2026-11-26)\n", (), "CHANGELOG.md has no section '## 1.2.3 (date)'"),
        ("v1.2.3", "## 1.2.3\n", (), "CHANGELOG.md has no section '## 1.2.3 (date)'"),
        ("v1.2.3", SECTION, ("erf.added.md",), "changes/ still holds erf.added.md"),
    ],
)
def test_a_release_is_refused_unless_all_is_ready(
    tmp_path: Path, tag: str, changelog: str, fragments: tuple[str, ...], complaint: str
) -> None:
    script = release_of(tmp_path, "1.2.3", changelog, fragments)
    done = subprocess.run([sys.executable, script, tag], capture_output=True, text=True, check=False)
    assert done.returncode == bool(complaint)
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == bool(complaint)


def test_one_file_states_the_version() -> None:
    stated = f'__version__ = "{refgrad.__version__}"'
    assert stated in (ROOT / "refgrad" / "__init__.py").read_text(encoding="utf-8")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in settings["project"]["dynamic"]
    assert settings["tool"]["hatch"]["version"]["path"] == "refgrad/__init__.py"
    for name in ("CITATION.cff", "docs/conf.py", "README.md", "noxfile.py"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(rf"(?<![\d.]){re.escape(refgrad.__version__)}(?![\d.])", text), name
        assert not re.search(r"^version: ", text, re.MULTILINE), name


# --- forms ---


def test_the_forms_for_issues_are_what_github_expects() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    names = {path.stem for path in folder.glob("*.yml")}
    assert names == {"bug", "config", "false-alarm", "new-op", "wrong-gradient-passed"}
    for name in names - {"config"}:
        form = yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))
        assert {*form} == {"name", "description", "labels", "body"}, name
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert all(
            field["type"] in {"input", "textarea"} and field["attributes"]["label"] for field in fields
        )
        ids = [field["id"] for field in fields]
        assert len({*ids}) == len(ids) > 1
        assert any(field.get("validations", {}).get("required") for field in fields)


# --- the action as a document, and run ----------------------------------------------------------------------------------


@pytest.fixture
def action() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return dict(yaml.safe_load(ACTION))


def test_the_action_is_a_composite_one_whose_names_are_all_declared(action: dict[str, Any]) -> None:
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite"
    assert set(action) == {"name", "description", "inputs", "outputs", "runs"}
    for step in steps:
        assert ("run" in step) != ("uses" in step), step["name"]
        # A composite action has no default shell.
        assert "uses" in step or step["shell"] == "bash", step["name"]
        assert set(step) <= {"name", "id", "if", "shell", "env", "run", "uses", "with"}
    named = set(re.findall(r"\binputs\.([\w-]+)", ACTION))
    assert named == set(action["inputs"])
    assert all(isinstance(i["default"], str) and i["description"] for i in action["inputs"].values())
    ids = {step["id"]: step["run"] for step in steps if "id" in step}
    for name, output in action["outputs"].items():
        assert output["value"] == f"${{{{ steps.judge.outputs.{name} }}}}"
        assert f'"{name}=' in ids["judge"]


def given(action: dict[str, Any], text: str, **inputs: str) -> str:
    """A text of the action with its inputs filled in, as the runner does it."""
    values = {name: declared["default"] for name, declared in action["inputs"].items()} | inputs
    filled = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: values[m[1]], text)
    assert "${{" not in filled
    return filled


def run_steps(action: dict[str, Any], folder: Path, **inputs: str) -> list[subprocess.CompletedProcess[str]]:
    """Run the action's own steps, one after the other until one fails, as bash is started for them. pip only says what it was asked."""
    bin_ = folder / "bin"
    bin_.mkdir()
    python = f'PYTHONPATH="{ROOT}" exec {shlex.quote(sys.executable)}'
    for name, script in (
        ("refgrad", f'{python} -m refgrad.cli "$@"'),
        ("python3", 'printf "[%s]" "$@"'),
    ):
        (bin_ / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_ / name).chmod(0o755)
    env = {
        **os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(folder / "here it is"),
        "GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary"), "REFGRAD_PYTEST_ADDOPTS": "-k test_family",
    }  # fmt: skip
    done = []
    for step in [step for step in action["runs"]["steps"] if "run" in step]:
        (folder / "step.sh").write_text(step["run"])
        around = env | {name: given(action, text, **inputs) for name, text in step.get("env", {}).items()}
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(folder / "step.sh")]
        done.append(
            subprocess.run(
                command, env=around, cwd=folder, capture_output=True, text=True, check=False, timeout=900
            )
        )
        if done[-1].returncode:
            break
    return done


SMALL = "--family softmax --dtype float64 --device cpu --examples 60 --workers 0"


@pytest.mark.long
def test_the_action_runs(action: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    installed, judged = run_steps(action, tmp_path, arguments=SMALL)
    assert (
        installed.stdout
        == f"[-m][pip][install][--disable-pip-version-check][{tmp_path}/here it is[conformance]][torch>=2.6]"
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr
    said = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert said == {"exit-code": "0", "report": "refgrad-report/report.html"}
    assert (tmp_path / "summary").read_text().startswith("## ✅ refgrad: exit 0")
    assert "::stop-commands::" in judged.stdout
    [keep] = [step for step in action["runs"]["steps"] if "uses" in step]
    assert keep["if"].startswith("${{ always() && ")  # a job out of time counts as cancelled
    kept = given(action, keep["with"]["path"]).split()
    running = "refgrad-report/results.jsonl.running/"  # there while a run goes on, and where one was killed
    assert kept.count(running) == 1
    kept.remove(running)
    assert all((tmp_path / name).is_file() for name in kept), kept
    assert {p.name for p in (tmp_path / "refgrad-report").iterdir()} == {Path(name).name for name in kept}


def test_the_action_compares_and_hands_a_failure_on(action: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "old.jsonl").write_text("{}")
    installed, judged = run_steps(
        action, tmp_path, arguments=SMALL, torch="", baseline="old.jsonl", out="a report"
    )
    assert installed.stdout.endswith("[conformance]]")  # the torch that is there is judged
    assert judged.returncode == 2
    assert "old.jsonl, line 1: not a results file" in judged.stderr
    assert "exit-code=2\n" in (tmp_path / "output").read_text()


@pytest.mark.parametrize("out", ["", "a\nexit-code=0"])
def test_the_action_refuses_a_folder_that_would_say_more_than_its_name(
    action: dict[str, Any], tmp_path: Path, out: str
) -> None:
    *_, judged = run_steps(action, tmp_path, out=out)
    assert judged.returncode == 2
    assert "the name of a folder is expected" in judged.stderr
    assert not (tmp_path / "output").exists()


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
