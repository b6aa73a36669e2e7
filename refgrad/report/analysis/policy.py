"""The option --fail-on: which results fail a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refgrad.errors import ArgumentError
from refgrad.records import IMPRECISE, Result
from refgrad.report.analysis.run import Run

NEW = "new"


def fail_on_values(fail_on: Sequence[str], baseline: Sequence[str]) -> frozenset[str]:
    """The values of the option. Raises ArgumentError for ``new`` without a baseline."""
    if NEW in fail_on and not baseline:
        raise ArgumentError(
            "--fail-on new compares with an earlier run, and no --baseline was given: name its results with --baseline FILE"
        )
    return frozenset(fail_on)


def counted_failures(
    results: Iterable[Result], fail_on: frozenset[str], baseline: Run | None
) -> list[Result]:
    """The results that fail the run under these values of the option.

    With ``new``, a result counts where its case and mode did not fail in the baseline, or failed otherwise: with another status, or at
    another op. Shrunk cases do not count then: the cases that they were made from are judged as well.
    """
    failed = [r for r in results if r.failed or (IMPRECISE in fail_on and r.status == IMPRECISE)]
    if NEW not in fail_on or baseline is None:
        return failed
    before = {_failure(r) for r in baseline.results}
    return [r for r in failed if not r.shrunk and _failure(r) not in before]


def _failure(r: Result) -> tuple[str, str, str, str]:
    """What a failure is: the case, the mode, the status and the op. Lost digits are of no one op."""
    return r.id, r.mode, r.status, "" if r.status == IMPRECISE else r.op
