"""News of a run: changes of the framework's behaviour that fail nothing, such as recorded deviations that no longer occur."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from refgrad.records import News

SUPPORT = "support"  # the kind of what the framework answers although its list says that it refuses


def worth_telling(news: Iterable[News], refused: Collection[str]) -> tuple[News, ...]:
    """The distinct news, sorted, without support for what the framework ``refused`` at other arguments of the same run.

    Attention has several kernels, of which one lacks forward mode: the list of refusals does not tell them apart.
    """
    return tuple(sorted({n for n in news if n.kind != SUPPORT or n.name not in refused}))


def by_kind(news: Sequence[News]) -> dict[str, list[str]]:
    """The names by kind of news, both sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for n in sorted(news):
        found[n.kind].append(n.name)
    return dict(found)
