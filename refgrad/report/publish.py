"""Everything a run leaves for people and for CI systems, written from one place by every command."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from refgrad.console import say
from refgrad.errors import ArgumentError
from refgrad.records import Run
from refgrad.report.analysis.baseline import against
from refgrad.report.analysis.policy import checked, failures
from refgrad.report.analysis.verdict import FAIL, exit_code
from refgrad.report.ci.github import commands, summary
from refgrad.report.ci.gitlab import gitlab
from refgrad.report.ci.junit import junit
from refgrad.report.page.html import write
from refgrad.report.storage.files import RESULTS, no_file, write_results, write_whole
from refgrad.report.storage.load import load
from refgrad.report.storage.merge import merge
from refgrad.report.terminal import table, wants_color


@dataclass(frozen=True)
class Outputs:
    """What is wanted beside the page and the table on the terminal."""

    page: Path
    results: str = ""  # the results file as the user named it
    baseline: Run | None = None
    junit: str | None = None
    gitlab: str | None = None
    github: bool = False
    fail_on: frozenset[str] = frozenset()

    @classmethod
    def wanted(
        cls,
        page: Path,
        results: Sequence[str],
        baseline: Sequence[str] = (),
        junit: str | None = None,
        gitlab: str | None = None,
        github: bool = False,
        environ: Mapping[str, str] = os.environ,
        *,
        fail_on: Sequence[str] = (),
    ) -> Outputs:
        """What the options ask for; GitHub's is also wanted where a job of GitHub Actions runs. The baseline is read at once.

        Raises ArgumentError where two files would be written to one place, or one over what is read.
        """
        _apart([*results, *baseline, str(page.with_name(RESULTS))], [str(page), junit, gitlab])
        earlier = merge([load(path) for path in baseline]) if baseline else None
        github = github or environ.get("GITHUB_ACTIONS") == "true"
        rules = checked(fail_on, baseline)
        return cls(page, results[0] if results else "", earlier, junit, gitlab, github, rules)


def _apart(taken: Sequence[str], written: Sequence[str | None]) -> None:
    places = {Path(path).resolve() for path in taken}
    for path in filter(None, written):
        place = Path(path).resolve()
        if place in places and not no_file(Path(path)):
            raise ArgumentError(f"{path}: is read or written under this name already; name another file")
        places.add(place)


def publish(run: Run, outputs: Outputs) -> int:
    """Print the table, write what is wanted; returns the exit code of the run.

    A file that cannot be written is named on standard error; then the exit code is not 0, and an older file is as it was. The same
    goes for standard output, without which all files are written still.
    """
    if outputs.fail_on:
        meant = failures(run.results, outputs.fail_on, outputs.baseline)
        run = replace(run, counted_failures=tuple((r.id, r.mode) for r in meant))
    compared = against(run, outputs.baseline) if outputs.baseline else None
    shown = table(run, color=wants_color(sys.stdout), against=compared)
    whole = _said(_silenced(shown) if outputs.github else shown)
    whole &= _written(outputs.page.with_name(RESULTS), lambda: write_results(run, outputs.page.parent))
    if _written(outputs.page, lambda: write(run, outputs.page, compared)):
        whole &= _said(f"report: {outputs.page}")
    else:
        whole = False
    if outputs.junit:
        whole &= _written(outputs.junit, lambda: write_whole(str(outputs.junit), junit(run)))
    if outputs.gitlab:
        whole &= _written(
            outputs.gitlab, lambda: write_whole(str(outputs.gitlab), gitlab(run, outputs.results))
        )
    if outputs.github:
        for line in commands(run):
            whole &= _said(line)
        place = os.environ.get("GITHUB_STEP_SUMMARY")
        if place:
            whole &= _written(place, lambda: _append(place, summary(run, compared)))
    return exit_code(run) if whole else exit_code(run) or FAIL


def _written(path: object, write_it: Callable[[], object]) -> bool:
    try:
        write_it()
    except OSError as error:
        print(f"refgrad: {path}: cannot be written: {error.strerror or error}", file=sys.stderr)
        return False
    return True


def _append(path: str, text: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(text)


def _silenced(text: str) -> str:
    """Text in which GitHub looks for no workflow commands: names and messages in it come from anywhere."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}\n::{token}::"


def _said(text: str) -> bool:
    why = say(text)
    if why:
        print(f"refgrad: standard output: cannot be written: {why}", file=sys.stderr)
    return not why
