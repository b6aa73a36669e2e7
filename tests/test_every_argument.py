"""Every argument of every NumPy function that accepts traced arrays: its derivative is right, or it is refused. Never zero in silence.

The functions are those of the registry: a new one without an example in numpy_calls.py fails here. All others are in test_numpy_walk.py.
An argument is traced alone, and beside another traced argument of the same call. Where the call goes through, forward mode has to agree
with differences of plain NumPy, and reverse mode with forward mode.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import refgrad as rg
import refgrad.functions
from refgrad.errors import RefgradError
from refgrad.numeric import differences
from refgrad.op import BY_FUNCTION, Traced
from refgrad.tracing.dispatch import FUNCTIONS, GUARDS
from refgrad.tree import flatten, paths
from tests.numpy_calls import INTEGRAL, Example, examples

Array = Any

# Their results are in their first argument: test_numpy_walk.py looks there.
IN_PLACE = {"copyto", "put", "put_along_axis", "place", "putmask", "fill_diagonal"}
REDUCTIONS = ("sum", "prod", "max", "min", "amax", "amin", "nansum", "nanprod")
SPREADS = ("var", "std", "nanvar", "nanstd")
# Arguments without a rule, which refuse to be traced. What gains a rule is taken out here.
WITHOUT_RULE = {
    ("numpy.linalg.norm", "ord"), ("numpy.linalg.vector_norm", "ord"),
}  # fmt: skip
# NumPy has no long double there, and refgrad has a rule beside another traced argument alone.
# Their tests are in test_sequences.py and test_least_squares.py.
APART = {
    ("interp", "period"),
    *[("numpy.linalg." + f, p) for f, p in [("pinv", "rcond"), ("pinv", "rtol"), ("lstsq", "rcond")]],
    ("polyfit", "rcond"),
}
# Where only these are traced, NumPy runs its own code, in which they come upon something that refuses them.
NOT_DISPATCHED = {
    ("apply_along_axis", "args"), ("apply_along_axis", "t"), ("piecewise", "funclist"), ("full_like", "fill_value"), ("select", "default"),
    *[("nan_to_num", p) for p in ("nan", "posinf", "neginf")], ("nanmax", "initial"), ("nanmin", "initial"), ("numpy.linalg.norm", "ord"),
    ("pad", "constant_values"), ("pad", "end_values"), ("unwrap", "period"), ("interp", "period"), ("polyint", "k"),
    ("numpy.linalg.matrix_rank", "tol"), ("numpy.linalg.matrix_rank", "rtol"),
    *[(f, "initial") for f in REDUCTIONS], *[(f, p) for f in SPREADS for p in ("ddof", "correction", "mean") if p != "mean" or "nan" in f],
}  # fmt: skip
if np.lib.NumpyVersion(np.__version__) >= "2.5.0":
    NOT_DISPATCHED.add(("histogram", "range"))


def in_linalg(function: Callable[..., Any]) -> bool:
    return "linalg" in getattr(function, "__module__", "")  # before NumPy 2.2 a ufunc has no __module__


def name(function: Callable[..., Any]) -> str:
    return f"numpy.linalg.{function.__name__}" if in_linalg(function) else function.__name__


REGISTERED = sorted({**FUNCTIONS, **BY_FUNCTION}, key=name)


def is_place(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


def numbers(y: Any) -> list[Any]:
    """The floating-point leaves of a result: of complex ones both parts."""
    return [
        part
        for x in flatten(y)[0]
        if isinstance(x, float) or (isinstance(x, (Traced, np.ndarray, np.generic)) and x.dtype.kind in "fc")
        for part in ((x.real, x.imag) if x.dtype.kind == "c" else (x,))
    ]


class Place:
    """One number or array in an example of a call, as an argument of a function of its own."""

    def __init__(self, function: Callable[..., Any], example: Example, k: int) -> None:
        self.function, self.k = function, k
        self.leaves, self.rebuild = flatten(example)
        self.x = np.asarray(self.leaves[k], float)
        others = [j for j, x in enumerate(self.leaves) if is_place(x) and j != k]
        self.beside = others[0] if others else None
        self.parameter = _parameter(function, paths(example)[k])
        self.other = None if self.beside is None else _parameter(function, paths(example)[self.beside])
        self.id = f"{name(function)}-{self.parameter}"

    def has_rule(self, beside: bool) -> bool:
        """Whether the call has to go through."""
        called = name(self.function)
        traced = {self.parameter, self.other} if beside else {self.parameter}
        alone = not beside and (called, self.parameter) in NOT_DISPATCHED
        return not ({(called, p) for p in traced} & WITHOUT_RULE or alone)

    def __call__(self, x: Array, other: Array = None) -> list[Any]:
        full = list(self.leaves)
        full[self.k] = x
        if other is not None and self.beside is not None:
            full[self.beside] = other
        args, kwargs = self.rebuild(full)
        with np.errstate(all="ignore"):
            return numbers(self.function(*args, **kwargs))

    def wide(self, x: Array) -> list[Any]:
        """The call in long double, by refgrad's own code where NumPy's function has none in that dtype."""
        ours = in_linalg(self.function) or self.function in (
            np.bincount,
            np.interp,
            np.histogramdd,
            np.histogram2d,
            np.polyfit,
            np.roots,
        )
        return rg.vjp(self, x)[0] if ours else self(x)


def _parameter(function: Callable[..., Any], path: str) -> str:
    """The name of the parameter that a path into (args, kwargs) leads to."""
    if path.startswith("[1]['"):
        return path[5:].partition("'")[0]
    position = int(path[4:].partition("]")[0])
    if isinstance(function, np.ufunc):
        return f"x{position + 1}"
    parameters = list(parameters_of(function))
    for p in parameters[: position + 1]:
        if p.kind is p.VAR_POSITIONAL:
            return p.name
    return parameters[position].name if position < len(parameters) else f"argument {position}"


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:  # written in C, and older than NumPy 2.4
        if function in BY_FUNCTION:
            operands = BY_FUNCTION[function].signature.operands
            return [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in operands]
        if FUNCTIONS[function] is not function:
            return list(inspect.signature(FUNCTIONS[function]).parameters.values())
        kind, guard = inspect.Parameter, GUARDS[function]
        found = [kind(p, kind.POSITIONAL_OR_KEYWORD) for p in guard.positions]
        return [*found, kind(guard.variadic or "more", kind.VAR_POSITIONAL)]


def places() -> Iterator[Place]:
    for function in REGISTERED:
        for example in examples(function):
            for k, x in enumerate(flatten(example)[0]):
                if is_place(x):
                    yield Place(function, example, k)


PLACES = list(places())


def test_every_argument_of_every_function_has_an_example() -> None:
    missing = []
    for function in REGISTERED:
        if isinstance(function, np.ufunc):
            continue
        seen = {p.parameter for p in PLACES if p.function is function}
        missing += [
            f"{name(function)}: {p.name}"
            for p in parameters_of(function)
            if p.name not in seen and not {p.name, f"{name(function)}: {p.name}"} & INTEGRAL
        ]
    assert not missing, f"give these an example in numpy_calls.py, with a float in that place: {missing}"


def derivative(place: Place, beside: bool) -> None:
    """Raises what the traced call raises. Fails where its value or derivative is not NumPy's."""
    rng = np.random.default_rng(len(place.id))
    absent = np.isnan(place.x)
    x, x_dot = place.x, np.where(absent, 0.0, rng.standard_normal(place.x.shape))
    more = (np.asarray(place.leaves[place.beside], float),) if beside and place.beside is not None else ()
    y, y_dot = rg.jvp(place, (x, *more), (x_dot, *[np.zeros(a.shape) for a in more]))
    _, pullback = rg.vjp(place, x, *more)
    plain = place(x)
    assert [np.shape(a) for a in y] == [np.shape(a) for a in plain]
    for k in range(len(y)):
        assert np.asarray(y[k]).dtype == np.asarray(plain[k]).dtype
        assert np.allclose(y[k], plain[k], rtol=1e-12, equal_nan=True)
        expected, _ = differences(
            lambda z, k=k: place.wide(np.where(absent, np.nan, z))[k], (np.where(absent, 0.0, x),), (x_dot,)
        )
        assert np.allclose(y_dot[k], expected, rtol=1e-6, atol=1e-6, equal_nan=True)
        y_bars = [
            rng.standard_normal(np.shape(a)) if j == k else np.zeros(np.shape(a)) for j, a in enumerate(y)
        ]
        sent, due = np.sum(pullback(y_bars)[0] * x_dot), np.sum(y_bars[k] * y_dot[k])
        assert np.allclose(sent, due, rtol=1e-9, equal_nan=True)


def raised(function: Callable[[], Any]) -> Exception | None:
    try:
        function()
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 - any error will do: nothing is silent
        return error
    return None


CASES = [
    (p, beside)
    for p in PLACES
    for beside in (False, True)
    if (not beside or p.beside is not None)
    and name(p.function) not in IN_PLACE
    and (name(p.function), p.parameter) not in APART
]


@pytest.mark.parametrize(
    ("place", "beside"), CASES, ids=[f"{p.id}-{'beside' if b else 'alone'}" for p, b in CASES]
)
@pytest.mark.filterwarnings("ignore:Degrees of freedom", "ignore:Mean of empty")
def test_the_derivative_is_right_or_refused(place: Place, beside: bool) -> None:
    error = raised(lambda: derivative(place, beside))
    if raised(lambda: place(place.x)) is not None:  # NumPy itself has no floats there
        assert error is not None
    elif place.has_rule(beside):
        assert error is None, repr(error)
    else:
        undispatched = not beside and (name(place.function), place.parameter) in NOT_DISPATCHED
        assert isinstance(error, Exception if undispatched else RefgradError), repr(error)


def probes() -> Iterator[tuple[Callable[..., Any], str]]:
    for function in REGISTERED:
        if not isinstance(function, np.ufunc):
            kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
            yield from (
                (function, p.name)
                for p in parameters_of(function)
                if p.name in INTEGRAL - {"out"}
                and p.kind not in kinds  # test_dispatch.py writes to out
                and (name(function), p.name) != ("logn", "n")
            )


@pytest.mark.parametrize(
    ("function", "parameter"), list(probes()), ids=lambda x: x if isinstance(x, str) else name(x)
)
def test_a_traced_number_in_place_of_an_integer_is_no_silent_zero(
    function: Callable[..., Any], parameter: str
) -> None:
    args, kwargs = examples(function)[0]
    bound = inspect.Signature(parameters_of(function)).bind(*args, **kwargs)
    given = bound.arguments.get(parameter, 1)
    start = np.asarray(given if isinstance(given, (int, float)) else 1, float)
    named = {k: v for k, v in bound.arguments.items() if k != parameter}
    leaves, rebuild = flatten(named)
    others = tuple([np.asarray(x, float) for x in leaves if is_place(x)])

    def call(x: Array, *traced: Array) -> list[Any]:
        new = iter(traced or [v.copy() for v in others])  # NumPy writes into some
        full = rebuild([next(new) if is_place(v) else v for v in leaves])
        bound.arguments.clear()
        bound.arguments.update(
            {
                p.name: x if p.name == parameter else full[p.name]
                for p in bound.signature.parameters.values()
                if p.name == parameter or p.name in full
            }
        )
        return numbers(function(*bound.args, **bound.kwargs))

    zeros = tuple(np.zeros(v.shape) for v in others)
    if parameter == "out":
        assert raised(lambda: rg.jvp(call, (start, *others), (np.ones(()), *zeros))) is not None
    for more, none in (((), ()), (others, zeros)):
        if raised(lambda more=more, none=none: rg.jvp(call, (start, *more), (np.ones(()), *none))) is None:
            _, y_dots = rg.jvp(call, (start, *more), (np.ones(()), *none))
            if raised(lambda: call(start + 0.125)) is None:
                for k, y_dot in enumerate(y_dots):
                    expected, _ = differences(lambda z, k=k: call(z)[k], (start,), (np.ones(()),))
                    assert np.allclose(y_dot, expected, rtol=1e-6, atol=1e-6, equal_nan=True)
