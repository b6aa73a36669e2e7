"""A lock on the output folder, so that two runs do not write to the same results file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from refgrad.errors import ArgumentError, ResultsWriteError


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Lock a folder, and create it if it does not exist. The operating system releases the lock when the process ends.

    Raises ArgumentError where the path is a file or another run holds the lock, ResultsWriteError where the folder cannot be created.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"{folder}: is a file; the name of a folder is expected")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsWriteError(f"{folder}: cannot be made: {error.strerror or error}") from error
    if sys.platform == "win32":  # Windows has no such lock
        yield
        return
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ResultsWriteError(f"{folder}: cannot be opened: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = "another run writes its results there; wait for its end, or name another folder"
            raise ArgumentError(f"{folder}: {why}") from None
        except OSError:  # the file system has no locks
            pass
        yield
    finally:
        os.close(descriptor)
