"""Writes the table of expected seconds from a run: ``python -m conformance.seconds results.jsonl``.

The table balances the shards of a run and orders its items. It needs no precision: the largest numbers matter. Replace it after a change
that makes a kind of item much faster or slower. The results come from a run with one worker (``--workers 1``) on a quiet machine.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from refgrad import report
from refgrad.records import FinishedItem

TABLE = Path(__file__).with_name("seconds.toml")
LONG = 0.2  # seconds from which a test has an entry of its own
HEAD = """\
# The expected seconds of test items. `python -m conformance.seconds RESULTS` writes it from a run.
# refgrad/testing/runs/expected_seconds.py reads it.
"""


def table(items: Iterable[FinishedItem]) -> str:
    """The table as TOML: by family and dtype the mean seconds of a case, by test the mean seconds, and the long tests."""
    cases: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    tests: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    long: dict[str, float] = {}
    for item in items:
        function, _, parameter = item.item.partition("[")
        if function == "test_family":
            family, dtype, *_ = parameter.split("-")
            found = cases[f"{family} {dtype}"]
            found[0], found[1] = found[0] + item.seconds, found[1] + item.judged
        elif item.seconds >= LONG:
            long[item.item] = item.seconds
        else:
            found = tests[function]
            found[0], found[1] = found[0] + item.seconds, found[1] + 1
    means = {name: seconds / count for name, (seconds, count) in tests.items() if count}
    return (
        HEAD
        + _section("cases", {name: seconds / count for name, (seconds, count) in cases.items() if count})
        + _section("tests", {**means, **long})
    )


def _section(name: str, seconds: dict[str, float]) -> str:
    lines = [f'"{key}" = {float(f"{value:.2g}")}' for key, value in sorted(seconds.items())]
    return "\n".join(["", f"[{name}]", *lines, ""])


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m conformance.seconds", description=__doc__.split(":")[0])
    parser.add_argument("results", help="results.jsonl or results.jsonl.gz")
    parser.add_argument("--to", type=Path, default=TABLE, help="the table (default: that of the suite)")
    args = parser.parse_args(arguments)
    run = report.load(args.results)
    args.to.write_text(table(run.items), encoding="utf-8")
    print(f"{args.to}: the seconds of {len(run.items)} items")
    return 0


if __name__ == "__main__":
    sys.exit(main())
