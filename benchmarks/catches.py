"""What refgrad's gradcheck and torch's own catch of the mistakes that tests/torch_side/zoo plants: python -m benchmarks.catches.

A row for each kind: mistakes planted, how many each check refused, and how many of the right twins it refused as well. refgrad judges
in the dtypes in which a mistake is exposed, torch in float64, each with its defaults; of a mistake that shows in half formats alone,
torch is not asked and catches nothing. Second derivatives go to gradgradcheck.
"""

from __future__ import annotations

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

import refgrad.torch as checks
from conformance.mutants import MUTANTS
from tests.torch_side.zoo import catalogue
from tests.torch_side.zoo.asking import SPECIMENS, accepted_by_torch
from tests.torch_side.zoo.record import Kind

SHIPPED = "formulas that were shipped"
CHECKS = ("refgrad", "torch", "torch, fast mode")


@dataclass(frozen=True)
class Planted:
    """One mistake with its right twin, before any of the checks. ``make`` gives a fresh callable and inputs: some keep a state."""

    kind: str
    name: str
    # from "right" or "wrong", and a dtype
    make: Callable[[str, str], tuple[Callable[..., Any], tuple[Any, ...]]]
    reference: Callable[..., Any]
    exposed: tuple[str, ...]  # the dtypes in which the wrong twin is wrong
    dtypes: tuple[str, ...]  # those in which the right one works
    caught_as: tuple[str, ...] = ("disagree", "error")
    second: bool = False

    def refused(self, which: str, check: str) -> bool:
        """Whether the check refuses the twin."""
        if check == "refgrad":
            if which == "wrong":
                return all(self._by_refgrad(which, dtype) in self.caught_as for dtype in self.exposed)
            return any(self._by_refgrad(which, dtype) in ("disagree", "error") for dtype in self.dtypes)
        if "float64" not in self.exposed:  # torch's check wants float64, where this mistake is none
            return False
        func, inputs = self.make(which, "float64")
        return not accepted_by_torch(func, inputs, second=self.second, fast=check != "torch")

    def _by_refgrad(self, which: str, dtype: str) -> str:
        func, inputs = self.make(which, dtype)
        check = checks.gradgradcheck if self.second else checks.gradcheck
        return str(
            check(func, inputs, reference=self.reference, dtypes=(dtype,), raise_exception=False).status
        )


@dataclass
class Row:
    """Counts of one kind."""

    planted: int = 0
    caught: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0))
    alarms: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0))
    passed: list[str] = field(default_factory=list)  # what refgrad let pass

    def add(self, planted: Planted) -> None:
        self.planted += 1
        for check in CHECKS:
            self.caught[check] += planted.refused("wrong", check)
            self.alarms[check] += planted.refused("right", check)

    def plus(self, other: Row) -> Row:
        return Row(
            self.planted + other.planted,
            {c: self.caught[c] + other.caught[c] for c in CHECKS},
            {c: self.alarms[c] + other.alarms[c] for c in CHECKS},
        )

    def line(self, name: str) -> str:
        cells = [f"{self.caught[c]}" + (f" ({self.alarms[c]})" if self.alarms[c] else "") for c in CHECKS]
        return f"| {name} | {self.planted} | " + " | ".join(cells) + " |"


def planted() -> Iterator[Planted]:
    """All mistakes, those of the catalogue last."""
    for s in SPECIMENS:
        yield Planted(
            s.kind, s.name, lambda which, _, s=s: (getattr(s, which), s.drawn()), s.reference, s.exposed, s.dtypes,
            tuple({*s.status, "error"}), s.kind is Kind.SECOND,
        )  # fmt: skip
    for m in MUTANTS:
        if m.id not in catalogue.MENDED_BY_TORCH + catalogue.IMPOSSIBLE_IN_TORCH:
            yield Planted(
                SHIPPED, m.id,
                lambda which, dtype, m=m: (catalogue.callable_of(m, getattr(m, which)), catalogue.arguments(m, dtype)),
                m.forward, m.dtypes, m.dtypes,
            )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catches", description=__doc__)
    parser.add_argument("--kind", default="", help="a part of the name of a kind")
    parser.add_argument("--names", action="store_true", help="name what refgrad lets pass")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows: dict[str, Row] = {}
    for p in planted():
        if given.kind in p.kind:
            row = rows.setdefault(str(p.kind), Row())
            before = row.caught["refgrad"]
            row.add(p)
            if row.caught["refgrad"] == before:
                row.passed.append(p.name)
    print(f"torch {torch.__version__}, {pairs.THREADS[0]}=1; in brackets: right twins that are refused\n")
    print(f"| kind | planted | {' | '.join(CHECKS)} |\n|---|---|---|---|---|")
    total = Row()
    for name, row in rows.items():
        print(row.line(name))
        total = total.plus(row)
    print(total.line("in all"))
    if given.names:
        for name, row in rows.items():
            for passed in row.passed:
                print(f"passes: {name}: {passed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
