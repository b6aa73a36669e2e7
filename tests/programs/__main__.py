"""Judge random programs: ``python -m tests.programs --seed 1 --programs 20000``. Exits with 1 where one fails."""

from __future__ import annotations

import argparse
import sys
import time

from tests.programs.counting import Tally, judged

SEEDS = 1 << 32  # seeds of programs for one seed of a run


def main() -> int:
    """Draw, judge, print counts, refusals and one script for each kind of failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.programs", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--only", type=int, help="judge the one program that has this number")
    given = parser.parse_args()
    began = time.perf_counter()

    def progress(tally: Tally) -> None:
        if tally.programs % 1000 == 0:
            print(
                f"{tally.programs} programs, {time.perf_counter() - began:.0f} s: {dict(tally.answers)}",
                file=sys.stderr,
                flush=True,
            )

    first = given.seed * SEEDS
    seeds = range(first, first + given.programs) if given.only is None else (given.only,)
    tally = judged(seeds, progress=progress)
    for script in tally.scripts():
        print(script, "-" * 100, sep="\n")
    print(*tally.lines(), sep="\n")
    return 1 if tally.kinds else 0


if __name__ == "__main__":
    sys.exit(main())
