"""The command ``refgrad deviations``: lists the recorded disagreements, and updates their releases from a run."""

from __future__ import annotations

import re
from pathlib import Path

from refgrad import report
from refgrad.errors import ArgumentError
from refgrad.report.storage.files import write_atomically
from refgrad.suite.scope import location
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.file import load
from refgrad.testing.deviations.releases import Releases, numbers
from refgrad.testing.runs.deviation_evidence import NO_LONGER, STILL_THERE


def deviations(file: str | None, update: str | None) -> int:
    """List the entries of a file (default: the built-in one), or record in it which of them a run has observed.

    Returns the exit code. Raises ArgumentError where the results are not of one release.
    """
    path = Path(file) if file else location()[1] / "deviations.toml"
    entries = load(path)
    if update is None:
        for d in entries:
            print(f"{d.id:<40} {', '.join(sorted(d.ops)):<20} {d.releases}")
        return 0
    run = report.load(update)
    backend, release = run.header.backend, run.header.release
    try:
        numbers(release)
    except ArgumentError as error:
        raise ArgumentError(f"{update}: the results are not of one release of {backend}: {error}") from error
    seen = {n.name: n.kind == STILL_THERE for n in run.news if n.kind in (STILL_THERE, NO_LONGER)}
    text, changed = path.read_text(encoding="utf-8"), 0
    for d in entries:
        if d.id not in seen or d.releases.backend != backend:
            continue
        grown = d.releases.extended(release, there=seen[d.id])
        if grown != d.releases:
            text, changed = _written(text, d, grown), changed + 1
            print(f"{d.id}: {d.releases} -> {grown}")
    if changed:
        write_atomically(path, text)
    print(f"{changed} of {len(entries)} entries changed in {path}, by what was seen in {backend} {release}")
    return 0


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
