"""GitLab's code quality report: one entry a finding, in the widget of a merge request."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from refgrad.records import DISAGREE, Run
from refgrad.report.clusters import clusters
from refgrad.report.text import cut, one_line
from refgrad.report.verdict import PASS, verdict


def gitlab(run: Run, path: str) -> str:
    """The findings as JSON. ``path`` is the file they are shown at, relative to the repository: the results."""
    entries = []
    for c in clusters(run):
        about = (
            f"{c.status} at {one_line(c.title)}, {c.dtype} {c.device} {c.mode}: {one_line(c.smallest.text)}"
        )
        key = (c.status, c.op, c.dtype, c.device, c.mode, c.reason)
        severity = "critical" if c.status == DISAGREE else "major"
        entries.append(_entry(about, c.status, severity, c.smallest.where or path, key))
    for crash in run.crashes:
        about = f"{one_line(crash.item)} crashed: {one_line(crash.reason)}"
        entries.append(_entry(about, "crash", "major", path, ("crash", crash.item)))
    said = verdict(run)
    if not entries and said.exit != PASS:
        entries.append(_entry(said.sentence, "nothing proved", "blocker", path, ("exit", str(said.exit))))
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def _entry(description: str, check: str, severity: str, where: str, key: tuple[str, ...]) -> dict[str, Any]:
    """One entry. GitLab takes findings of one fingerprint for the same: it holds what is wrong, never numbers or cases."""
    where = one_line(where)
    file, _, line = where.rpartition(":")
    known = bool(file) and line.isdigit() and len(line) < 10
    return {
        "description": cut(one_line(description), 1000),
        "check_name": f"refgrad: {check}",
        "fingerprint": hashlib.sha256("\0".join(key).encode()).hexdigest(),
        "severity": severity,
        "location": {"path": file if known else where, "lines": {"begin": int(line) if known else 1}},
    }
