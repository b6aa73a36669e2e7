"""Measures false alarms: judges thousands of programs. ``python -m conformance.falsealarms --programs 20000 --seed 7``.

Programs depend on seeds alone: program k of seed s is the same on every machine. Each is judged node by node and from
end to end. Exit code 1: there is an alarm, and its case is written for ``refgrad repro``; 3: nothing was compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from refgrad import backends
from refgrad.bounds.formats import DTYPES, computed_on
from refgrad.errors import DeviceMissingError
from refgrad.modes import FORWARD_END_TO_END, REVERSE_END_TO_END
from refgrad.modes import NAMES as MODES
from refgrad.testing.cases.source import Seeded
from refgrad.testing.deviations.file import all_of
from refgrad.testing.judging.verdict import IMPRECISE, Verdict
from refgrad.testing.runs.deviation_evidence import applicable
from refgrad.testing.runs.item import examine

from .families import FAMILIES, ON_GRID, can_draw
from .families.arrays import EXACT

KINDS = {
    "node by node": tuple(m for m in MODES if m not in (FORWARD_END_TO_END, REVERSE_END_TO_END)),
    "end to end": (REVERSE_END_TO_END, FORWARD_END_TO_END),
}
_BLOCK = 100
# The family ops draws extreme points, at which frameworks are wrong: its disagreements are findings.
ORDINARY = tuple(name for name in FAMILIES if name != "ops")


@dataclass
class Alarm:
    """A disagreement without a recorded deviation, or an error."""

    family: str
    dtype: str
    program: int
    message: str
    case: str


@dataclass
class Count:
    """The counts of the programs of one dtype. Keys are (kind, what)."""

    programs: int = 0
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    ops: dict[tuple[str, str], float] = field(default_factory=dict)  # the worst error of an op, in bounds
    alarms: list[Alarm] = field(default_factory=list)

    def add(self, other: Count) -> None:
        """Add the counts of another block."""
        self.programs += other.programs
        self.found += other.found
        self.alarms += other.alarms
        for key, ratio in other.ops.items():
            self.ops[key] = max(self.ops.get(key, 0.0), ratio)

    def add_verdict(self, v: Verdict) -> None:
        """Count one verdict. Errors that are known or explained say nothing about the bound of an op."""
        kind = "end to end" if v.mode in KINDS["end to end"] else "node by node"
        self.found[kind, "known " + v.status if v.known else v.status] += 1
        self.found[kind, "elements"] += v.elements
        self.found[kind, "judged"] += v.elements - v.loose
        self.found[kind, "blind"] += v.blind
        if not (v.failed or v.known or v.status == IMPRECISE):
            for op, (_, _, ratio) in v.ops.items():
                self.ops[kind, op] = max(self.ops.get((kind, op), 0.0), ratio)


@dataclass(frozen=True)
class Block:
    """A block of programs of one dtype."""

    dtype: str
    families: tuple[str, ...]
    seed: int
    programs: range
    backend: str = "torch"
    device: str = "cpu"
    exact: bool = False  # whether all programs are on a grid

    def run(self) -> Count:
        """Judge the programs. Program k belongs to family k modulo the number of families that have the dtype."""
        backend = backends.load(self.backend)
        backend.settle()
        warnings.filterwarnings("ignore", message="(?i).*degrees of freedom")  # drawn on purpose
        entries = all_of(Path(__file__).with_name("deviations.toml"), (), backend.name)
        deviations, count = applicable(entries, backend.build, backend.judged), Count()
        families = [f for f in self.families if can_draw(f, None, self.dtype)]
        for k in self.programs:
            family = families[k % len(families)]
            with np.errstate(all="ignore"):
                draw = ON_GRID[family] if self.exact else FAMILIES[family]
                case = draw(Seeded([self.seed, k]), self.dtype).on(self.device)
                verdicts = examine(case, backend.judged, deviations)
            count.programs += 1
            for v in verdicts:
                count.add_verdict(v)
                if v.failed:
                    message = f"{v.mode}: {v.message or v.reason}"
                    count.alarms.append(Alarm(family, self.dtype, k, message, case.to_json()))
        return count


def show(dtype: str, count: Count) -> None:
    """Print the table of one dtype."""
    print(f"{dtype}: {count.programs:,} programs, {len(count.alarms)} alarms")
    for kind in KINDS:
        found = {what: n for (k, what), n in count.found.items() if k == kind}
        elements = found.get("elements", 0)
        share = (
            f"{found.get('judged', 0) / elements:.1%} with a bound below a tenth of the value, {found.get('blind', 0) / elements:.1%} blind"
            if elements
            else "none"
        )
        verdicts = ", ".join(
            f"{found[s]:,} {s}" for s in sorted(found) if s not in ("elements", "judged", "blind")
        )
        print(f"  {kind}: {elements:,} elements compared ({share}); verdicts: {verdicts}")
        near = sorted(((r, op) for (k, op), r in count.ops.items() if k == kind), reverse=True)[:8]
        print("    worst error in bounds: " + ", ".join(f"{op} {r:.3f}" for r, op in near))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance.falsealarms", description=__doc__.split(":")[0]
    )
    parser.add_argument("--programs", type=int, default=20_000, help="for each dtype (default: 20,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="torch", help="the backend to judge (default: torch)")
    parser.add_argument(
        "--family",
        action="append",
        choices=tuple(FAMILIES),
        help="repeatable; default: those whose programs are ordinary, in turn",
    )
    parser.add_argument(
        "--style",
        choices=("any", EXACT),
        default="any",
        help=f"{EXACT}: programs on a grid alone, of {', '.join(ON_GRID)}, whose bounds are zero (default: any)",
    )
    parser.add_argument(
        "--dtype", action="append", choices=DTYPES, help="repeatable; default: all that the device has"
    )
    parser.add_argument("--device", default="cpu", help="the device to judge (default: cpu)")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--out", default="reports/alarms", help="where the cases of alarms are written")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        backends.load(args.backend).require(args.device)
    except DeviceMissingError as error:
        print(f"falsealarms: {error}", file=sys.stderr)
        return 3
    exact = args.style == EXACT
    dtypes = args.dtype or tuple(computed_on(args.device))
    families = tuple(args.family or (ON_GRID if exact else ORDINARY))
    if exact and not set(families) <= set(ON_GRID):
        parser.error(f"--style {EXACT} takes families of {', '.join(ON_GRID)}, got {', '.join(families)}")
    parts = [range(k, min(k + _BLOCK, args.programs)) for k in range(0, args.programs, _BLOCK)]
    blocks = [
        Block(dtype, families, args.seed, programs, args.backend, args.device, exact)
        for dtype in dtypes
        for programs in parts
    ]
    counts, start = {dtype: Count() for dtype in dtypes}, time.monotonic()
    with (
        multiprocessing.get_context("spawn").Pool(args.workers) if args.workers > 1 else nullcontext() as pool
    ):
        for block, count in zip(blocks, (map if pool is None else pool.imap)(Block.run, blocks), strict=True):
            counts[block.dtype].add(count)
            for alarm in count.alarms:
                _keep(Path(args.out), alarm)
            if block.programs.stop == args.programs:
                show(block.dtype, counts[block.dtype])
    alarms = sum(len(c.alarms) for c in counts.values())
    elements = sum(c.found[kind, "elements"] for c in counts.values() for kind in KINDS)
    print(
        f"seed {args.seed}: {sum(c.programs for c in counts.values()):,} programs, {alarms} alarms, {time.monotonic() - start:.0f} s"
    )
    return 1 if alarms else 0 if elements else 3


def _keep(folder: Path, alarm: Alarm) -> None:
    """Write the case of an alarm to a file, and print the alarm."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{alarm.dtype}-{alarm.family}-{alarm.program}.json"
    path.write_text(alarm.case, encoding="utf-8")
    print(
        f"ALARM {alarm.family} {alarm.dtype} program {alarm.program}: {alarm.message}\n  refgrad repro {path}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
