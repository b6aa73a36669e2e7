"""How sharp the judge is, and what judging costs, in each format. Needs torch: the bound is held against what torch's error really was."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.pairs import interleaved, show
from conformance.families import FAMILIES
from refgrad.bounds.formats import FORMATS, computed_on
from refgrad.bounds.rules import reference_slack
from refgrad.testing import judge
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded
from refgrad.testing.judging.observation import Observation
from refgrad.testing.runs.judgement import Observed, judge_together
from refgrad.torch.observe import observe
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import vjp

Array = Any


def gradient(case: Case, lift: Callable[[Array], Any]) -> list[Any]:
    """The gradients of a case's inputs, over whatever ``lift`` makes of its arrays."""
    with np.errstate(all="ignore"):
        _, pullback = vjp(case.graph, *[lift(case.inputs[name]) for name in case.graph.inputs])
        return list(pullback(lift(case.cotangent)))


def bounded(case: Case) -> list[tuple[Array, Array]]:
    """The gradients with their bounds."""
    fmt = FORMATS[case.dtype]
    return [
        (v, e * reference_slack(fmt)) for v, e in (parts(g) for g in gradient(case, lambda x: exact(x, fmt)))
    ]


def elementwise(dtype: str, cases: list[Case], seen: list[Observation]) -> None:
    """Node by node: bound over gradient for what each elementwise op of the graphs sends back.

    At a tie or a kink the derivative is a set, and the radius its half width: no bound of rounding, so counted apart. What is left of
    the radius where nothing rounds is such a set.
    """
    fmt, found, sets = FORMATS[dtype], dict[str, list[Array]](), 0
    tiny = 2.0**-60  # of the rounding; some rules divide by u, so it is not 0
    unrounded = replace(fmt, u=tiny * fmt.u, u_acc=tiny * fmt.u_acc)
    for case, s in zip(cases, seen, strict=True):
        balls = [None if x is None else exact(x, fmt) if x.dtype.kind == "f" else x for x in s.values]
        for k in case.graph.order():
            node, y_bar = case.graph.nodes[k], s.cotangents[k]
            if node.op is None or not node.op.elementwise or y_bar is None:
                continue
            operands = [balls[j] for j in node.of]
            with np.errstate(all="ignore"):
                y = node.applied(operands)
                *plain, plain_y = [
                    exact(b.value, unrounded) if type(b) is Ball else b for b in (*operands, y)
                ]
                bars = node.contributions(operands, y, exact(y_bar, fmt))
                widths = node.contributions(plain, plain_y, exact(y_bar, unrounded))
                for (_, _, x_bar), (_, _, width) in zip(bars, widths, strict=True):
                    value, radius = parts(x_bar)
                    counted = np.isfinite(value) & (value != 0)
                    apart = counted & (parts(width)[1] > 0.1 * np.abs(value))
                    sets += int(apart.sum())
                    counted &= ~apart
                    found.setdefault(node.op.name, []).append(
                        (radius[counted] / np.abs(value[counted])).ravel() / fmt.u
                    )
    ops = {name: np.concatenate(v) for name, v in found.items()}
    every = np.concatenate(list(ops.values()))
    widest = sorted(((float(np.median(v)), name) for name, v in ops.items() if v.size), reverse=True)[:6]
    print(
        f"  node by node, elementwise: median bound {np.median(every):.2f} u of the gradient ({every.size} elements, "
        f"{sets} more are sets), widest {', '.join(f'{name} {middle:.1f}' for middle, name in widest)}"
    )


def whole(cases: list[Case], seen: list[Observation]) -> None:
    """End to end: bound over the error that torch made."""
    ratios, exactly, total = [], 0, 0
    for case, s in zip(cases, seen, strict=True):
        if "reverse" in s.unavailable:
            continue
        for (value, bound), k in zip(bounded(case), case.graph.inputs.values(), strict=True):
            if s.cotangents[k] is None:
                continue
            with np.errstate(invalid="ignore"):
                error = np.abs(s.cotangents[k] - value)
            counted = np.isfinite(error) & np.isfinite(bound) & (bound > 0)
            total += int(counted.sum())
            exactly += int((counted & (error == 0)).sum())
            hit = counted & (error > 0)
            ratios.append((bound[hit] / error[hit]).astype(float))
    low, middle, high = np.percentile(np.concatenate(ratios), [25, 50, 75])
    print(
        f"  end to end: bound / error of torch {middle:.1f} (quartiles {low:.1f} to {high:.1f}); "
        f"{exactly} of {total} elements without any error"
    )


def cost(dtype: str, cases: list[Case], seen: list[Observation]) -> None:
    """Seconds for a batch of graphs, in turn: the plain float64 gradient, the same with bounds, all five verdicts."""

    def plain() -> None:
        for case in cases:
            gradient(case, lambda x: np.asarray(x, np.float64))

    def verdicts() -> None:
        with np.errstate(all="ignore"):
            for case, s in zip(cases, seen, strict=True):
                judge(case, s)

    contestants = {
        "float64 gradient": plain,
        "gradient with bounds": lambda: [bounded(c) for c in cases],
        "all five verdicts": verdicts,
    }
    show(f"  {len(cases)} random graphs, {dtype}", interleaved(contestants, rounds=5), "float64 gradient")


def draw(dtype: str, count: int) -> list[Case]:
    """The random graphs of the benchmark."""
    return [FAMILIES["graphs"](Seeded([9, k]), dtype) for k in range(count)]


def throughput(dtype: str, count: int, rounds: int = 5) -> None:
    """Cases a second on one core: drawn, run in torch, judged in one sweep. The best processor time of some rounds."""
    judged: dict[str, tuple[bool | None, str]] = {
        "node by node": (False, "value, reverse, forward"),
        "as a run": (None, "those, and a sample from end to end"),
        "all five": (True, "those, and both derivatives of every case from end to end"),
    }
    stages: list[dict[str, float]] = []
    with np.errstate(all="ignore"):
        for _ in range(rounds):
            seconds = dict[str, float]()
            cases = _timed(seconds, "to draw", lambda: draw(dtype, count))
            seen = _timed(seconds, "to ask torch", lambda cases=cases: [observe(c) for c in cases])
            sweep = [Observed(*pair) for pair in zip(cases, seen, strict=True)]
            for name, (both, _) in judged.items():
                _timed(seconds, name, functools.partial(judge_together, sweep, end_to_end=both))
            stages.append(seconds)
    best = {name: min(s[name] for s in stages) / count for name in stages[0]}
    ready = best["to draw"] + best["to ask torch"]
    print(f"  a case takes {', '.join(f'{1e3 * t:.2f} ms {name}' for name, t in best.items())}")
    for name, (_, modes) in judged.items():
        print(
            f"  {name:<12} {1 / (ready + best[name]):6.0f} cases per second per core ({modes}; drawn and run in torch)"
        )


def _timed(seconds: dict[str, float], name: str, call: Callable[[], Any]) -> Any:
    """The result of a call, whose processor time is noted."""
    start = time.process_time()
    result = call()
    seconds[name] = time.process_time() - start
    return result


def main(count: int = 300) -> None:
    """Print everything for every format."""
    for dtype in computed_on():
        print(f"\njudge, {dtype}:")
        throughput(dtype, count)
        cases = draw(dtype, count)
        seen = [observe(case) for case in cases]
        elementwise(dtype, cases, seen)
        whole(cases, seen)
        cost(dtype, cases[:100], seen[:100])


if __name__ == "__main__":
    main()
