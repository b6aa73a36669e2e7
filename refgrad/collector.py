"""The search for cycles of references, which Python starts now and then.

It walks through all objects of all loaded modules. With torch loaded that takes a tenth of a second a time, and frees next to nothing.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No search meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def loading() -> Iterator[None]:
    """No search while modules are loaded. Later ones pass over all that exists then."""
    with paused():
        yield
        gc.freeze()


def spare_exit() -> None:
    """Leave out the searches at the end of this process, in which everything ends anyway."""
    atexit.register(gc.freeze)
