"""A program drawn from a seed."""

from __future__ import annotations

import random

from tests.programs.idioms import IDIOMS
from tests.programs.program import Program
from tests.programs.scope import Refused, Scope, literal

SHAPES = ((), (3,), (3,), (4,), (2,), (2, 3), (2, 2), (3, 2), (2, 1, 2))
MOST_RESULTS = 5


def draw(seed: int) -> Program:
    """One to three arguments, three to nine idioms, and some of the variables as results."""
    scope = Scope(seed)
    source = scope.random
    scope.begin([(name, _argument(source)) for name in "xyz"[: source.choice((1, 1, 2, 2, 3))]])
    idioms = [function for function, _ in IDIOMS.values()]
    weights = [weight for _, weight in IDIOMS.values()]
    wanted = source.randint(3, 9)
    for function in source.choices(idioms, weights, k=3 * wanted):
        try:
            statements = function(scope)
        except Refused:
            continue
        wanted -= scope.add(statements)
        if not wanted:
            break
    results = scope.variables()
    last = [name for name in results if name[0] == "v"]
    chosen = source.sample(results, min(MOST_RESULTS, len(results)))
    chosen += [name for name in last[-1:] if name not in chosen]
    return scope.program(sorted(chosen, key=results.index))


def _argument(source: random.Random) -> str:
    shape = source.choice(SHAPES)
    text = f"np.{literal(source, shape)}"
    single = source.random() < 0.2
    if not shape and source.random() < 0.8:
        number = text.removeprefix("np.array(").removesuffix(")")
        return number if source.random() < 0.3 else f"np.{'float32' if single else 'float64'}({number})"
    return text.removesuffix(")") + (", np.float32)" if single else ")")
