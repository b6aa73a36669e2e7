"""The worst point of each op's derivative, for the table of ops in the documentation."""

from __future__ import annotations

from benchmarks.slopes import exact
from benchmarks.slopes.measure import DTYPES, measure


def worst_points(count: int, seed: int = 0) -> dict[str, str]:
    """By the name of an op: the largest error of its derivative in either mode, in ULP, with its operand and dtype."""
    found = {}
    for op in exact.ops():
        worsts = [w for dtype in DTYPES for w in measure(op, dtype, count, seed)]
        worst = max(worsts, key=lambda w: w.error)
        at = ", ".join(f"{x:.6g}" for x in worst.at)
        found[op.name] = f"{worst.error:.2g} at {at} ({worst.dtype})" if worst.error else "0"
    return found


__all__ = ["worst_points"]
