"""Transposition: the transpose of a linear function L, from the code of L.

A derivative is linear, so one rule gives both modes. A JVP rule is x_dot -> L x_dot, and reverse mode needs y_bar -> L^T y_bar; a
backward rule is y_bar -> L^T y_bar, and forward mode needs L x_dot. Reverse mode of a linear function computes
the transpose. It does not depend on the point, so the point is zero. Idea: Radul, Paszke, Frostig, Johnson and Maclaurin, "You only
linearize once: tangents transpose to gradients", POPL 2023.

Only a linear function has a transpose. Each op of the function is checked for linearity, and the result at zero has to be zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.op import Op, Params, RuleInputs, Traced, apply, new_level, shape_of
from refgrad.tracing.array import TracedArray
from refgrad.tracing.dispatch import plain
from refgrad.tracing.pull_back import pull_back
from refgrad.tracing.reverse import VARIABLES, Tape, Var, record


class NotLinearError(ArgumentError):
    """A rule that has to be linear is not."""


class Linear(Var):
    """The argument of a linear function that is to be transposed, or what the function has made of it so far.

    It has no value to look at: a branch on it would be taken for zero.
    """

    __slots__ = ("_zero",)

    def __init__(self, zero: Array, tape: Tape, index: int) -> None:
        self._zero = zero  # what the function comes to for an argument of zero, where each of its results has to be zero
        self._tape = tape
        self._index = index

    @property
    def _value(self) -> Array:
        raise NotLinearError("a look at the values (a branch, np.any, np.argmax, a printed number)")

    @property
    def _scalar(self) -> bool:
        return isinstance(self._zero, np.generic) or (
            isinstance(self._zero, TracedArray) and self._zero._scalar
        )

    @property
    def _scalar_type(self) -> type:
        return self._zero._scalar_type if isinstance(self._zero, TracedArray) else self.dtype.type

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return shape_of(self._zero)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._zero.dtype

    def _levels(self) -> tuple[int, ...]:
        return (self._level, *(self._zero._levels() if isinstance(self._zero, Traced) else ()))

    def _sample(self) -> Any:
        return self._zero._sample() if isinstance(self._zero, Traced) else self._zero

    def __repr__(self) -> str:
        return f"<argument of a linear function, shape {self.shape}>"

    def _become(self, other: Any) -> None:
        self._zero, self._index = other._zero, other._index

    def _snapshot(self) -> Linear:
        return Linear(self._zero, self._tape, self._index)

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        tape = top._tape
        active = tuple([type(x) is Linear and x._tape is tape for x in operands])
        if not linear(op, active):
            raise NotLinearError(f"np.{op.numpy[0].__name__}" if op.numpy else f"the op {op.name!r}")
        zeros = tuple([x._zero if a else x for x, a in zip(operands, active, strict=True)])
        y = record(tape, op, operands, zeros, params, active, apply(op, zeros, params))
        return Linear(y._value, tape, y._index) if type(y) in VARIABLES and y._tape is tape else y

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return TracedArray.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if function in OF_SHAPES:
            return function(*[x._zero if isinstance(x, Linear) else x for x in args], **kwargs)
        return TracedArray.__array_function__(self, function, types, args, kwargs)


OF_SHAPES = frozenset({  # the results depend on shapes and dtypes alone
    np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.result_type, np.iscomplexobj, np.isrealobj,
})  # fmt: skip


def linear(op: Op, active: tuple[bool, ...]) -> bool:
    """Whether ``op`` is linear, or affine, in its active operands together.

    The derivative of such an op depends neither on an active operand nor on the result: its rules do not ask for them. A derivative
    that is the same on both sides of a jump says nothing of the jump, so the op may have none. A variadic op is a sum or a product of its
    operands.
    """
    sig = op.signature
    if not sig.differentiable or (op.special and not op.domain.smooth):
        return False
    if sig.variadic:
        return sum(active) == 1 or not _asks(sig.jvp[0], "operands", 0)
    return all(
        _independent(jvp, active) and _independent(vjp, active)
        for jvp, vjp, a in zip(sig.jvp, sig.vjp, active, strict=True)
        if a
    )


def _independent(needs: RuleInputs | None, active: tuple[bool, ...]) -> bool:
    """Whether there is a rule, and it asks neither for the result nor for an active operand."""
    operands = [k for k, a in enumerate(active) if a]
    return (
        needs is not None
        and not _asks(needs, "y", 0)
        and not any(_asks(needs, "operand", k) for k in operands)
    )


def _asks(needs: RuleInputs | None, kind: str, key: int) -> bool:
    assert needs is not None
    return (kind, key) in needs.inputs


_ADVICE = "Apply such functions to the primals or residuals alone."


def transpose(
    f: Callable[[list[Any]], list[Any]], zeros: Sequence[Array], what: str, advice: str = _ADVICE
) -> Callable[[list[Any]], list[Array]]:
    """The transpose of the linear function ``f`` from a list of arrays to a list of arrays.

    ``zeros`` are arrays of the shapes and dtypes of f's arguments. The transpose takes arrays like f's results and returns arrays like
    ``zeros``. ``what`` names f and its arguments in messages: "the JVP rule of g in its tangents". ``advice`` says what to do where f
    applies a function that is not linear.

    Raises ArgumentError where f is not linear.
    """
    tape = Tape(new_level(), "the transpose of a rule")
    places = [tape.input(x)._index for x in zeros]
    try:
        outputs = f([Linear(x, tape, place) for x, place in zip(zeros, places, strict=True)])
    except NotLinearError as error:
        raise ArgumentError(
            f"{what} is not linear: {error} is applied to them. A derivative is linear, and the other mode is its transpose. "
            f"{advice}"
        ) from None
    finally:
        tape.end()
    indices = []
    for y in outputs:
        mine = isinstance(y, Linear) and y._tape is tape
        value = np.asarray(plain(y._zero if mine else y))
        if np.any((value != 0) & np.isfinite(value)):
            raise ArgumentError(
                f"{what} is not linear: for zeros it gives {value[(value != 0) & np.isfinite(value)][0]}, zero is expected. "
                "Every term of a derivative has one of them as a factor."
            )
        indices.append(y._index if mine else None)

    def transposed(bars: list[Any]) -> list[Array]:
        seeds = [(k, bar) for k, bar in zip(indices, bars, strict=True) if k is not None]
        found = pull_back(tape, seeds, places)
        return [zero if x is None else x for x, zero in zip(found, zeros, strict=True)]

    return transposed
