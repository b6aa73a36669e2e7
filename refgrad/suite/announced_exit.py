"""Judged code that ends the process of a run by ``os._exit``: its exit code 0 would say that everything agrees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from refgrad import console

CODE = 3  # that of a run without a verdict


@contextmanager
def announced_exit(path: Path) -> Iterator[None]:
    """In this process ``os._exit`` says on the standard error that the run ended early, and exits with code 3.

    A child of the process may end as it likes. A worker needs none of this: the run notes that it died, and over which case.

    path   the results file of the run
    """
    here, leave, errors = os.getpid(), os._exit, os.dup(2)  # pytest captures what is written to 2 itself

    def end(status: int) -> NoReturn:
        if os.getpid() != here:
            leave(status)
        said = console.printable_line(
            f"refgrad: the judged code called os._exit({status}), which ends the process of the run. What was judged until then is in "
            f"{path}; --resume goes on, and with --workers 1 or more the run outlives such code and names the case"
        )
        os.write(errors, f"\n{said}\n".encode())
        leave(CODE)

    os._exit = end
    try:
        yield
    finally:
        os._exit = leave
        os.close(errors)
