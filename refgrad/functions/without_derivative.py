"""Functions without a derivative: NumPy's own, applied to the plain values below the tracing (see tracing/differentiable_arguments.py)."""

from __future__ import annotations

from refgrad.tracing.differentiable_arguments import of_values
from refgrad.tracing.dispatch import implements

for _function in of_values():
    implements(_function)(_function)
