"""Files that a report leaves: each appears whole or not at all, and the results of the run before are kept."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from pathlib import Path

from refgrad.records import Run

RESULTS = "results.jsonl.gz"  # beside the page: the data it was made from
PREVIOUS = "results.previous.jsonl.gz"


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file under another name and rename it: it appears whole or not at all, and until then an older one stays.

    A link stays a link. What is no file, such as /dev/stdout, /dev/null or a pipe, is written to and never replaced.
    """
    path, data = Path(path), content.encode() if isinstance(content, str) else content
    if no_file(path):
        with path.open("wb") as file:
            file.write(data)
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.chmod(0o644)  # mkstemp's files are for their owner alone; a report is to be read
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def no_file(path: Path) -> bool:
    """Whether this is a device, a pipe or the like; /dev/stdout is one wherever it leads."""
    return path.parent in (Path("/dev"), Path("/dev/fd")) or (path.exists() and not path.is_file())


def packed(run: Run) -> bytes:
    """The results of a run, or of all the runs that it was merged from, as gzip. The same results give the same bytes.

    ``load`` reads them again: what was merged is merged anew, and what is missing is missing still.
    """
    out = io.BytesIO()
    # Neither a name nor a time goes into the head, as gzip.compress would have it on some systems.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as stream:
        for part in run.parts or (run,):
            stream.write(part.lines)
    return out.getvalue()


def write_results(run: Run, folder: Path) -> Path:
    """Write ``results.jsonl.gz`` into a folder; other results of that name become ``results.previous.jsonl.gz``."""
    path, content = folder / RESULTS, packed(run)
    if path.exists():
        older = path.read_bytes()
        if older == content:
            return path
        write_whole(folder / PREVIOUS, older)
    write_whole(path, content)
    return path
