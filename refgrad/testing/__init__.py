"""What a user of the judge imports: checks of single formulas, cases, observations, and the judge itself.

The judge knows no framework. It compares observed arrays with reference values and their error bounds.
"""

from __future__ import annotations

from refgrad.modes import NAMES as MODES
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded, Source
from refgrad.testing.checks.check import check_jvp, check_vjp
from refgrad.testing.checks.check_report import Report
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.end_to_end import EndToEnd, judge_end_to_end
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import NoAnswer, Observation
from refgrad.testing.judging.verdict import Element, Verdict
from refgrad.testing.power.audit import Audit
from refgrad.testing.runs.item import examine
from refgrad.testing.runs.judgement import judge

__all__ = [
    "MODES",
    "Audit",
    "Case",
    "Element",
    "EndToEnd",
    "NoAnswer",
    "NodeByNode",
    "Observation",
    "Report",
    "Seeded",
    "Source",
    "Verdict",
    "check_jvp",
    "check_vjp",
    "compare",
    "examine",
    "judge",
    "judge_end_to_end",
]
