"""The files that a report writes. Each is written atomically, and the results of the previous run are kept."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from pathlib import Path

from refgrad.records import Run

RESULTS = "results.jsonl.gz"  # in the folder of the page: the results that the page shows
PREVIOUS = "results.previous.jsonl.gz"


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Write a file atomically: under a temporary name that is renamed when the content is complete.

    The target of a symbolic link is replaced, not the link. A special file, such as /dev/stdout or a pipe, is written to directly.
    Raises OSError where the file cannot be written; an existing file is then unchanged.
    """
    path, data = Path(path), content.encode() if isinstance(content, str) else content
    if is_special_file(path):
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
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_special_file(path: Path) -> bool:
    """Whether a path is a device, a pipe or another special file. /dev/stdout counts as one even where it is redirected to a file."""
    return path.parent in (Path("/dev"), Path("/dev/fd")) or (path.exists() and not path.is_file())


def compressed_results(run: Run) -> bytes:
    """The results of a run, or of the runs that were merged into it, as gzip. Equal results give equal bytes.

    ``load`` reads them and merges them again.
    """
    out = io.BytesIO()
    # gzip.compress would write a time into the header on some systems.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as stream:
        for part in run.parts or (run,):
            stream.write(part.lines)
    return out.getvalue()


def write_results(run: Run, folder: Path) -> Path:
    """Write ``results.jsonl.gz`` into a folder. Returns its path.

    Different results under that name are kept as ``results.previous.jsonl.gz``.
    """
    path, content = folder / RESULTS, compressed_results(run)
    if path.exists():
        older = path.read_bytes()
        if older == content:
            return path
        write_atomically(folder / PREVIOUS, older)
    write_atomically(path, content)
    return path
