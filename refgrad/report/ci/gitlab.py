"""Reports for GitLab: a code quality report with one entry for each finding.

An entry needs a path and a line. Checks of a project's own tests have them. Other findings get an artificial path, such as
``refgrad/tanh``, that is unique and the same in every run.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from refgrad.exit_codes import PASS
from refgrad.records import DISAGREE
from refgrad.report.analysis.findings import findings
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import cut, one_line
from refgrad.report.analysis.verdict import verdict


def gitlab(run: Run, path: str) -> str:
    """The findings as JSON. ``path`` is the results file; an entry about the whole run refers to it."""
    entries = []
    for f in findings(run):
        about = f"{f.name}: {f.extent}: {one_line(f.smallest.text)}"
        severity = "critical" if f.status == DISAGREE else "major"
        entries.append(
            _entry(about, f.status, severity, f.where or _artificial_path(f.op or f.anchor), f.key)
        )
    for crash in run.crashes:
        about = f"{one_line(crash.item)} crashed: {one_line(crash.reason)}"
        entries.append(_entry(about, "crash", "major", _artificial_path(crash.item), ("crash", crash.item)))
    conclusion = verdict(run)
    if not entries and conclusion.exit != PASS:
        entries.append(
            _entry(conclusion.sentence, "nothing proved", "blocker", path, ("exit", str(conclusion.exit)))
        )
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


def _artificial_path(name: str) -> str:
    """A path below ``refgrad/``, unique for each name, of characters that every system allows in paths."""
    plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name)[:80].strip("-.")
    mark = "" if plain == name else hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"refgrad/{'-'.join(filter(None, (plain, mark)))}"


def _entry(description: str, check: str, severity: str, where: str, key: tuple[str, ...]) -> dict[str, Any]:
    """One entry. GitLab identifies findings by the fingerprint: a hash of ``key``, without numbers and case ids."""
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
