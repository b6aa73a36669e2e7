"""Which recorded faults the installed torch has: tests about them ask its evidence, never its version."""

from __future__ import annotations

import functools
from pathlib import Path

from refgrad import backends
from refgrad.modes import REVERSE, VALUE
from refgrad.testing.deviations import expected_refusals
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.file import load
from refgrad.testing.judging.verdict import Verdict
from refgrad.testing.runs.deviation_evidence import applicable, judged, seen_again
from refgrad.torch.observe import observe

CONFORMANCE = Path(__file__).parents[1] / "conformance"
ENTRIES = load(CONFORMANCE / "deviations.toml")
BUILD = backends.load("torch").build
REFUSALS = expected_refusals.load(CONFORMANCE / "unsupported.toml", BUILD.release)
STANDING = applicable(ENTRIES, BUILD, observe)


@functools.cache
def verdicts(entry: Deviation) -> list[Verdict]:
    """The verdicts on the evidence of an entry, by the installed torch."""
    return judged(entry, BUILD, observe)


def shows(entry: Deviation) -> bool:
    """Whether the evidence of an entry disagrees in the installed torch."""
    return seen_again(entry, verdicts(entry))


def there(name: str) -> bool:
    """Whether the installed torch has the fault that the entry of this name records."""
    [entry] = [d for d in ENTRIES if d.id == name]
    return shows(entry)


def any_fault() -> Deviation:
    """A recorded fault that the installed torch has; some test needs a case that disagrees."""
    found = next((d for d in STANDING if shows(d)), None)
    assert found is not None, "torch has none of the recorded faults: these tests need another wrong kernel"
    return found


def refused(op: str, dtype: str) -> bool:
    """Whether the installed torch is expected to have no kernel of an op in a format, or none of its gradient."""
    return any(REFUSALS.expects(op, mode, dtype, "cpu") for mode in (VALUE, REVERSE))
