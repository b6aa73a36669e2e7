"""The command ``refgrad report``: renders results again, of one backend or of several."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from refgrad import report
from refgrad.errors import ArgumentError


def render_again(args: argparse.Namespace) -> int:
    """Merge the results of each backend and write its outputs; of several backends also the page that compares them.

    Returns the exit code. Raises ArgumentError where the results do not belong together, or an output would overwrite an input.
    """
    runs = report.merge_by_backend([report.load(path) for path in args.results])
    page = Path(args.out or Path(args.results[0]).parent)
    if len(runs) > 1 and not args.out:
        page = Path(os.path.commonpath([Path(path).resolve().parent for path in args.results]))
    if page.suffix not in (".html", ".htm"):
        if page.is_file():
            raise ArgumentError(
                f"--out {page}: is a file; a folder is expected, or the name of an .html file"
            )
        page /= "report.html"
    if len(runs) == 1:
        [run] = runs.values()
        outputs = report.Outputs.wanted(
            page,
            args.results,
            args.baseline,
            args.junit,
            args.gitlab,
            args.github,
            fail_on=args.fail_on,
            backend=run.header.backend,
        )
        return report.publish(run, outputs)
    files: dict[str, list[str]] = {label: [] for label in runs}
    for path in args.results:
        files[report.header_of(path).label].append(path)
    several = report.outputs_by_backend(
        page, files, args.baseline, args.junit, args.gitlab, args.github, fail_on=args.fail_on
    )
    return report.publish_backends(runs, several, page)
