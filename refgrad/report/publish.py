"""The outputs of a run for people and CI systems, written in one place for every command."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from refgrad.console import print_text, printable_line
from refgrad.errors import ArgumentError
from refgrad.exit_codes import PROVED_NOTHING
from refgrad.report.analysis.baseline import compare_with_baseline
from refgrad.report.analysis.policy import counted_failures, fail_on_values
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.verdict import exit_code
from refgrad.report.ci.github import commands, summary
from refgrad.report.ci.gitlab import gitlab
from refgrad.report.ci.junit import junit
from refgrad.report.page.html import write
from refgrad.report.storage.files import RESULTS, is_special_file, write_atomically, write_results
from refgrad.report.storage.load import load
from refgrad.report.storage.merge import merge
from refgrad.report.terminal import table, wants_color


@dataclass(frozen=True)
class Outputs:
    """The requested outputs. The page and the table on the terminal are always among them.

    page             the HTML file
    results          the results file, as the user named it
    baseline         the run to compare with
    junit, gitlab    files to write, if any
    github           whether to write annotations and a job summary for GitHub Actions
    fail_on          the values of --fail-on
    """

    page: Path
    results: str = ""
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
        backend: str = "",
    ) -> Outputs:
        """The outputs that the options request. GitHub's are also written where GITHUB_ACTIONS is "true" in ``environ``.

        Loads the baseline. Raises ArgumentError where two outputs have one path, where an output would overwrite an input, and for a
        baseline of another backend than ``backend``, where this is given.
        """
        _check_distinct_paths([*results, *baseline, str(page.with_name(RESULTS))], [str(page), junit, gitlab])
        earlier = merge([load(path) for path in baseline]) if baseline else None
        if earlier and backend and earlier.header.backend not in ("", backend):
            raise ArgumentError(
                f"--baseline: results of {earlier.header.backend} were given, and {backend} is judged: its failures would pass for known "
                f"ones. Give results of {backend}; `refgrad report` compares backends if it gets the results of both"
            )
        github = github or environ.get("GITHUB_ACTIONS") == "true"
        rules = fail_on_values(fail_on, baseline)
        return cls(page, results[0] if results else "", earlier, junit, gitlab, github, rules)


def _check_distinct_paths(read: Sequence[str], written: Sequence[str | None]) -> None:
    used = {Path(path).resolve() for path in read}
    for name in filter(None, written):
        path = Path(name).resolve()
        if path in used and not is_special_file(Path(name)):
            raise ArgumentError(f"{name}: an input or another output has this name; name another file")
        used.add(path)


def publish(run: Run, outputs: Outputs) -> int:
    """Print the table and write the requested files. Returns the exit code of the run.

    An output that cannot be written is reported on standard error and makes an exit code of 0 to 3; the other outputs are still written,
    and an existing file stays unchanged.
    """
    if outputs.fail_on:
        counted = counted_failures(run.results, outputs.fail_on, outputs.baseline)
        run = replace(run, counted_failures=tuple((r.id, r.mode) for r in counted))
    compared = compare_with_baseline(run, outputs.baseline) if outputs.baseline else None
    text = table(run, color=wants_color(sys.stdout), comparison=compared)
    complete = print_or_report(_without_workflow_commands(text) if outputs.github else text)
    complete &= try_to_write(outputs.page.with_name(RESULTS), lambda: write_results(run, outputs.page.parent))
    if try_to_write(outputs.page, lambda: write(run, outputs.page, compared)):
        complete &= print_or_report(f"report: {outputs.page}")
    else:
        complete = False
    if outputs.junit:
        complete &= try_to_write(outputs.junit, lambda: write_atomically(str(outputs.junit), junit(run)))
    if outputs.gitlab:
        complete &= try_to_write(
            outputs.gitlab, lambda: write_atomically(str(outputs.gitlab), gitlab(run, outputs.results))
        )
    if outputs.github:
        for line in commands(run):
            complete &= print_or_report(line)
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if path:
            complete &= try_to_write(path, lambda: _append(path, summary(run, compared)))
    return exit_code(run) if complete else exit_code(run) or PROVED_NOTHING


def try_to_write(path: object, write_it: Callable[[], object]) -> bool:
    """Write an output. Whether it was written; where not, standard error says why."""
    try:
        write_it()
    except OSError as error:
        print(f"refgrad: {path}: cannot be written: {error.strerror or error}", file=sys.stderr)
        return False
    return True


def _append(path: str, text: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(text)


def _without_workflow_commands(text: str) -> str:
    """Text in which GitHub does not interpret workflow commands: it contains names and messages from results."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}\n::{token}::"


def print_last(line: str, code: int) -> int:
    """Print the last line of a run. Returns the exit code: 3 instead of 0 where the line cannot be printed."""
    return code if print_or_report(printable_line(line)) else code or PROVED_NOTHING


def print_or_report(text: str) -> bool:
    """Print a text. Whether it was printed; where not, standard error says why."""
    why = print_text(text)
    if why:
        print(f"refgrad: standard output: cannot be written: {why}", file=sys.stderr)
    return not why
