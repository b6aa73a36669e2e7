"""What came of many programs: counts, refusals by their reasons, failures by their kinds."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable

from tests.programs.drawing import draw
from tests.programs.judging import Outcome, judge
from tests.programs.program import Program
from tests.programs.shrinking import kind_of, shrunk


@dataclasses.dataclass
class Tally:
    """Counts of programs, and one short program of each kind of failure."""

    answers: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    refusals: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    second: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    failures: dict[str, tuple[Program, Outcome]] = dataclasses.field(default_factory=dict)
    rounded: dict[int, str] = dataclasses.field(default_factory=dict)  # by the number of the program
    elements: int = 0
    undefined: int = 0
    unsettled: int = 0

    @property
    def programs(self) -> int:
        """How many were judged."""
        return sum(self.answers.values())

    def add(self, program: Program, outcome: Outcome, shorten: bool) -> None:
        """Count one program."""
        self.answers[outcome.answer] += 1
        self.elements += outcome.elements
        self.unsettled += outcome.unsettled
        self.undefined += outcome.undefined
        if outcome.rounded:
            self.rounded[program.seed] = outcome.rounded
        if outcome.answer == "refused":
            self.refusals[outcome.what] += 1
        elif outcome.second:
            self.second[outcome.second if outcome.second in ("agrees", "unsettled") else "refused"] += 1
        if outcome.failed:
            if shorten:
                program, outcome = shrunk(program, outcome)
            kind = kind_of(program, outcome)
            self.kinds[kind] += 1
            self.failures.setdefault(kind, (program, outcome))

    def lines(self, most: int = 40) -> Iterable[str]:
        """The tally as text."""
        yield f"{self.programs} programs: " + ", ".join(
            f"{n} {answer}" for answer, n in self.answers.most_common()
        )
        yield f"elements compared: {self.elements}, of which {self.unsettled} did not settle, and {self.undefined} are NaN in refgrad"
        yield f"programs whose value is NumPy's but for its last bits: {len(self.rounded)}"
        yield from (
            f"{seed:13d}  {' '.join(text.split())[:120]}" for seed, text in list(self.rounded.items())[:10]
        )
        yield "second order: " + ", ".join(f"{n} {answer}" for answer, n in self.second.most_common())
        yield f"refusals: {len(self.refusals)} reasons"
        yield from (f"{n:7d}  {reason}" for reason, n in self.refusals.most_common(most))
        yield f"failures: {len(self.kinds)} kinds"
        yield from (f"{n:7d}  {kind}" for kind, n in self.kinds.most_common())

    def scripts(self) -> Iterable[str]:
        """One script for each kind of failure, with what was seen."""
        for kind, (program, outcome) in sorted(self.failures.items(), key=lambda item: -self.kinds[item[0]]):
            evidence = "".join(f"#   {line}\n" for line in outcome.evidence.splitlines())
            yield f"# {self.kinds[kind]} x {outcome.what}\n{evidence}{program.script(_check(program))}"


def _check(program: Program) -> str:
    xs = ", ".join(name for name, _ in program.arguments) + ","
    return (
        f"args = copy.deepcopy(({xs}))\nprint('plain  ', f(*copy.deepcopy(args)))\n"
        "ones = tuple(x * 0 + 1 for x in args)\n"
        "print('forward', rg.jvp(f, copy.deepcopy(args), ones))\n"
        "y, pullback = rg.vjp(f, *copy.deepcopy(args))\nprint('reverse', pullback(tuple(v * 0 + 1 for v in y)))\n"
    )


def judged(
    seeds: Iterable[int], shorten: bool = True, progress: Callable[[Tally], None] | None = None
) -> Tally:
    """The tally of the programs drawn from ``seeds``."""
    tally = Tally()
    for seed in seeds:
        program = draw(seed)
        tally.add(program, judge(program), shorten)
        if progress is not None:
            progress(tally)
    return tally
