"""Reports on a run: a self-contained HTML page, a table for the terminal, formats for CI systems, and an exit code.

Reports are made from results files only. Equal results make equal bytes.
"""

from __future__ import annotations

from refgrad.report.analysis.baseline import BaselineComparison, compare_with_baseline
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.verdict import exit_code
from refgrad.report.page.html import render, write
from refgrad.report.publish import Outputs, print_last, publish
from refgrad.report.publish_backends import outputs_by_backend, publish_backends, publish_comparison
from refgrad.report.storage.files import folder_names, write_results
from refgrad.report.storage.load import ended, header_of, load
from refgrad.report.storage.merge import merge, merge_by_backend
from refgrad.report.terminal import table, wants_color

__all__ = [
    "BaselineComparison",
    "Outputs",
    "Run",
    "compare_with_baseline",
    "ended",
    "exit_code",
    "folder_names",
    "header_of",
    "load",
    "merge",
    "merge_by_backend",
    "outputs_by_backend",
    "print_last",
    "publish",
    "publish_backends",
    "publish_comparison",
    "render",
    "table",
    "wants_color",
    "write",
    "write_results",
]
