"""JUnit XML: a test case for each finding, for each test item, and for each family, dtype, device and mode that agrees.

The name of a finding contains neither case nor mode, so a CI system can follow it over time. Items carry the durations. A disagreement
fails the test case of its finding, not that of its item; the test case of an item fails only where the item crashed.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from xml.etree import ElementTree as ET

from refgrad.exit_codes import PASS
from refgrad.records import AGREE, ERROR, FAILURES, IMPRECISE, KNOWN, FinishedItem
from refgrad.report.analysis.findings import Finding, findings
from refgrad.report.analysis.items import items
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.tally import Cell, Place
from refgrad.report.analysis.text import count, cut, one_line, plain, several
from refgrad.report.analysis.verdict import verdict

MOST_TEXT = 4000
FINDINGS, ITEMS = "findings", "items"  # names of test suites
# Characters that XML 1.0 cannot represent.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def junit(run: Run) -> str:
    """The run as JUnit XML."""
    root = ET.Element("testsuites", name="refgrad")
    suites: dict[str, ET.Element] = {}

    def case(suite: str, name: str) -> ET.Element:
        if suite not in suites:
            suites[suite] = ET.SubElement(root, "testsuite", name=suite)
        classname = "refgrad." + suite.replace(" ", ".")
        return ET.SubElement(suites[suite], "testcase", classname=classname, name=cut(name, 200))

    for (family, dtype, device, mode), found_here in sorted(_groups(run).items()):
        element = case(_suite(family, dtype, device), one_line(mode))
        counts = _status_counts(found_here)
        if not any(at.status in (AGREE, IMPRECISE, KNOWN) for at, _ in found_here):
            ET.SubElement(element, "skipped", message=counts)
        else:
            ET.SubElement(element, "system-out").text = counts
    for f in findings(run):
        kind = "error" if f.status == ERROR else "failure"
        found = ET.SubElement(
            case(FINDINGS, f.name), kind, type=f.status, message=cut(one_line(f.smallest.text), 400)
        )
        found.text = cut(plain(_description(f)), MOST_TEXT)
    ran: dict[str, ET.Element] = {}
    for item in run.items:
        ran[item.item] = element = case(ITEMS, one_line(item.item))
        if math.isfinite(item.seconds):
            element.set("time", f"{item.seconds:.3f}")
        if item.drawn or item.unjudged:
            ET.SubElement(element, "system-out").text = _case_counts(item)
    for crash in run.crashes:
        element = ran[crash.item] if crash.item in ran else case(ITEMS, one_line(crash.item))
        found = ET.SubElement(element, "error", type="crash", message=cut(one_line(crash.reason), 400))
        found.text = cut(plain(crash.reason), MOST_TEXT)
    conclusion = verdict(run)
    verdict_element = case("run", "verdict")
    notes = "\n".join([conclusion.sentence, *conclusion.notes, *conclusion.remarks])
    if conclusion.exit != PASS:
        ET.SubElement(
            verdict_element, "failure", type=f"exit {conclusion.exit}", message=one_line(conclusion.sentence)
        ).text = plain(notes)
    else:
        ET.SubElement(verdict_element, "system-out").text = plain(notes)
    for suite in [*suites.values(), root]:
        _count(suite)
    if ITEMS in suites:
        suites[ITEMS].set("time", f"{items(run).seconds:.3f}")
    if run.end is not None and run.end.seconds == run.end.seconds:
        root.set("time", f"{run.end.seconds:.1f}")
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _ILLEGAL.sub(" ", text) + "\n"


def _groups(run: Run) -> dict[tuple[str, str, str, str], list[tuple[Place, Cell]]]:
    groups: dict[tuple[str, str, str, str], list[tuple[Place, Cell]]] = defaultdict(list)
    for at, cell in run.tally.cells.items():
        if at.status not in FAILURES:
            groups[at.family, at.dtype, at.device, at.mode].append((at, cell))
    return groups


def _suite(*names: str) -> str:
    return cut(" ".join(one_line(name) for name in names), 200)


def _description(f: Finding) -> str:
    """The finding as lines of text, with its matrix."""
    r = f.smallest
    lines = [f.extent, r.message or r.reason, f"the smallest case: {r.id} of family {r.family}, {r.mode}"]
    heads = ["".ljust(28), *(f"{device} {dtype}".rjust(16) for device, dtype in f.matrix.columns)]
    lines.append(" ".join(heads))
    for mode, cells in f.matrix.rows:
        lines.append(" ".join([mode.ljust(28), *(("" if c is None else str(c)).rjust(16) for c in cells)]))
    return "\n".join(lines)


def _case_counts(item: FinishedItem) -> str:
    """The numbers of judged, unjudged and shrunk cases of an item."""
    return f"{several(item.judged, 'case')} judged, {count(item.unjudged)} not; {several(item.shrunk, 'failure')} shrunk"


def _status_counts(found: list[tuple[Place, Cell]]) -> str:
    tally: Counter[str] = Counter()
    for at, cell in found:
        tally[at.status] += cell.results
    parts = [f"{several(n, 'case')} {status}" for status, n in sorted(tally.items())]
    return f"{', '.join(parts)}; {several(sum(cell.elements for _, cell in found), 'element')} compared"


def _count(element: ET.Element) -> None:
    element.set("tests", str(sum(1 for _ in element.iter("testcase"))))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(1 for _ in element.iter(tag))))
