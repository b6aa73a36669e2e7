"""The folder in which the workers of a run keep the programs that their framework compiled.

A framework that compiles each op for each shape spends most of its time so. Workers that find the folder in their environment share what
one of them compiled, and a worker that is started again finds what its predecessor did.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from typing import Final

VARIABLE: Final = "REFGRAD_COMPILED"


def folder() -> str:
    """The folder that VARIABLE names.

    Where it names none, a temporary one, which processes that start later inherit. It is removed when this process ends.
    """
    if not os.environ.get(VARIABLE):
        made = tempfile.mkdtemp(prefix="refgrad-compiled-")
        os.environ[VARIABLE] = made
        atexit.register(_remove, made, os.getpid())
    return os.environ[VARIABLE]


def _remove(made: str, maker: int) -> None:
    """Remove the folder, in the process that made it alone: a fork of it inherits the call."""
    if os.getpid() == maker:
        shutil.rmtree(made, ignore_errors=True)
