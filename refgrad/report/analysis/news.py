"""News of a run: changes of the framework's behaviour that fail nothing, such as recorded deviations that no longer occur."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from refgrad.records import News


def by_kind(news: Sequence[News]) -> dict[str, list[str]]:
    """The names by kind of news, both sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for n in sorted(news):
        found[n.kind].append(n.name)
    return dict(found)
