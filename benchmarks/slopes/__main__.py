"""python -m benchmarks.slopes: the worst point of each slope, by op, dtype and mode; exit code 1 where one is off by more than the goal.

``--order 2`` measures second derivatives. Ops are named one by one; all are measured unless some are.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.slopes import exact
from benchmarks.slopes.measure import DTYPES, measure

GOAL = {1: 4.0, 2: 8.0}  # ULP


def main(arguments: list[str] | None = None) -> int:
    """Print the worst points; 1 where the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slopes", description=__doc__)
    known = {op.name: op for op in exact.ops()}
    parser.add_argument("ops", nargs="*", metavar="op", help=f"of: {', '.join(known)}")
    parser.add_argument("--count", type=int, default=2000, help="points of each op and dtype")
    parser.add_argument("--order", type=int, choices=(1, 2), default=1)
    parser.add_argument("--dtype", choices=DTYPES, action="append")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if unknown := set(given.ops) - known.keys():
        parser.error(f"op {min(unknown)!r} is not measured; one of {sorted(known)} is expected")
    missed = 0
    print(f"{'op':20}{'operand':8}{'dtype':9}{'mode':22}{'points':>6}{'ULP':>11}  worst")
    for name in given.ops or known:
        if given.order == 2 and not known[name].domain.smooth:
            continue
        for dtype in given.dtype or DTYPES:
            for worst in measure(known[name], dtype, given.count, given.seed, given.order):
                above = worst.error > GOAL[given.order]
                missed += above
                print(f"{worst}{'  ABOVE' if above else ''}", flush=True)
    print(f"{missed} above {GOAL[given.order]:g} ULP")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
