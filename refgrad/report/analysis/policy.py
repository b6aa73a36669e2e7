"""What makes a run fail, beyond its own failures or short of them: the option --fail-on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refgrad.errors import ArgumentError
from refgrad.records import IMPRECISE, Result, Run

NEW = "new"
CHOICES = (NEW, IMPRECISE)


def checked(fail_on: Sequence[str], baseline: Sequence[str]) -> frozenset[str]:
    """What was asked for. Raises ArgumentError where there is nothing to be new against."""
    if NEW in fail_on and not baseline:
        raise ArgumentError(
            "--fail-on new: new against what? Name the results of an earlier run with --baseline"
        )
    return frozenset(fail_on)


def failures(results: Iterable[Result], fail_on: frozenset[str], baseline: Run | None) -> list[Result]:
    """The results by which a run fails.

    With ``new``, those whose case and mode did not fail in the baseline. A case that shrinking made is no evidence of anything new: the
    case that it was made from is there, too.
    """
    failed = [r for r in results if r.failed or (IMPRECISE in fail_on and r.status == IMPRECISE)]
    if NEW not in fail_on or baseline is None:
        return failed
    before = {
        (r.id, r.mode, r.status == IMPRECISE) for r in baseline.results if r.failed or r.status == IMPRECISE
    }
    return [r for r in failed if not r.shrunk and (r.id, r.mode, r.status == IMPRECISE) not in before]
