"""Right kernels against references in another formula: python -m benchmarks.gradcheck_pairs.

Prints, for each pair and dtype, how often gradcheck came to each verdict. Exit code 1: one of them was called wrong.
``--readme`` takes the README's example instead, at 64 to 100,000 elements.
"""

from __future__ import annotations

from refgrad.bounds.formats import computed_on

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import argparse
import sys
from collections import Counter

import torch

from refgrad.testing import Report
from refgrad.torch import gradcheck
from tests.torch_side.zoo.pairs import PAIRS, SWISH, Pair

DTYPES = tuple(computed_on("cpu"))
MARKS = {"agree": "a", "imprecise": "i", "undecided": "u", "disagree": "D", "error": "E", "unsupported": "-"}


def judged(pair: Pair, dtype: str, seed: int) -> Report:
    """The report of one pair, whatever it says."""
    return gradcheck(
        pair.kernel,
        pair.drawn(seed),
        reference=pair.reference,
        dtypes=(dtype,),
        seed=seed,
        raise_exception=False,
    )


def measure(pair: Pair, dtype: str, seeds: int) -> tuple[Counter[str], str]:
    """How often each status came, and the first disagreement in words."""
    found: Counter[str] = Counter()
    first = ""
    for seed in range(seeds):
        report = judged(pair, dtype, seed)
        found[report.status] += 1
        if report.status in ("disagree", "error") and not first:
            first = f"{pair.name}, {dtype}, seed {seed}\n{report.summary()}"
    return found, first


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 where a right kernel was called wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradcheck_pairs", description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--dtype", choices=DTYPES, action="append")
    parser.add_argument("--only", default="", help="a part of the pair's name")
    parser.add_argument("--readme", action="store_true", help="the README's example alone")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dtypes = given.dtype or DTYPES
    print(f"torch {torch.__version__}, {given.seeds} seeds; {pairs.THREADS[0]}=1")
    print(f"{'':40}" + "".join(f"{d:>16}" for d in dtypes))
    totals: Counter[str] = Counter()
    alarms: list[str] = []
    for pair in SWISH if given.readme else PAIRS:
        if given.only not in pair.name:
            continue
        cells = []
        for dtype in dtypes:
            found, alarm = measure(pair, dtype, given.seeds)
            totals += found
            alarms += [alarm] if alarm else []
            cells.append(" ".join(f"{MARKS[status]}{n}" for status, n in sorted(found.items())))
        print(f"{pair.name:40}" + "".join(f"{cell:>16}" for cell in cells), flush=True)
    print("in all: " + ", ".join(f"{status} {n}" for status, n in sorted(totals.items())))
    for alarm in alarms:
        print(f"\n{alarm}")
    return int(bool(alarms))


if __name__ == "__main__":
    sys.exit(main())
