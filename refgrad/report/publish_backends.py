"""The outputs of runs of several backends: those of each backend in a folder of its own, and the page that compares them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from refgrad.errors import ArgumentError
from refgrad.exit_codes import PROVED_NOTHING
from refgrad.report.analysis.backend_comparison import compare_backends
from refgrad.report.analysis.policy import NEW, fail_on_values
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import one_line
from refgrad.report.page.backends_html import PAGE, write_backends
from refgrad.report.publish import Outputs, print_or_report, publish, try_to_write
from refgrad.report.storage.files import folder_names, is_special_file
from refgrad.report.storage.load import header_of
from refgrad.report.terminal import wants_color
from refgrad.report.terminal_backends import backends_table


def outputs_by_backend(
    page: Path,
    results: Mapping[str, Sequence[str]],
    baseline: Sequence[str] = (),
    junit: str | None = None,
    gitlab: str | None = None,
    github: bool = False,
    environ: Mapping[str, str] = os.environ,
    *,
    fail_on: Sequence[str] = (),
) -> dict[str, Outputs]:
    """By label of a backend, its outputs. ``results`` are its results files, by label.

    Its page is in a folder of its own beside ``page``. The name of each further file is completed by the name of that folder. Loads the
    baselines: each backend is compared with its own. Raises ArgumentError as ``Outputs.wanted`` does, and for a baseline of a backend that
    is not among these.
    """
    earlier: dict[str, list[str]] = {}
    for path in baseline:
        earlier.setdefault(header_of(path).label, []).append(path)
    strangers = [label for label in earlier if label not in results]
    if strangers:
        raise ArgumentError(
            f"--baseline: results of {', '.join(strangers)} were given, and {', '.join(results)} are compared: give results of these"
        )
    fail_on_values(fail_on, baseline)
    found = {}
    for label, folder in folder_names(results).items():
        own, mine = page.parent / folder / PAGE, earlier.get(label, [])
        rules = [rule for rule in fail_on if rule != NEW or mine]
        more = _completed(junit, folder), _completed(gitlab, folder)
        found[label] = Outputs.wanted(own, results[label], mine, *more, github, environ, fail_on=rules)
    return found


def _completed(path: str | None, folder: str) -> str | None:
    """The path of a file of one backend: "junit.xml" is "junit-jax.xml". A special file keeps its name."""
    if path is None or is_special_file(Path(path)):
        return path
    return str(Path(path).with_name(f"{Path(path).stem}-{folder}{Path(path).suffix}"))


def publish_backends(runs: Mapping[str, Run], outputs: Mapping[str, Outputs], page: Path) -> int:
    """Print the table of each backend and the comparison, and write all files. Returns the exit code of the comparison.

    An output that cannot be written is reported on standard error and makes an exit code of 0 to 3.
    """
    codes = {}
    for label, run in runs.items():
        print_or_report(f"== {one_line(label)}\n")
        codes[label] = publish(run, outputs[label])
    return publish_comparison(runs, codes, page)


def publish_comparison(runs: Mapping[str, Run], codes: Mapping[str, int], page: Path) -> int:
    """Print and write the comparison of runs whose own outputs are written, with the exit codes of these. Returns the exit code."""
    comparison, folders = compare_backends(runs, codes), folder_names(runs)
    complete = print_or_report(
        backends_table(
            comparison,
            {label: str(page.parent / folder / PAGE) for label, folder in folders.items()},
            color=wants_color(sys.stdout),
        )
    )
    if try_to_write(page, lambda: write_backends(comparison, folders, page)):
        complete &= print_or_report(f"report: {page}")
    else:
        complete = False
    return comparison.exit if complete else comparison.exit or PROVED_NOTHING
