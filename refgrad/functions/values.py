"""Functions without a derivative: NumPy's own, applied to the plain values below the tracing (see guard.py)."""

from __future__ import annotations

from refgrad.dispatch import implements
from refgrad.guard import of_values

for _function in of_values():
    implements(_function)(_function)
