"""The files that a report writes. Each is written atomically, and the results of the previous run are kept."""

from __future__ import annotations

import contextlib
import filecmp
import gzip
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from refgrad.report.analysis.run import Run

RESULTS = "results.jsonl.gz"  # in the folder of the page: the results that the page shows
PREVIOUS = "results.previous.jsonl.gz"
_AT_ONCE = 1000  # lines in one piece


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
    with temporary(path) as (file, name):
        file.write(data)
        file.close()
        name.replace(path)


@contextlib.contextmanager
def temporary(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file beside ``path``, open for writing, and its name. It is removed at the end, unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            Path(name).chmod(0o644)  # mkstemp makes files that only their owner can read
            yield file, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def is_special_file(path: Path) -> bool:
    """Whether a path is a device, a pipe or another special file. /dev/stdout counts as one even where it is redirected to a file."""
    return path.parent in (Path("/dev"), Path("/dev/fd")) or (path.exists() and not path.is_file())


def compress_results(run: Run, out: BinaryIO) -> None:
    """Write the results of a run, or of the runs that were merged into it, as gzip. Equal results give equal bytes.

    ``load`` reads them and merges them again.
    """
    # gzip.compress would write a time into the header on some systems.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as stream:
        for lines in run.files:
            rest = iter(lines)
            while some := list(islice(rest, _AT_ONCE)):
                stream.write(b"\n".join(some) + b"\n")


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """By label of a backend, the name of the folder with its page and its results: plain ASCII, and different for each."""
    found: dict[str, str] = {}
    for label in labels:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip(".-")[:60] or "backend"
        number = 2
        while name in found.values():
            name, number = f"{name.removesuffix(f'-{number - 1}')}-{number}", number + 1
        found[label] = name
    return found


def write_results(run: Run, folder: Path) -> Path:
    """Write ``results.jsonl.gz`` into a folder. Returns its path.

    Different results under that name are kept as ``results.previous.jsonl.gz``.
    """
    path = (folder / RESULTS).resolve()
    with temporary(path) as (file, name):
        compress_results(run, file)
        file.close()
        if path.exists():
            if filecmp.cmp(path, name, shallow=False):
                return folder / RESULTS
            previous = (folder / PREVIOUS).resolve()
            with temporary(previous) as (copy, copy_name), path.open("rb") as older:
                shutil.copyfileobj(older, copy)
                copy.close()
                copy_name.replace(previous)
        name.replace(path)
    return folder / RESULTS
