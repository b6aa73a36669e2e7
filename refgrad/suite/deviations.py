"""The command ``refgrad deviations``: lists the recorded disagreements, and updates their releases from a run."""

from __future__ import annotations

import re
from pathlib import Path

from refgrad import report
from refgrad.errors import ArgumentError
from refgrad.report.storage.files import write_atomically
from refgrad.suite.scope import location
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.file import load, own_files
from refgrad.testing.deviations.releases import DEFAULT, Releases, numbers
from refgrad.testing.runs.deviation_evidence import NO_LONGER, STILL_THERE


def deviations(file: str | None, update: str | None) -> int:
    """List the entries of a file (default: those of the suite), or record in it which of them a run has observed.

    Returns the exit code. Raises ArgumentError where the results are not of one release.
    """
    files = {Path(file): DEFAULT} if file else own_files(location()[1] / "deviations.toml")
    entries = {path: load(path, backend=backend) for path, backend in files.items()}
    if update is None:
        for d in (d for found in entries.values() for d in found):
            print(f"{d.id:<40} {', '.join(sorted(d.ops)):<20} {d.releases}")
        return 0
    run = report.load(update)
    backend, release = run.header.backend, run.header.release
    try:
        numbers(release)
    except ArgumentError as error:
        raise ArgumentError(f"{update}: the results are not of one release of {backend}: {error}") from error
    seen = {n.name: n.kind == STILL_THERE for n in run.news if n.kind in (STILL_THERE, NO_LONGER)}
    for path, found in entries.items():
        mine = [d for d in found if backend in d.backends]
        if mine or file:
            changed = _update(path, mine, seen, release)
            print(
                f"{changed} of {len(mine)} entries changed in {path}, by what was seen in {backend} {release}"
            )
    return 0


def _update(path: Path, entries: list[Deviation], seen: dict[str, bool], release: str) -> int:
    """Record a release in the entries of a file; ``seen`` tells which were there. Returns the number of changed entries."""
    text, changed = path.read_text(encoding="utf-8"), 0
    for d in entries:
        grown = d.releases.extended(release, there=seen[d.id]) if d.id in seen else d.releases
        if grown != d.releases:
            text, changed = _written(text, d, grown), changed + 1
            print(f"{d.id}: {d.releases} -> {grown}")
    if changed:
        write_atomically(path, text)
    return changed


def _written(text: str, entry: Deviation, releases: Releases) -> str:
    """The text of the file with the releases of one entry replaced."""
    lines = f'seen = ["{releases.first}", "{releases.last}"]\n'
    for name in ("mended", "absent"):
        release = getattr(releases, name)
        lines += f'{name} = "{release}"\n' if release else ""
    blocks = re.split(r"(?m)^(?=\[\[deviation\]\])", text)
    for k, block in enumerate(blocks):
        if re.search(rf"(?m)^id\s*=\s*[\"']{re.escape(entry.id)}[\"']", block):
            block = re.sub(r"(?m)^(mended|absent)\s*=.*\n", "", block)
            blocks[k] = re.sub(r"(?m)^seen\s*=.*\n", lambda _: lines, block, count=1)
    return "".join(blocks)
