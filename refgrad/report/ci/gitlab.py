"""GitLab's code quality report: one entry a finding, in the widget of a merge request.

GitLab shows an entry at a file and a line. A check of a project's own tests has them. Anything else has a path of its own instead,
``refgrad/tanh``: entries stand apart in the widget, and the same finding stands at the same place in the next run.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from refgrad.records import DISAGREE, Run
from refgrad.report.analysis.findings import findings
from refgrad.report.analysis.text import cut, one_line
from refgrad.report.analysis.verdict import PASS, verdict


def gitlab(run: Run, path: str) -> str:
    """The findings as JSON. ``path`` is the file of the results: there stands what is said of the run as a whole."""
    entries = []
    for f in findings(run):
        about = f"{f.name}: {f.extent}: {one_line(f.smallest.text)}"
        severity = "critical" if f.status == DISAGREE else "major"
        entries.append(_entry(about, f.status, severity, f.where or _place(f.op or f.anchor), f.key))
    for crash in run.crashes:
        about = f"{one_line(crash.item)} crashed: {one_line(crash.reason)}"
        entries.append(_entry(about, "crash", "major", _place(crash.item), ("crash", crash.item)))
    said = verdict(run)
    if not entries and said.exit != PASS:
        entries.append(_entry(said.sentence, "nothing proved", "blocker", path, ("exit", str(said.exit))))
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def _place(name: str) -> str:
    """A path below ``refgrad/`` that no other name shares, of characters that a path may have anywhere."""
    plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name)[:80].strip("-.")
    mark = "" if plain == name else hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"refgrad/{'-'.join(filter(None, (plain, mark)))}"


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
