"""What torch refuses, asked of every op in every mode and dtype: ``python -m conformance.support --update``.

Without ``--update`` it says what differs from the list, with exit code 1 where something does. What raises without torch's words for
a refusal is none: it is left to the run, which calls it an error.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from refgrad.bounds.formats import DTYPES, judged_on
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded
from refgrad.testing.deviations.expected_refusals import Refusal, Support, load, release, updated, written
from refgrad.testing.judging.unanswered import NOT_ASKED
from refgrad.testing.judging.verdict import UNSUPPORTED
from refgrad.testing.runs.judgement import MODES, judge

from .families import family, names_in

LIST = Path(__file__).with_name("unsupported.toml")
DRAWS = 12  # cases of each op and dtype: a refusal lies in the op, and rarely in its arguments
HEAD = """\
What torch says that it has no derivative or kernel for: it is expected to refuse this, and to answer everything else.
Written by `python -m conformance.support --update` under each release in [recorded]; testing/deviations/expected_refusals.py reads it."""


def cases(device: str, draws: int = DRAWS) -> Iterator[Case]:
    """Single ops in every dtype that the device computes in, the same ones each time."""
    from refgrad.torch.devices import supported

    for dtype in DTYPES:
        if judged_on(device, dtype) and supported(device, dtype):
            for op in names_in(dtype):
                for k in range(draws):
                    yield family("ops", (op,))(Seeded((k,)), dtype).on(device)


def refusals(case: Case) -> set[Refusal]:
    """What torch refuses of one case, in its own words for that."""
    from refgrad.torch.observe import observe

    seen = observe(case)
    reasons = [*seen.unavailable.values(), *(seen.modes.unavailable.values() if seen.modes else ())]
    if not any(why.refused for why in reasons):
        return set()  # nothing to judge for
    refused = [v for v in judge(case, seen) if v.status == UNSUPPORTED and v.reason != NOT_ASKED.words]
    kind = case.device.partition(":")[0]
    return {Refusal(v.first_wrong[1] if v.first_wrong else "", v.mode, case.dtype, kind) for v in refused}


def text(support: Support) -> str:
    """The list as it stands in the file."""
    return written(support, HEAD, MODES, DTYPES)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    from refgrad.torch.devices import VERSION, device

    parser = argparse.ArgumentParser(prog="python -m conformance.support", description=__doc__.split(":")[0])
    parser.add_argument("--update", action="store_true", help="write what was found into the list")
    parser.add_argument("--device", default="cpu", help="the device to ask (default: cpu)")
    parser.add_argument(
        "--list", type=Path, default=LIST, help=f"the file (default: {LIST.name} beside the suite)"
    )
    args = parser.parse_args(arguments)
    kind = device(args.device).type
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # degrees of freedom and the like, drawn on purpose
        found = set().union(*(refusals(case) for case in cases(args.device)))
    before = load(args.list, VERSION) if args.list.exists() else Support({}, {}, VERSION)
    after = updated(before, kind, found)
    changed = text(after) != text(before)
    for place in sorted({*before.refusals, *after.refusals}):
        seen = [place in s.refusals and release(VERSION) in s.refusals[place] for s in (before, after)]
        if seen[0] != seen[1]:
            print(f"{'refused' if seen[1] else 'answered'} in {release(VERSION)}: {' '.join(place)}")
    if args.update and changed:
        args.list.write_text(text(after), encoding="utf-8")
    state = "written" if args.update and changed else "differs" if changed else "is up to date"
    print(f"{args.list}: {len(found)} refusals of torch {VERSION} on {kind}; the list {state}")
    return int(changed and not args.update)


if __name__ == "__main__":
    sys.exit(main())
