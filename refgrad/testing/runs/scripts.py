"""The script of a failing case: that of the backend, or one that holds the case and runs refgrad."""

from __future__ import annotations

from collections.abc import Callable

from refgrad.backends import Backend
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.verdict import ERROR, Verdict
from refgrad.testing.runs.fallback_script import fallback


def script_of(backend: Backend) -> Callable[[Case, Verdict], str]:
    """A function that writes the script of a failure on a backend; empty where the verdict is no failure that a script can show."""

    def script(case: Case, verdict: Verdict) -> str:
        text = backend.script(case, verdict)
        if text or (verdict.status != ERROR and verdict.evidence is None):
            return text
        about = f"{verdict.mode}, {case.dtype} on {case.device}"
        why = f"the backend {backend.name} writes none"
        return fallback(case.id, case.content, about, why, backend=backend.address or backend.name)

    return script
