"""The script of a failing case: that of the backend, or one that holds the case and runs refgrad."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from refgrad.backends import Backend
from refgrad.errors import CaseTimeout
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.verdict import ERROR, Verdict
from refgrad.testing.runs.fallback_script import fallback


def script_of(
    backend: Backend, limited: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Callable[[Case, Verdict], str]:
    """A function that writes the script of a failure on a backend; empty where the verdict is no failure that a script can show.

    A backend may run the framework for it, within the time that ``limited`` gives (CurrentCase.limited). Whatever happens then, the failure
    keeps a script: the one that runs refgrad. What a kernel sets by ``np.seterr`` is not left behind.
    """

    def script(case: Case, verdict: Verdict) -> str:
        about = f"{verdict.mode}, {case.dtype} on {case.device}"
        address = backend.address or backend.name
        try:
            with limited(), np.errstate():
                text = backend.script(case, verdict)
        except CaseTimeout:
            why = "the framework did not answer in time when it was asked again"
            return fallback(case.id, case.content, about, why, backend=address)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the verdict is recorded all the same
            why = f"writing it raised {type(error).__name__}: {error}"
            return fallback(case.id, case.content, about, why, backend=address)
        if text or (verdict.status != ERROR and verdict.evidence is None):
            return text
        why = f"the backend {backend.name} writes none"
        return fallback(case.id, case.content, about, why, backend=address)

    return script
