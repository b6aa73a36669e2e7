"""Texts of traced numbers: they may be printed and logged, and are refused where a number or a decision is made of them.

``float(f"{x:.3f}")`` would be a constant, and so would be a number read out of an ordinary text that this one went into: for those see
shown_numbers.py. ``table[str(x)]`` and ``str(x) == "0.5"`` would take another branch than the plain program,
because ``str(x)`` shows that x is traced.
"""

from __future__ import annotations

from typing import Any, NoReturn, Self

from refgrad.errors import RUNS, TracingError
from refgrad.tracing import caller_instruction
from refgrad.tracing.shown_numbers import lost, remember


class Formatted(str):
    """The text of a traced number in a format of the program's own, as ``f"{x:.3f}"`` makes it: NumPy's text."""

    __slots__ = ("_levels",)
    _levels: tuple[int, ...]
    shows_traced = True

    def __new__(cls, text: str, levels: tuple[int, ...]) -> Self:
        made = super().__new__(cls, text)
        made._levels = levels
        remember(text, levels)
        return made

    def __getitem__(self, key: Any) -> Any:
        return Formatted(str.__getitem__(self, key), self._levels)

    def __float__(self) -> float:
        self._check_number("float")
        return float(str.__str__(self))

    def __int__(self) -> int:
        self._check_number("int")
        return int(str.__str__(self))

    def _check_number(self, kind: str) -> None:
        if RUNS:
            raise lost(f"{kind}(text)", self._levels)

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise TracingError(f"{what} would lose its derivative. {instead}", self._levels)


class Shown(Formatted):
    """What ``str(x)`` and ``repr(x)`` show: another text than NumPy's, by which a program cannot decide anything."""

    __slots__ = ()

    def __hash__(self) -> int:
        if RUNS and not caller_instruction.mentions("warn"):
            self._decides()
        return str.__hash__(self)

    def __eq__(self, other: object) -> Any:
        if RUNS:
            self._decides()
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> Any:
        if RUNS:
            self._decides()
        return str.__ne__(self, other)

    def _decides(self) -> NoReturn:
        self._refuse(
            "a decision by the text of a traced number, which differs from NumPy's,",
            'Compare numbers, or write a format: f"{x:.6g}" is the text that NumPy gives.',
        )
