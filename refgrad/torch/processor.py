"""The state of the processor that code under test may leave behind, and in which the reference would be computed after it."""

from __future__ import annotations

import sys

import torch

_LEAST = sys.float_info.min  # the smallest normal number


def keep_subnormals() -> None:
    """Subnormal numbers are numbers again, if a kernel has left the processor taking them as zero.

    ``torch.set_flush_denormal(True)`` does so, and so do libraries that were built with fast-math, when they are loaded. The mode belongs
    to the thread. The reference would lose the same numbers as the kernel, and agree.
    """
    if _LEAST / 2 == 0.0:
        torch.set_flush_denormal(False)
