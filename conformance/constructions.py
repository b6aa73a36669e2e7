"""Explicit and implicit graphs: ``python -m conformance.constructions --backend mxnet-symbol --backend mxnet --programs 200``.

The lectures name two ways to a computational graph. In the explicit one a program declares variables, builds the graph and binds data
later: PyTensor, MXNet's symbols, TensorFlow's functions. In the implicit one the program runs, and the framework records it: PyTorch,
MXNet's ``record``, TensorFlow's tape. Both have the same gradients. This command runs the items of the textbook and drawn graphs through
the given backends. It judges each, and compares the numbers of backends that are two constructions of one framework. A fused backend
rewrites a graph, and may round otherwise: its numbers are judged, and where they differ from those of the other construction is told.

Exit code 1: a backend disagrees with the derivative, or two constructions that rewrite nothing differ; 3: nothing was judged.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from refgrad import backends
from refgrad.backends import Backend
from refgrad.modes import REVERSE, VALUE
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.file import all_of
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import AGREE
from refgrad.testing.runs.deviation_evidence import applicable
from refgrad.testing.runs.item import examine

from .families import graphs
from .textbook import ITEMS
from .textbook.cases import of_item

EXPLICIT = ("pytensor", "mxnet-symbol", "tensorflow-function")  # declared first, bound later
IMPLICIT = ("torch", "mxnet", "tensorflow")  # recorded as it runs
PAIRS = (("mxnet-symbol", "mxnet"), ("tensorflow-function", "tensorflow"))  # of one framework


@dataclass
class Outcome:
    """What was seen of one backend, by status, and the first failures."""

    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@dataclass
class Pair:
    """The cases that two constructions of one framework answered: with equal numbers, with numbers that differ, and by one alone."""

    equal: int = 0
    different: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)


class Framework:
    """A backend with the recorded disagreements that may excuse it."""

    def __init__(self, name: str) -> None:
        self.backend: Backend = backends.load(name)
        self.backend.settle()
        own = Path(__file__).with_name("deviations.toml")
        self.deviations: list[Deviation] = applicable(
            all_of(own, (), self.backend.name), self.backend.build, self.backend.judged
        )
        self.outcome = Outcome()

    def judge(self, what: str, case: Case) -> Observation:
        """The observation of a case, which is judged and counted."""
        seen: list[Observation] = []

        def observe(asked: Case) -> Observation:
            seen.append(self.backend.judged(asked))
            return seen[0]

        with np.errstate(all="ignore"):
            verdicts = examine(case, observe, self.deviations)
        failed = [v for v in verdicts if v.failed]
        self.outcome.failures += [f"{what}: {v.mode}: {v.message or v.reason}" for v in failed[:1]]
        reverse = next((v for v in verdicts if v.mode == REVERSE), verdicts[0])
        self.outcome.statuses["failed" if failed else "known" if reverse.known else reverse.status] += 1
        return seen[0]


def cases(dtype: str, programs: int, seed: int) -> Iterator[tuple[str, Case]]:
    """The items of the textbook, then drawn graphs, each with a name."""
    for item in ITEMS:
        if dtype in item.dtypes:
            for k, case in enumerate(of_item(item, dtype)):
                yield f"{item.id} {k}", case
    for k in range(programs):
        yield f"graph {k}", graphs(Seeded([seed, k]), dtype)


def numbers(seen: Observation, case: Case) -> list[Any] | None:
    """The value and the gradients of the inputs; None where there is no answer."""
    if VALUE in seen.unavailable or REVERSE in seen.unavailable:
        return None
    found = [seen.cotangents[k] for k in case.graph.inputs.values()]
    return [seen.values[case.graph.outputs[0]], *found]


def same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two constructions gave the same numbers, bit for bit but for the payload of NaN. A missing gradient is one of zeros."""

    def bits(x: Any, like: Any) -> Any:
        return np.zeros(np.shape(like)) if x is None else np.asarray(x, float)

    for a, b in zip(one, other, strict=True):
        x, y = bits(a, b), bits(b, a)
        if not np.array_equal(x, y, equal_nan=True):
            return False
        if (
            a is not None
            and b is not None
            and not np.array_equal(np.signbit(x) | np.isnan(x), np.signbit(y) | np.isnan(y))
        ):
            return False
    return True


def compare(
    frameworks: Sequence[Framework], drawn: Iterator[tuple[str, Case]]
) -> dict[tuple[str, str], Pair]:
    """Judge all cases on all backends. Returns the pairs of constructions among them."""
    names = [f.backend.name for f in frameworks]
    pairs = {pair: Pair() for pair in PAIRS if set(pair) <= set(names)}
    for what, case in drawn:
        seen = dict(zip(names, (f.judge(what, case) for f in frameworks), strict=True))
        for (one, other), pair in pairs.items():
            found = [numbers(seen[one], case), numbers(seen[other], case)]
            if found[0] is None or found[1] is None:
                pair.alone += [what] if found != [None, None] else []
            elif same(found[0], found[1]):
                pair.equal += 1
            else:
                pair.different.append(what)
    return pairs


def main(arguments: list[str] | None = None, *, dtype: str = "float32") -> int:
    """Run the command, by default in ``dtype``. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.constructions", description=(__doc__ or "").split(":")[0]
    )
    parser.add_argument(
        "--backend",
        action="append",
        required=True,
        help="repeatable: NAME, or NAME=PYTHON for the Python that has it",
    )
    parser.add_argument(
        "--programs", type=int, default=200, help="drawn graphs beside the textbook (default: 200)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default=dtype)
    args = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message="(?i).*degrees of freedom")  # drawn on purpose
    frameworks = [Framework(name) for name in args.backend]
    pairs = compare(frameworks, cases(args.dtype, args.programs, args.seed))
    for f in frameworks:
        way = (
            "declared first"
            if f.backend.name in EXPLICIT
            else "recorded"
            if f.backend.name in IMPLICIT
            else "-"
        )
        counts = ", ".join(f"{n} {status}" for status, n in sorted(f.outcome.statuses.items()))
        print(f"{f.backend.name:<20} {way:<15} {sum(f.outcome.statuses.values())} cases: {counts}")
        for text in f.outcome.failures:
            print(f"  {text}")
    for (one, other), pair in pairs.items():
        counts = f"equal numbers in {pair.equal} cases, different in {len(pair.different)}, answered by one alone: {len(pair.alone)}"
        print(f"{one} and {other}: {counts}")
        for text in pair.different[:5]:
            print(f"  different: {text}")
    agree = sum(f.outcome.statuses[AGREE] for f in frameworks)
    fused = {f.backend.name for f in frameworks if f.backend.profile("cpu").fused}
    failed = any(f.outcome.failures for f in frameworks) or any(
        pair.different for names, pair in pairs.items() if not fused & {*names}
    )
    return 1 if failed else 0 if agree else 3


if __name__ == "__main__":
    sys.exit(main())
