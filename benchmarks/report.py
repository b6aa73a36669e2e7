"""Time, memory and page size of ``refgrad report`` for results files of any size.

    refgrad conformance --examples 20 --out /tmp/run
    python -m benchmarks.report /tmp/run/results.jsonl --results 100000 1000000

A large file repeats the generated cases of a real run under new ids, with other digits in its numbers, and with some disagreements.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

from refgrad.records import AGREE, TEXTBOOK

_DIGITS = re.compile(rb"(?<=\d)\d{8}(?=[,}\]e])")  # the last digits of a number with many
_ONCE = {TEXTBOOK, "deviations"}  # families whose cases are not repeated


class Source:
    """The lines of a real run: its header, what stands in it once, and what is repeated."""

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        lines = (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).splitlines()
        self.header: dict[str, Any] = json.loads(lines[0])
        self.once: list[bytes] = []
        self.each: list[bytes] = []  # the audits and items of each repetition
        blocks: dict[str, list[bytes]] = defaultdict(list)
        for line in lines[1:]:
            record = json.loads(line)
            kind = record["type"]
            if kind == "case" or (kind == "result" and record["family"] not in _ONCE):
                blocks[record["id"]].append(line)
            elif kind in ("audit", "item"):
                self.each.append(line)
            elif kind not in ("plan", "end"):
                self.once.append(line)
        self.blocks = dict(blocks)
        self.case = next(
            json.loads(b[0])["case"] for b in self.blocks.values() if b[0].startswith(b'{"type":"case"')
        )

    def repeated(self, results: int, failures: int) -> Iterator[list[bytes]]:
        """Blocks of lines, one for each case, with so many results and so many disagreements among them."""
        written, due, k = 0, 0, 0
        while written < results:
            k += 1
            for old, block in self.blocks.items():
                new = hashlib.sha256(f"{old} {k}".encode()).hexdigest()[:16]
                turn = int(new[:8], 16)
                lines = [self._changed(line.replace(old.encode(), new.encode(), 1), turn) for line in block]
                written += sum(not line.startswith(b'{"type":"case"') for line in lines)
                if due < failures * written // results and not lines[0].startswith(b'{"type":"case"'):
                    lines, added = self._failing(new, lines)
                    due += added
                yield lines
                if written >= results:
                    return
            yield [line.replace(b'"item":"', b'"item":"%d ' % k, 1) for line in self.each]

    @staticmethod
    def _changed(line: bytes, turn: int) -> bytes:
        return _DIGITS.sub(lambda found: b"%08d" % ((int(found[0]) * 7 + turn) % 10**8), line)

    def _failing(self, case: str, lines: list[bytes]) -> tuple[list[bytes], int]:
        """The lines with one result turned into a disagreement, and 1; 0 where none can be turned."""
        for k, line in enumerate(lines):
            r = json.loads(line)
            if r["status"] == AGREE and r.get("worst") and r["ops"]:
                node = {"node": max(0, r["worst"]["node"]), "op": r["worst"]["op"]}
                worst = r["worst"] | {"ratio": 1e4, "ulp": 5e3}
                r |= {
                    "status": "disagree",
                    "worst": worst,
                    "worst_elements": [worst] * 3,
                    "first_wrong": node,
                    "wrong": 3,
                }
                r["message"] = (
                    f"{r['mode']}: first wrong at op {node['op']} (node {node['node']}), got {worst['got']}"
                )
                r["script"] = (
                    "import torch\n\nx = torch.tensor([0.5], requires_grad=True)\n" + "print(x.exp())\n" * 60
                )
                held = {"type": "case", "id": case, "case": self.case}
                changed = [json.dumps(d, separators=(",", ":")).encode() for d in (held, r)]
                return [changed[0], *lines[:k], changed[1], *lines[k + 1 :]], 1
        return lines, 0


def write(source: Source, folder: Path, results: int, failures: int, shards: int, packed: bool) -> list[Path]:
    """Write results files: one, or one for each shard. Returns their paths."""
    names = [folder / f"{results}-{k}.jsonl{'.gz' if packed else ''}" for k in range(1, shards + 1)]
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(p, packed)) for p in names]
        for k, file in enumerate(files, 1):
            head = source.header | ({"shard": f"{k}/{shards}"} if shards > 1 else {})
            file.write(json.dumps(head).encode() + b"\n")
        files[0].write(b"".join(line + b"\n" for line in source.once))
        for k, block in enumerate(source.repeated(results, failures)):
            files[k % shards].write(b"".join(line + b"\n" for line in block))
        end = {
            "type": "end",
            "exit": 1 if failures else 0,
            "finished": "2026-11-21T05:02:00Z",
            "seconds": 5000.0,
        }
        for file in files:
            file.write(json.dumps(end).encode() + b"\n")
    return names


def _opened(path: Path, packed: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "wb", 4)) if packed else path.open("wb")


def measured(command: Sequence[str]) -> tuple[int, float, float, float]:
    """Run a command. Returns exit code, wall time and CPU time in seconds, and peak memory in MB."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - itself
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return child.returncode, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6


def main() -> None:
    """Measure and print one line for each way of calling the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("run", type=Path, help="results of a real run")
    parser.add_argument("--results", type=int, nargs="+", default=[100_000])
    parser.add_argument("--failures", type=int, default=1000, help="disagreements in each file (1000)")
    parser.add_argument("--only", nargs="+", default=[], help="names of measurements; all without")
    args = parser.parse_args()
    source = Source(args.run)
    print(
        f"{'what':<28} {'results':>9} {'MB':>6} {'wall s':>7} {'CPU s':>7} {'peak MB':>8} {'page kB':>8}  exit"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for results in args.results:
            for what, shards, packed, options in _WAYS:
                if args.only and what not in args.only:
                    continue
                paths = write(source, folder, results, args.failures, shards, packed)
                out = folder / "out"
                given = [str(p) for p in paths]
                extra = [o.format(folder=folder, first=given[0]) for o in options]
                code, wall, cpu, peak = measured(
                    [sys.executable, "-m", "refgrad.cli", "report", *given, "--out", str(out), *extra]
                )
                size = sum(p.stat().st_size for p in paths) / 1e6
                page = (out / "report.html").stat().st_size / 1e3
                print(
                    f"{what:<28} {results:>9} {size:>6.0f} {wall:>7.1f} {cpu:>7.1f} {peak:>8.0f} {page:>8.0f}  {code}",
                    flush=True,
                )
                for path in (*paths, *out.glob("*")):
                    path.unlink()


_WAYS: list[tuple[str, int, bool, list[str]]] = [
    ("plain", 1, False, []),
    ("gz", 1, True, []),
    ("four shards", 4, False, []),
    ("four shards, gz", 4, True, []),
    ("baseline", 1, False, ["--baseline", "{first}"]),
    (
        "CI formats",
        1,
        False,
        ["--junit", "{folder}/junit.xml", "--gitlab", "{folder}/gitlab.json", "--github"],
    ),
]

if __name__ == "__main__":
    main()
