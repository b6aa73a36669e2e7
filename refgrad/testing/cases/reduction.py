"""Reduces the choices of a failing case: fewer choices, and simpler ones.

The reduction is deterministic and works on recorded choices alone. It does not need Hypothesis, whose shrinker starts only from choices
that Hypothesis itself has drawn.
"""

from __future__ import annotations

from collections.abc import Callable

from refgrad.testing.cases.sequence import Choices

SPANS = (12, 7, 6, 4, 2, 1)  # lengths of the runs of choices to leave out; a step of a graph has 6 or 7
REACH = 6  # how far behind a number of repetitions the choices of one repetition are looked for
SHORT = 24  # most choices for which pairs are tried
RISE = 6  # by how much the second choice of a pair is raised at most
SEEDS = 3  # seeds of bulk numbers to try, from 0 on

Rank = tuple[int, ...]
Try = Callable[[Choices], tuple[Rank, Choices] | None]


class Reduction:
    """The search for the simplest choices with which a case still fails.

    ``attempt`` draws and judges the case of some choices. It returns the rank of a case that fails, and the choices that it took; None
    for a case that does not fail. ``improves`` tells it which cases are worth judging. Of two ranks the smaller is the simpler case.
    Cases of equal rank are ordered by the number of choices, then by the choices.
    """

    def __init__(self, start: Choices, rank: Rank, attempt: Try) -> None:
        self.best, self.rank = start, rank
        self._attempt = attempt
        self._tried: set[Choices] = {start}

    def run(self) -> Choices:
        """The simplest choices found, after no step makes them simpler."""
        before = None
        while before != self.best:
            before = self.best
            self._reseed()
            self._end_early()
            self._take_first_options()
            self._leave_out()
            self._lower()
            self._repeat_less()
            self._exchange()
        return self.best

    def improves(self, rank: Rank, choices: Choices) -> bool:
        """Whether a case of this rank and these choices is simpler than the simplest one so far."""
        return _key(rank, choices) < _key(self.rank, self.best)

    def _accepts(self, made: tuple[int, ...], seed: tuple[int, ...] | None = None) -> bool:
        """Try some choices, with the bulk numbers of the best so far unless a seed is given."""
        choices = Choices(made, self.best.seed if seed is None else seed)
        if choices in self._tried:
            return False
        self._tried.add(choices)
        found = self._attempt(choices)
        if found is None or not self.improves(*found):
            return False
        self.rank, self.best = found
        self._tried.add(self.best)
        return True

    def _reseed(self) -> None:
        """Other bulk numbers."""
        any(self._accepts(self.best.made, (k,)) for k in range(SEEDS))

    def _end_early(self) -> None:
        """The first choices alone, as few as possible; first options follow."""
        count = 0
        while count < len(self.best.made) and not self._accepts(self.best.made[:count]):
            count += 1 + count // 2

    def _take_first_options(self) -> None:
        """The first option in one place."""
        i = 0
        while i < len(self.best.made):
            made = self.best.made
            if made[i]:
                self._accepts((*made[:i], 0, *made[i + 1 :]))
            i += 1

    def _leave_out(self) -> None:
        """A run of choices left out, the last ones first."""
        for span in SPANS:
            i = len(self.best.made) - span
            while i >= 0:
                made = self.best.made
                self._accepts(made[:i] + made[i + span :])
                i = min(i - 1, len(self.best.made) - span)

    def _lower(self) -> None:
        """A smaller option in one place: nearly the first one, part of it, one less."""
        i = 0
        while i < len(self.best.made):
            made = self.best.made
            taken = made[i]
            less = dict.fromkeys((1, 2, taken // 4, taken // 2, taken - taken // 4, taken - 1))
            if not any(self._accepts((*made[:i], k, *made[i + 1 :])) for k in less if 0 < k < taken):
                i += 1

    def _repeat_less(self) -> None:
        """One less in one place, and one or two choices behind it left out: a repetition less, with its choices."""
        i = 0
        while i < len(self.best.made):
            made = self.best.made
            places = range(i + 1, min(i + 1 + REACH, len(made))) if made[i] else range(0)
            if not any(
                self._accepts((*made[:i], made[i] - 1, *made[i + 1 : j], *made[j + span :]))
                for j in places
                for span in (1, 2)
            ):
                i += 1

    def _exchange(self) -> None:
        """The first option in one place, and a little higher choice in another.

        The same option may have a higher number among other options, and a later option may give a case of lower rank.
        """
        i = 0
        while i < len(self.best.made) <= SHORT:
            made = (*self.best.made[:i], 0, *self.best.made[i + 1 :])
            any(
                self._accepts((*made[:j], made[j] + rise, *made[j + 1 :]))
                for j in range(len(made))
                if i != j or not self.best.made[i]
                for rise in range(1, RISE + 1)
            )
            i += 1


def _key(rank: Rank, choices: Choices) -> tuple[Rank, int, tuple[int, ...], int, tuple[int, ...]]:
    made, seed = choices
    return rank, len(made), made, len(seed), seed
