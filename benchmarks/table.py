"""python -m benchmarks.table: the table of peers in docs/performance.md, every row measured side by side in this run.

``--print`` prints the page's part and leaves the file alone. A tool that is not installed is shown as missing.
"""

from __future__ import annotations

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import argparse
import datetime as dt
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import refgrad as rg
from benchmarks import checks, peers, processes, rows
from benchmarks.peers import COLUMNS, HAND, HIPS, JAX, OURS, TORCH
from benchmarks.rows import Row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- begin: python -m benchmarks.table -->", "<!-- end -->"

# What limits a row whose goal is missed, by the beginning of its name.
LIMITS = {
    "two-layer": "the weights are read twice to see whether the function has written to them (8 %), the batch is copied, for the program "
    "may write to it (6 %); the rest is that of the tape",
    "perceptron": "the same two guards of arguments and constants",
    "one JVP": "the parameters are read twice to see whether the function has written to them, and the tangents are copied",
    "Hessian": "the tape holds dual numbers: each op takes the general way of two modes",
    "gradient of sum": "the goal is a time, and not a ratio: the tape of the same run tells how fast the machine is",
    "Jacobian": "rules of ops that are not elementwise are called for each tangent",
    "full check": "gradcheck asks torch for one number and compares it; refgrad computes every element and its bound in long double, whose "
    "functions cost several times those of float64",
    "random graphs": "see the row of the judge: drawing checks domains, so that no case is at a pole",
}


def import_rows() -> list[Row]:
    times = processes.imports()
    base = times[HAND]
    cells = {c: times[c] / base for c in (HAND, TORCH, HIPS, JAX, OURS) if c in times}
    first, helped = times["first use"] / base, times["help"] / base
    note = f"import numpy: {base * 1e3:.0f} ms; the first use of a transformation loads NumPy and the ops: {first:.2f}"
    return [
        Row("import", "x import numpy", cells, 1.2, note=note),
        Row(
            "refgrad --help",
            "x import numpy",
            {OURS: helped},
            0.6,
            note=f"Python alone: {times['python'] / base:.2f}",
        ),
    ]


def memory_rows() -> list[Row]:
    if not Path("/proc/self/clear_refs").exists():
        return []
    reverse, forward, others = processes.memory()
    reverse, forward = [{c: round(n, 1) for c, n in found.items()} for found in (reverse, forward)]
    note = ", ".join(f"{ops:,} ops: {n:.1f}" for ops, n in others.items())
    return [
        Row("peak memory in reverse mode, 1,000 ops on 1e5 numbers", "vectors", reverse, 510.0),
        Row("peak memory in forward mode, the same", "vectors", forward, 6.0, note=f"refgrad at {note}"),
    ]


PARTS: dict[str, Callable[[], Row | list[Row]]] = {
    "chains": rows.chains,
    "networks": rows.networks,
    "derivatives": rows.derivatives,
    "memory": memory_rows,
    "graphs": rows.graphs,
    "small": rows.small,
    "gradchecks": checks.gradchecks,
    "drawn": checks.drawn,
    "imports": import_rows,
}


def _figure(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}" if x < 0.995 else f"{x:.2f}"


def _limit(row: Row) -> str:
    return next((text for start, text in LIMITS.items() if row.work.startswith(start)), "not known yet")


def lines(measured: Iterable[Row]) -> list[str]:
    """The table in Markdown, the notes of its rows, and what limits each missed one."""
    measured = list(measured)
    table = [f"| work | unit | {' | '.join(COLUMNS)} | goal | met |", "|---" * (len(COLUMNS) + 4) + "|"]
    for row in measured:
        cells = [_figure(row.cells[c]) if c in row.cells else "–" for c in COLUMNS]
        sign = "≤" if row.most else "≥"
        table.append(
            f"| {row.work} | {row.unit} | {' | '.join(cells)} | {sign} {row.goal:g} | {'yes' if row.met else '**no**'} |"
        )
    notes = [f"- {row.work}: {row.note}." for row in measured if row.note]
    missed = [f"- {row.work}: {_limit(row)}." for row in measured if not row.met]
    return [
        *table,
        "",
        "Further figures:",
        "",
        *notes,
        "",
        "What limits the rows that miss their goals:",
        "",
        *(missed or ["- none"]),
    ]


def head(seconds: float) -> list[str]:
    absent = peers.missing()
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in _lines_of("/proc/cpuinfo")
            if line.startswith("model name")
        ),
        platform.processor() or "unknown processor",
    )
    machine = (
        f"Measured on {dt.datetime.now(tz=dt.UTC).date()} in {seconds:.0f} s: {processor}, {os.cpu_count()} cores, one thread; "
        f"Python {platform.python_version()}, refgrad {rg.__version__}, {peers.versions()}."
    )
    return [machine, *([f"Not installed, and so missing below: {', '.join(absent)}."] if absent else [])]


def _lines_of(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument(
        "--print", action="store_true", help="print the part of the page, and leave the page alone"
    )
    parser.add_argument(
        "--part",
        action="append",
        choices=tuple(PARTS),
        help="measure this part alone, and print it (repeatable)",
    )
    options = parser.parse_args(arguments)
    start, measured = time.perf_counter(), list[Row]()
    for name in options.part or PARTS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        found = PARTS[name]()
        measured += found if isinstance(found, list) else [found]
    text = lines(measured)
    text = [*head(time.perf_counter() - start), "", *text]
    if options.part or options.print:
        print("\n".join(text))
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([f"{before}{BEGIN}", "", *text, "", f"{END}{after}"]), encoding="utf-8")
    print(f"{sum(row.met for row in measured)} of {len(measured)} goals met; the table is in {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])

__all__ = ["lines", "main", "pairs"]
