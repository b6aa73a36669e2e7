"""Another formula for an op, as kernels and frameworks compute it: as right as the record's own, and with fewer digits somewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from refgrad.errors import RegistrationError

Rule = Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """One formula in use for an op, written like its record: as a composition, or by rules of its own for the derivative.

    why        the formula in a few words, and who uses it
    function   a NumPy function of the op's operands and parameters; its derivatives of every order are those of the composition
    jvp, vjp   in place of ``function``: rules as in the record (see refgrad.op), for a kernel whose backward is written out

    What such a kernel returns lies within the bound of this formula, evaluated over Balls. Where it lies beyond the bound of the
    record's own rules, it is imprecise and not wrong.
    """

    why: str
    function: Callable[..., Any] | None = None
    jvp: Rule | Mapping[str, Rule] | None = None
    vjp: Rule | Mapping[str, Rule] | None = None

    def __post_init__(self) -> None:
        rules = self.jvp is not None, self.vjp is not None
        if (self.function is not None) == any(rules) or any(rules) != all(rules):
            raise RegistrationError(
                f"formula {self.why!r}: give either function, or jvp and vjp; got function={self.function}, jvp={self.jvp}, vjp={self.vjp}"
            )

    def of(self, op: Any) -> Callable[..., Any]:
        """The formula as a function of the op's operands and parameters."""
        return self.function or replace(op, jvp=self.jvp, vjp=self.vjp, usual=())
