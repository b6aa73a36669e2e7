"""What a run has to tell that is no failure: recorded disagreements that are mended, or still there in a torch that nobody recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from refgrad.records import News


def by_kind(news: Sequence[News]) -> dict[str, list[str]]:
    """The names by kind of news, both in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for n in sorted(news):
        found[n.kind].append(n.name)
    return dict(found)
