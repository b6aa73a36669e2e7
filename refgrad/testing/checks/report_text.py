"""A report as text: the status in the first line, then a line for each dtype and mode.

Below a line that does not agree, each array has a line, and each wrong array its worst elements, conditions and explanation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence, Question
from refgrad.testing.checks.findings import Findings
from refgrad.testing.judging.verdict import (
    AGREE,
    DISAGREE,
    ERROR,
    IMPRECISE,
    UNDECIDED,
    UNSUPPORTED,
    Element,
    Verdict,
    digits,
)

_LISTED = 3  # reasons in the first line, at most
_ELEMENTS = 2  # elements of one array, at most
ADVICE = {
    IMPRECISE: "imprecise: rounding by another right formula can leave as few digits. strict=True refuses it; a formula without the "
    "cancellation mends it. See docs/gradcheck.md.",
    UNDECIDED: "undecided: nothing was found wrong, but a wrong gradient would not have been seen. Give inputs with shorter sums, a "
    "finer dtype or a reference in closed form (each step of an iteration widens its bounds), or pass "
    "allow_undecided=True. See docs/gradcheck.md.",
}


def summary(report: Findings) -> str:
    """The report as text, without a final newline."""
    status = report.status
    why = _status_notes(report, status)
    lines = [f"{report.name}: {status}" + (f" ({why})" if why else "")]
    for dtype, v in report.verdicts:
        lines.append(f"  {_verdict_line(dtype, v, report.device)}")
        lines += [f"    {line}" for line in _details(v)]
    lines += [f"  note: {note}" for note in report.notes]
    found = {status, *(v.status for _, v in report.verdicts)}
    lines += [f"  {text}" for what, text in ADVICE.items() if what in found]
    return "\n".join(lines)


def _status_notes(report: Findings, status: str) -> str:
    """The reasons and restrictions of the status."""
    gradients = [(dtype, v) for dtype, v in report.verdicts if v.mode != "value"]
    parts: list[str] = []
    if status == IMPRECISE:
        digits_left = [v.digits for _, v in report.verdicts if v.status == IMPRECISE and v.digits is not None]
        parts += (
            [f"{min(digits_left):.1f} correct digits are left in the worst element"] if digits_left else []
        )
    if status in (UNDECIDED, UNSUPPORTED):
        parts += _reasons([(d, v) for d, v in gradients if v.status == status]) or ["no gradient was judged"]
    if status == AGREE and not any(v.elements for _, v in gradients):
        parts += dict.fromkeys(v.reason for _, v in gradients if v.status == AGREE and v.reason)
    if status in (AGREE, IMPRECISE):
        skipped = sum(v.skipped for _, v in gradients)
        if skipped:
            n = skipped + sum(v.elements for _, v in gradients)
            parts.append(
                f"{skipped} of {n} elements not judged: the reference has no finite derivative or bound there"
            )
    return "; ".join(parts)


def _reasons(found: list[tuple[str, Verdict]]) -> list[str]:
    """The first arrays that could not be judged, with reasons, and the number of further ones."""
    each = [
        f"{dtype} {v.mode}, {p.what}: {p.reason or 'every bound is as large as the number'}"
        for dtype, v in found
        for p in v.parts
        if p.status == UNDECIDED
    ]
    each = each or [f"{dtype} {v.mode}: {v.reason}" for dtype, v in found if v.reason]
    more = [f"{len(each) - _LISTED} more"] if len(each) > _LISTED else []
    return [*each[:_LISTED], *more]


def _verdict_line(dtype: str, v: Verdict, device: str) -> str:
    smallest = [p.smallest for p in v.parts if p.smallest is not None]
    caught = max(smallest) if smallest else v.sensitivity
    on = "" if device in {"cpu", "numpy"} else f" on {device}"
    parts = [f"{dtype} {v.mode}{on}: {v.status}", f"{v.elements} elements compared"]
    if v.status in (UNSUPPORTED, ERROR) and not v.elements:
        parts.pop()
    if caught is not None:
        parts.append(f"would have caught a relative error of {_size(caught)}")
    if v.skipped:
        parts.append(f"{v.skipped} not judged")
    return ", ".join(parts) + (f" ({v.reason})" if v.reason else "")


def _size(x: float) -> str:
    return f"{x:.1e}" if x else "any size"


def _details(v: Verdict) -> Iterator[str]:
    """The lines below that of a verdict."""
    if v.message and not any(p.status in (DISAGREE, IMPRECISE) for p in v.parts):
        yield v.message
    if v.parts:
        if v.status != AGREE or v.skipped:
            for p in v.parts:
                yield from _part(p, v.mode)
    else:
        yield from (f"also {e.what}{element(e)}" for e in v.wrong[1:4])


def _part(p: ArrayVerdict, mode: str) -> Iterator[str]:
    counts = [f"{p.elements} elements judged"]
    counts += [
        f"{n} {what}" for n, what in ((p.loose, "loose"), (p.blind, "blind"), (p.skipped, "skipped")) if n
    ]
    counts += [f"{p.count} wrong"] if p.count else []
    counts += [f"{p.imprecise} imprecise"] if p.imprecise else []
    counts += [f"would have caught a relative error of {_size(p.smallest)}"] if p.smallest is not None else []
    yield f"{p.what}: {p.status}, {', '.join(counts)}" + (f" ({p.reason})" if p.reason else "")
    yield from (f"  {note}" for note in p.notes)
    if p.status in (DISAGREE, IMPRECISE):
        for k, e in enumerate(p.wrong[:_ELEMENTS]):
            digits_left = f", {digits(e):.1f} correct digits" if p.status == IMPRECISE else ""
            yield f"  {'also ' if k else ''}{e.what or p.what}{element(e)}{digits_left}"
    if p.evidence is not None and (how := conditions(p, mode)):
        yield f"  {how}"
    if p.explanation:
        yield f"  {p.explanation}"


def element(e: Element) -> str:
    """An element in words: its index, the observed and the expected value, and the bound."""
    place = f"[{', '.join(map(str, e.element))}]" if e.element else ""
    if math.isfinite(e.expected) and not math.isfinite(e.got):
        return f"{place}: got {e.got!r}, a finite number is expected: {e.expected!r}"
    return f"{place}: got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g} ({e.ratio:.3g} times the bound)"


def conditions(p: ArrayVerdict, mode: str) -> str:
    """The number of questions with a wrong answer, and the conditions of the evidence."""
    assert p.evidence is not None
    parts = _value(p.evidence.question) if mode == "value" else _derivative(p.evidence, mode)
    how = f"asked with {', '.join(parts)}" if parts else ""
    if p.asked > 1 and p.wrong_in:
        wrong = f"wrong in {len(p.wrong_in)} of {p.asked} questions"
        return f"{wrong}; {'first ' if len(p.wrong_in) > 1 else ''}{how}" if how else wrong
    return how


def _value(q: Question) -> list[str]:
    return [f"inputs {q.layout}"] if q.layout not in {"", "as given"} else []


def _derivative(e: Evidence, mode: str) -> list[str]:
    """The conditions in words, without defaults."""
    q, seeds = e.question, {"reverse": "cotangents", "forward": "tangents"}.get(mode, "seeds")
    parts = [f"{seeds} {q.draw}"] if q.draw else []
    parts += _value(q)
    if q.seed_layout not in {"", "contiguous"}:
        parts.append(f"{seeds} {q.seed_layout} in memory")
    numbers = [k for k, x in enumerate(e.inputs) if getattr(getattr(x, "dtype", None), "kind", "") == "f"]
    if q.active and len(q.active) < len(numbers):
        parts.append(f"a gradient required of input{_numbers(q.active)} alone")
    given = tuple(k for k in q.used if k < len(e.seeds) and e.seeds[k] is not None)
    zeros = tuple(k for k in q.used if k < len(e.seeds) and e.seeds[k] is None)
    if mode == "reverse" and given and len(given) < len(e.seeds):
        parts.append(
            f"a cotangent for output{_numbers(given)} alone"
            + (f", zeros for output{_numbers(zeros)}" if zeros else "")
        )
    return parts


def _numbers(places: tuple[int, ...]) -> str:
    listed = [str(k) for k in places]
    return f" {listed[0]}" if len(listed) == 1 else f"s {', '.join(listed[:-1])} and {listed[-1]}"
