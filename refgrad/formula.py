"""Another formula for an op, as kernels and frameworks compute it: as right as the record's own, and with fewer digits somewhere."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from refgrad.errors import RegistrationError

Rule = Callable[..., Any]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """One formula in use for an op, written like its record: as a composition, or by rules of its own for the derivative.

    why        the formula in a few words, and who uses it
    function   a NumPy function of the op's operands and parameters; its derivatives of every order are those of the composition
    jvp, vjp   in place of ``function``: rules as in the record (see refgrad.op), for a kernel whose backward is written out
    blind      whether nothing is said of an element of which this formula leaves no bit; otherwise such an element is wrong

    What such a kernel returns lies within the bound of this formula, evaluated over Balls. Where it lies beyond the bound of the
    record's own rules, it is imprecise and not wrong.
    """

    why: str
    function: Callable[..., Any] | None = None
    jvp: Rule | Mapping[str, Rule] | None = None
    vjp: Rule | Mapping[str, Rule] | None = None
    blind: bool = False

    def __post_init__(self) -> None:
        rules = self.jvp is not None, self.vjp is not None
        if (self.function is not None) == any(rules) or any(rules) != all(rules):
            raise RegistrationError(
                f"formula {self.why!r}: give either function, or jvp and vjp; got function={self.function}, jvp={self.jvp}, vjp={self.vjp}"
            )

    def of(self, op: Any) -> Callable[..., Any]:
        """The formula as a function of the op's operands and parameters. A composition is one of kernels, with formulas of their own."""
        return _with_rules(self, op) if self.function is None else functools.partial(_composed, self.function)


@functools.cache
def _with_rules(formula: Formula, op: Any) -> Callable[..., Any]:
    # What the record says of its own rules need not hold for these.
    return replace(
        op, jvp=formula.jvp, vjp=formula.vjp, usual=(), branch_free=False, unit_slopes=False, slopes=()
    )


def _composed(function: Callable[..., Any], *operands: Any, **params: Any) -> Any:
    before = _TAKEN.number, _TAKEN.most, _TAKEN.blind
    try:
        _TAKEN.number = before[0] or 0
        return function(*operands, **params)
    finally:
        _TAKEN.number, _TAKEN.most, _TAKEN.blind = before


class _Taken(threading.local):
    """Which formula of each record is taken (None: the record's own), and how many a record has at most that was met in this run."""

    number: int | None = None
    most = 0
    blind = True  # whether all of them are
    some = False  # whether any record that was met has a blind one
    alone = False  # whether blind ones alone are taken


_TAKEN = _Taken()


def taken(op: Any) -> Callable[..., Any] | None:
    """The formula by which an op is computed inside ``by_each``, as a function of its operands and parameters; else None."""
    if _TAKEN.number is None or not op.usual:
        return None
    formulas = [f for f in op.usual if f.blind or not _TAKEN.alone]
    if not formulas:
        return None
    _TAKEN.most = max(_TAKEN.most, len(formulas))
    _TAKEN.some |= any(f.blind for f in formulas)
    formula: Formula = formulas[min(_TAKEN.number, len(formulas) - 1)]
    _TAKEN.blind &= formula.blind
    return formula.of(op)


def by_each(run: Callable[[], Result]) -> list[tuple[Result, bool]]:
    """What ``run()`` returns where traced arrays meet other formulas: the first one of each op, the second one, and so on.

    Each comes with whether all formulas of that run are ``blind``. Where only some are, runs by the blind ones alone follow. An op that has
    fewer takes its last one. The list is empty where no op has any. It holds for code of this thread, walks back over a tape included: so a
    whole program is computed as kernels compute it.
    """
    found: list[tuple[Result, bool]] = []
    before = _TAKEN.number, _TAKEN.most, _TAKEN.blind, _TAKEN.some, _TAKEN.alone
    _TAKEN.some = False
    try:
        for _TAKEN.alone in (False, True):
            _TAKEN.most = number = 0
            while number == 0 or number < _TAKEN.most:
                _TAKEN.number, _TAKEN.blind = number, True
                result = run()
                if _TAKEN.most == 0:
                    return found
                found.append((result, _TAKEN.blind))
                number += 1
            if not _TAKEN.some or all(blind for _, blind in found):
                return found
        return found
    finally:
        _TAKEN.number, _TAKEN.most, _TAKEN.blind, _TAKEN.some, _TAKEN.alone = before
