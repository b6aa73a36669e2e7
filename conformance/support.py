"""Lists what a backend refuses, for every op in every mode and dtype: ``python -m conformance.support --update``.

Without ``--update`` it prints the differences from the list; the exit code is 1 where there are any. An exception without the framework's
message of a refusal is an error, and not part of the list.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from refgrad import backends
from refgrad.backends import Backend
from refgrad.bounds.formats import DTYPES, judged_on
from refgrad.modes import NAMES as MODES
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded
from refgrad.testing.deviations.expected_refusals import (
    Refusal,
    Support,
    list_of,
    load,
    release,
    updated,
    written,
)
from refgrad.testing.judging.observation import NOT_ASKED
from refgrad.testing.judging.verdict import UNSUPPORTED
from refgrad.testing.runs.judgement import judge

from .families import SINGLE, family, single_in

LIST = Path(__file__).with_name("unsupported.toml")
DRAWS = 36  # cases of each op and dtype: a refusal may depend on the arguments, as of attention, which has several kernels
HEAD = """\
The derivatives and kernels that {backend} is expected to refuse. An answer is expected in all other cases.
`python -m conformance.support --update` writes it, under each release in [recorded].
refgrad/testing/deviations/expected_refusals.py reads it."""


def cases(backend: Backend, device: str, draws: int = DRAWS) -> Iterator[Case]:
    """Single ops and functions of a backend in every dtype in which the device computes. Repeated calls give the same cases."""
    for dtype in DTYPES:
        if judged_on(device, dtype) and backend.computes(dtype, device):
            for op in single_in(dtype):
                if op not in backend.ops:
                    continue
                for k in range(draws):
                    yield family(SINGLE[op], (op,))(Seeded((k,)), dtype).on(device)


def refusals(backend: Backend, case: Case) -> set[Refusal]:
    """The refusals of a backend for one case."""
    seen = backend.judged(case)
    reasons = [*seen.unavailable.values(), *(seen.modes.unavailable.values() if seen.modes else ())]
    if not any(why.refused for why in reasons):
        return set()  # without a refusal there is nothing to judge
    refused = [v for v in judge(case, seen) if v.status == UNSUPPORTED and v.reason != NOT_ASKED.words]
    kind = case.device.partition(":")[0]
    return {Refusal(v.first_wrong[1] if v.first_wrong else "", v.mode, case.dtype, kind) for v in refused}


def text(support: Support, backend: str = "torch") -> str:
    """The list of a backend as TOML."""
    return written(support, HEAD.format(backend=backend), MODES, DTYPES)


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m conformance.support", description=__doc__.split(":")[0])
    parser.add_argument("--update", action="store_true", help="write what was found into the list")
    parser.add_argument("--backend", default="torch", help="the backend to ask (default: torch)")
    parser.add_argument("--device", default="cpu", help="the device to ask (default: cpu)")
    parser.add_argument(
        "--list",
        type=Path,
        help=f"the file (default: that of the backend beside the suite, such as {LIST.name})",
    )
    args = parser.parse_args(arguments)
    backend = backends.load(args.backend)
    backend.require(args.device)
    version, kind = backend.build.release, args.device.partition(":")[0]
    path = (
        args.list or list_of(LIST.parent, backend.name) or LIST.with_name(f"unsupported.{backend.name}.toml")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # degrees of freedom and the like, drawn on purpose
        found = set().union(*(refusals(backend, case) for case in cases(backend, args.device)))
    before = load(path, version) if path.exists() else Support({}, {}, version)
    after = updated(before, kind, found)
    changed = text(after, backend.name) != text(before, backend.name)
    for place in sorted({*before.refusals, *after.refusals}):
        seen = [place in s.refusals and release(version) in s.refusals[place] for s in (before, after)]
        if seen[0] != seen[1]:
            print(f"{'refused' if seen[1] else 'answered'} in {release(version)}: {' '.join(place)}")
    if args.update and changed:
        path.write_text(text(after, backend.name), encoding="utf-8")
    state = "written" if args.update and changed else "differs" if changed else "is up to date"
    print(f"{path}: {len(found)} refusals of {backend.build} on {kind}; the list {state}")
    return int(changed and not args.update)


if __name__ == "__main__":
    sys.exit(main())
