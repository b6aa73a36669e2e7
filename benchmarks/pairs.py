"""Interleaved timing: contestants take turns within one run, so drift of the machine cancels in the ratios."""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
for _variable in THREADS:  # before NumPy is imported: one thread
    os.environ[_variable] = "1"

import statistics
import time
from collections.abc import Callable


def interleaved(
    contestants: dict[str, Callable[[], object]],
    rounds: int = 25,
    calls: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds a call, one entry a round, for each contestant; every round calls all of them in turn, after two warm-up rounds.

    ``time.process_time`` as the clock leaves out what other processes take.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 2):
        for name, call in contestants.items():
            start = clock()
            for _ in range(calls):
                call()
            if turn >= 2:
                times[name].append((clock() - start) / calls)
    return times


def ratio(times: dict[str, list[float]], name: str, base: str) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the ratios round by round."""
    ratios = sorted(a / b for a, b in zip(times[name], times[base], strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4)
    return low, middle, high


def show(title: str, times: dict[str, list[float]], base: str) -> None:
    """Print each contestant's median time and its ratio to the base."""
    print(f"\n{title}")
    for name, seconds in times.items():
        low, middle, high = ratio(times, name, base)
        print(
            f"  {name:<28} {statistics.median(seconds) * 1e6:12.1f} us   {middle:6.3f} x {base} (quartiles {low:.3f} to {high:.3f})"
        )
