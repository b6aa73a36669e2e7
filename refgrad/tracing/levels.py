"""The traced array of the innermost transformation among the arguments of a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from refgrad.op import Traced
from refgrad.tracing.differentiable_arguments import SEQUENCES


def innermost(arguments: Iterable[Any]) -> Any:
    """The traced array of the highest level in ``arguments``, in sequences, slices and dicts too; None where there is none."""
    return max(_traced(arguments), key=lambda x: int(x._level), default=None)


def _traced(x: Any) -> Iterator[Any]:
    if isinstance(x, Traced):
        yield x
    elif type(x) is slice:
        yield from _traced((x.start, x.stop, x.step))
    elif isinstance(x, SEQUENCES):
        for entry in x:
            yield from _traced(entry)
    elif type(x) is dict:
        yield from _traced(tuple(x.values()))
