"""One call of NumPy, judged: with a number or an array of its arguments traced, the derivative is right or refgrad refuses.

The plain call is the judge. Its results, and what it writes into its arguments, are differentiated by central differences; a traced call
that goes through has to give the same numbers, dtypes and slopes in both modes, and one that does not has to end in an error of refgrad's,
or in the error that the plain call ends in.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import refgrad as rg
from refgrad.errors import RefgradError
from refgrad.op import Traced
from refgrad.tracing.differentiable_arguments import plain

Array = Any
Function = Callable[..., Any]
_STEP = 2.0**-12


@dataclass
class Plain:
    """What the plain call does: the error that it raises, or its numbers, and their slopes once they were asked for."""

    error: Exception | None
    numbers: list[Any]
    slopes: list[Any] | None = None


@dataclass
class Call:
    """A call of a function. Its leaves are the arguments, and what stands in lists, tuples and dicts among them, in order."""

    name: str
    function: Function
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    _plain: dict[Any, Plain] = field(default_factory=dict, init=False, repr=False, compare=False)

    def leaves(self) -> list[Any]:
        return list(_leaves((self.args, self.kwargs)))

    def with_leaves(self, new: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, copied, with new leaves at some places."""
        counter = iter(range(10**6))

        def rebuilt(x: Any) -> Any:
            if type(x) in (list, tuple):
                return type(x)([rebuilt(e) for e in x])
            if type(x) is dict:
                return {k: rebuilt(v) for k, v in x.items()}
            k = next(counter)
            if k in new:
                return new[k]
            return x.copy() if type(x) is np.ndarray else x

        return rebuilt(self.args), rebuilt(self.kwargs)

    def __str__(self) -> str:
        shown = [*map(_short, self.args), *[f"{k}={_short(v)}" for k, v in self.kwargs.items()]]
        return f"{self.name}({', '.join(shown)})"


def _short(x: Any) -> str:
    if type(x) is np.ndarray:
        return f"{x.dtype.name}{list(x.shape)}"
    if type(x) in (list, tuple):
        inner = ", ".join(map(_short, x))
        return f"[{inner}]" if type(x) is list else f"({inner})"
    if type(x) is dict:
        return f"dict({', '.join(f'{k}={_short(v)}' for k, v in x.items())})"
    return getattr(x, "__name__", None) or repr(x)


def _leaves(x: Any) -> Iterator[Any]:
    if type(x) in (list, tuple):
        for e in x:
            yield from _leaves(e)
    elif type(x) is dict:
        for e in x.values():
            yield from _leaves(e)
    else:
        yield x


def is_place(x: Any) -> bool:
    """Whether x is a floating-point number or array, real or complex, which may be traced. At 0 many functions jump."""
    return type(x) in (float, complex) or (
        type(x) is np.ndarray and x.dtype.kind in "fc" and np.all(x != 0.0)
    )


def complexified(call: Call) -> Call:
    """The call with complex numbers in all places."""
    new = {
        k: complex(x, 0.25 + x / 3) if type(x) is float else x + 1j * np.cos(1.0 + 3.0 * x)
        for k, x in enumerate(call.leaves())
        if is_place(x)
    }
    args, kwargs = call.with_leaves(new)
    return Call(call.name, call.function, args, kwargs)


def numbers(y: Any, depth: int = 0) -> list[Any]:
    """The real numbers in a result, traced or plain, from any container and iterator: of complex ones both parts."""
    if isinstance(y, Traced):
        return [y.real, y.imag] if y.dtype.kind == "c" else [y]
    if type(y) is float or type(y) is complex:
        return numbers(np.asarray(y))
    if isinstance(y, np.ma.MaskedArray):
        return [np.where(np.ma.getmaskarray(y), 0.0, y.data)] if y.dtype.kind == "f" else []
    if isinstance(y, (np.ndarray, np.generic)):
        if y.dtype.names:
            return [n for k in y.dtype.names for n in numbers(y[k])]
        if y.dtype.kind == "O":
            return [n for e in y.ravel().tolist() for n in numbers(e, depth + 1)]
        if y.dtype.kind == "c":
            return [y.real, y.imag]
        return [y] if y.dtype.kind == "f" else []
    if depth > 4 or isinstance(y, (str, bytes, type, int)) or y is None:
        return []
    if isinstance(y, dict):
        return [n for e in y.values() for n in numbers(e, depth + 1)]
    if isinstance(y, (list, tuple, set, frozenset)):
        return [n for e in y for n in numbers(e, depth + 1)]
    if hasattr(y, "coef"):
        return numbers(y.coef, depth + 1) + numbers(getattr(y, "domain", None), depth + 1)
    if isinstance(y, np.broadcast) or hasattr(y, "__next__"):
        return [n for e in itertools.islice(y, 64) for n in numbers(e, depth + 1)]
    return []


@dataclass
class Outcome:
    """How a traced call ended: 'right', 'refused', 'as NumPy', 'silent', 'wrong' or 'raw', and why. ``moves``: a slope is not zero."""

    kind: str
    why: str = ""
    moves: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the call answers as NumPy does, or is refused in words that name the function."""
        return self.kind in ("right", "as NumPy") or (
            self.kind == "refused" and "which NumPy accepts" not in self.why
        )


def ran(call: Call, new: dict[int, Any]) -> list[Any]:
    """The numbers of a call's result and of the arguments that it wrote into."""
    args, kwargs = call.with_leaves(new)
    leaves = [x for x in _leaves((args, kwargs)) if isinstance(x, Traced) or type(x) is np.ndarray]
    before = [np.copy(plain(x)) for x in leaves]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = numbers(call.function(*args, **kwargs))
    return y + [
        n for x, b in zip(leaves, before, strict=True) if not _same_bits(plain(x), b) for n in numbers(x)
    ]


def _same_bits(a: Array, b: Array) -> bool:
    if b.dtype.kind == "O":
        return False
    same = a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return same or bool(np.array_equal(a, b, equal_nan=b.dtype.kind in "fc"))


def refused(error: BaseException) -> bool:
    """Whether an error is refgrad's, or NumPy's own with refgrad's as its cause."""
    while error is not None:
        if isinstance(error, RefgradError):
            return True
        error = error.__cause__
    return False


def plain_error(call: Call) -> Exception | None:
    """What the plain call raises."""
    return _called_plainly(call, {}).error


def _called_plainly(call: Call, new: dict[int, Any]) -> Plain:
    try:
        return Plain(None, ran(call, new))
    except Exception as error:  # noqa: BLE001 - whatever NumPy raises
        return Plain(error.with_traceback(None), [])


def judged(call: Call, place: int, beside: tuple[int, ...] = ()) -> Outcome:
    """The call with the leaf at ``place`` differentiated, and those of ``beside`` traced too."""
    leaves = call.leaves()
    scalars = {k: np.asarray(leaves[k])[()] for k in (place, *beside) if type(leaves[k]) in (float, complex)}
    x, *others = [scalars.get(k, leaves[k]) for k in (place, *beside)]
    x_dot = np.exp(1j * (1.0 + 2.0 * np.arange(x.size))).reshape(x.shape)
    x_dot = x_dot if x.dtype.kind == "c" else x_dot.real.astype(x.dtype)
    seen: list[Any] = []

    def f(z: Any, *more: Any) -> Any:
        seen[:] = ran(call, {place: z, **dict(zip(beside, more, strict=True))})
        return [y for y in seen if isinstance(y, Traced)]

    key = place, tuple(scalars)  # the same for all that is traced beside it as an array
    due = call._plain[key] = call._plain.get(key) or _called_plainly(call, scalars)
    try:
        values, slopes = rg.jvp(f, (x, *others), (x_dot, *[np.zeros_like(o) for o in others]))
    except Exception as error:  # noqa: BLE001 - it is judged
        if due.error is not None:
            return Outcome("as NumPy")
        kind = "refused" if refused(error) else "raw"
        return Outcome(kind, f"{type(error).__name__}: {error}")
    if due.error is not None:
        return Outcome("wrong", f"goes through where NumPy raises {type(due.error).__name__}: {due.error}")
    got, pairs = list(seen), iter(zip(values, slopes, strict=True))
    if len(got) != len(due.numbers):
        return Outcome("wrong", f"{len(got)} arrays of numbers for {len(due.numbers)}")
    if not got:
        return Outcome("right")
    if due.slopes is None:
        due.slopes = _slopes(call, place, x, x_dot, scalars, due.numbers)
    for y, z, slope in zip(got, due.numbers, due.slopes, strict=True):
        if not isinstance(y, Traced):
            if slope is None or not np.allclose(np.where(np.isfinite(z), slope, 0.0), 0.0, atol=1e-7):
                return Outcome("silent", f"a plain array of slope {slope}")
            if np.shape(y) != np.shape(z) or not np.allclose(y, z, rtol=1e-12, atol=1e-14, equal_nan=True):
                return Outcome("wrong", f"a plain array, {y} for {z}")
            continue
        value, tangent = next(pairs)
        value, tangent, z = np.asarray(value), np.asarray(tangent), np.asarray(z)
        if value.shape != np.shape(z) or value.dtype != np.asarray(z).dtype:
            return Outcome(
                "wrong", f"{value.dtype}{list(value.shape)} for {np.asarray(z).dtype}{list(np.shape(z))}"
            )
        if not np.allclose(value, z, rtol=1e-12, atol=1e-14, equal_nan=True):
            return Outcome("wrong", f"value {value} for {z}")
        defined = np.isfinite(z)
        if slope is None or not np.allclose(tangent[defined], slope[defined], rtol=1e-6, atol=1e-6):
            return Outcome("wrong", f"slope {tangent} for {slope}")
    return _reverse(f, (x, *others), x_dot, values, slopes)


def _reverse(f: Function, xs: tuple[Array, ...], x_dot: Array, values: Any, slopes: Any) -> Outcome:
    """Whether reverse mode sends back what forward mode sends out."""
    _, pullback = rg.vjp(f, *xs)
    y_bars = [
        np.sin(1.0 + np.arange(np.size(v))).reshape(np.shape(v)).astype(np.asarray(v).dtype) for v in values
    ]
    if not y_bars or not all(np.all(np.isfinite(v)) for v in values):
        return Outcome("right", moves=any(np.any(s) for s in slopes))
    x_bar = pullback(y_bars)[0]
    sent, due = (
        np.sum(np.real(np.conjugate(x_bar) * x_dot)),
        sum(np.sum(a * b) for a, b in zip(y_bars, slopes, strict=True)),
    )
    same = np.allclose(sent, due, rtol=1e-9, atol=1e-9, equal_nan=True)
    return (
        Outcome("right", moves=any(np.any(s) for s in slopes))
        if same
        else Outcome("wrong", f"reverse {sent}, forward {due}")
    )


def _slopes(
    call: Call, place: int, x: Array, x_dot: Array, others: dict[int, Any], numbers: list[Any]
) -> list[Any]:
    """The derivative of the plain call's numbers, of fourth order in the step; None where the structure of the result changes."""

    def at(h: float) -> list[Any]:
        z = np.asarray(x + (h * x_dot).astype(x.dtype))
        return [np.asarray(y) for y in ran(call, {**others, place: z[()] if place in others else z})]

    here = [np.asarray(y) for y in numbers]
    far, near, back, behind = at(2 * _STEP), at(_STEP), at(-_STEP), at(-2 * _STEP)
    found: list[Any] = []
    for k in range(len(here)):
        five = [side[k] if k < len(side) else None for side in (far, near, here, back, behind)]
        if any(y is None or y.shape != here[k].shape for y in five):
            found.append(None)
            continue
        a, b, _, c, d = five
        with np.errstate(all="ignore"):
            found.append((8 * (b - c) - (a - d)) / (12 * _STEP))
    return found
