"""The report: what a run found, as one self-contained HTML page, as a table for the terminal, and as an exit code.

A page says first what was proved, then what is wrong, then what was not judged. It is made from the results file alone, and
the same file always makes the same bytes.
"""

from __future__ import annotations

from refgrad.records import Run
from refgrad.report.baseline import Against, against
from refgrad.report.files import write_results
from refgrad.report.html import render, write
from refgrad.report.load import load
from refgrad.report.merge import merge
from refgrad.report.publish import Outputs, publish
from refgrad.report.terminal import table, wants_color
from refgrad.report.verdict import exit_code

__all__ = [
    "Against", "Outputs", "Run", "against", "exit_code", "load", "merge", "publish", "render", "table", "wants_color", "write",
    "write_results",
]  # fmt: skip
