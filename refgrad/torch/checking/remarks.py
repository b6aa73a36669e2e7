"""What a report says of a number that is wrong only under certain conditions."""

from __future__ import annotations

from refgrad.testing.judging.verdict import Comparison


def said(judged: Comparison, what: str, when: str, advice: str = "") -> Comparison:
    """A note on an array that was right before: with the conditions, and with advice. Nothing where it is right again."""
    ending = f"; {advice}" if advice else ""
    if judged.note:
        return Comparison(note=f"{when}: {judged.note}{ending}")
    if not judged.wrong:
        return Comparison()
    worst = judged.wrong[0]
    return Comparison(
        note=f"{what}{list(worst.element)}: {when} got {worst.got}, expected {worst.expected}{ending}"
    )
