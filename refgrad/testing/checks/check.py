"""check_vjp and check_jvp: a hand-written derivative in NumPy, compared with the derivative of the function.

Both are evaluated over Balls in long double. The bound of the comparison contains the rounding errors of both formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.arguments import called, differentiable, kind, names_of, result, whole_number
from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, computed_on, format_of
from refgrad.errors import ArgumentError, DtypeError, NoRuleError, TracingError, is_tensor
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.testing.checks.array_verdict import Question
from refgrad.testing.checks.check_report import Report
from refgrad.testing.checks.formula_script import formula_script
from refgrad.testing.checks.seeds import DRAWS, WHOLE, drawn
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.intermediate_scales import Scales
from refgrad.testing.judging.ties import has_choices, judge_ties
from refgrad.testing.judging.verdict import Comparison
from refgrad.testing.power.array_mutations import planted
from refgrad.tracing.ball import Ball, exact, parts, rounded_operations
from refgrad.tracing.reached import over_balls
from refgrad.transforms import jvp, vjp
from refgrad.tree import flatten, is_leaf, leaves_as, paths, same_structure

Function = Callable[..., Any]
_TUPLES = "f_jvp gets two tuples with one entry for each argument: lambda args, tangents: np.cos(args[0]) * tangents[0]"
_STREAM = 1  # distinguishes the generator from one with the same seed that made the user's arguments


def check_vjp(
    f: Function,
    f_vjp: Function,
    args: Sequence[Any],
    *,
    dtype: str = "float64",
    repeats: int = 3,
    seed: int = 0,
    raise_exception: bool = True,
    strict: bool = False,
    allow_undecided: bool = False,
) -> Report:
    """Check a hand-written VJP.

    f                 NumPy function of ``args``, which returns one array of any shape
    f_vjp             ``f_vjp(y_bar, *args)`` with y_bar of the shape of the result. It returns a tuple of one cotangent for each argument,
                      of its shape (for a single argument also the array alone); None for an integer argument, or for zeros
    args              a sequence of arrays, or nested containers of arrays
    dtype             name of the format whose rounding errors the bounds contain. A formula that casts to a narrower format than
                      this and args is wrong, unless f casts as well
    repeats           number of random cotangents that use the whole significand; other kinds are tried as well
    seed              of the random cotangents
    raise_exception   whether a disagreement raises
    strict            whether an imprecise derivative fails as well: one with fewer correct digits than the format allows, by rounding
    allow_undecided   whether a derivative that cannot be judged passes

    Returns a Report, true where the derivative agrees.
    Raises GradientMismatch naming argument, element, observed value, expected value and bound; GradientUndecided where the cotangent of an
    argument cannot be judged; ArgumentError for arguments of the wrong kind, and where f_vjp returns a wrong number of cotangents;
    DtypeError where no argument is a floating-point array, and for complex arguments and results.
    """
    _check_arguments("check_vjp", f, f_vjp, args, repeats, seed)
    fmt, rng = _format(dtype), np.random.default_rng((seed, _STREAM))
    balls, where = _balls(args, fmt, "check_vjp")
    names = names_of(args)
    leaves, _ = flatten(balls)
    active = [k for k in range(len(leaves)) if where[k]]
    aggregation = Aggregation("reverse", fmt, "numpy", tuple(flatten(tuple(args))[0]))
    scales, loss = Scales(), 0.0
    before = rounded_operations()
    y, pullback = vjp(_of_active(f, balls, active), *[leaves[k] for k in active])
    of_formula: Format | None = None
    choices: bool | None = None
    for kind_of in _kinds(repeats):
        shape = np.shape(y) if not isinstance(y, Ball) else y.shape
        y_bar = drawn(kind_of, rng, shape, fmt, scales.unit("reverse"))
        with over_balls():
            expected = pullback(exact(y_bar, fmt))
        loss = loss or fmt.u * (rounded_operations() - before)
        of_formula = of_formula or _format_of_formula(
            _of_active(f, balls, active), [leaves[k] for k in active], y, args, fmt
        )
        answer, written = _evaluate(f_vjp, (y_bar, *args), of_formula)
        got = _flat_cotangents(answer, args)
        if any(_has_non_finite(g) for g in got):
            got = [
                _confirmed(g, x)
                for g, x in zip(got, _flat_cotangents(_over_arrays(f_vjp, y_bar, *args), args), strict=True)
            ]
        xs, came = [np.asarray(leaves[k].value, float) for k in active], [got[k] for k in active]
        if choices is None:  # with the first cotangent, which has no zeros
            choices = has_choices(_of_active(f, balls, active), xs, [y_bar], expected, fmt)
            aggregation.choices = choices
        _add_written(aggregation, "f_vjp", ["y_bar", *names], written, Question("reverse", kind_of))
        for k, x_bar in zip(active, expected, strict=True):
            what, question = f"gradient of {names[k]}", Question("reverse", kind_of)
            found, allowed = _compare(
                _or_zeros(got[k], x_bar), x_bar, fmt, what, scales.of(("reverse", k), [y_bar], x_bar, loss)
            )
            scales.learn(("reverse", k), found, [y_bar])
            aggregation.add(what, found, question, (y_bar,), k, _values(got[k]), allowed)
        function, of_active = _of_active(f, balls, active), [names[k] for k in active]
        for tied in (
            judge_ties(function, xs, [y_bar], expected, came, fmt, rng, loss, of_active) if choices else []
        ):
            k = active[tied.inputs[0]]
            aggregation.add(f"gradient of {names[k]}", tied.found, Question("reverse", kind_of), (y_bar,), k)
    return Report(
        f"check_vjp({_name(f)}, {_name(f_vjp)})",
        [(dtype, aggregation.verdict())],
        "call check_vjp with the same arguments and seed",
        "numpy",
        script=formula_script(f_vjp, f"check_vjp({_name(f)}, {_name(f_vjp)})", args),
    ).settle(raise_exception, strict=strict, allow_undecided=allow_undecided)


def check_jvp(
    f: Function,
    f_jvp: Function,
    args: Sequence[Any],
    *,
    dtype: str = "float64",
    repeats: int = 3,
    seed: int = 0,
    raise_exception: bool = True,
    strict: bool = False,
    allow_undecided: bool = False,
) -> Report:
    """Check a hand-written JVP.

    f_jvp   ``f_jvp(args, tangents)``: both are tuples with one entry for each argument, of its shape. It returns the tangent of the
            result, of the result's shape

    Other parameters, the return value and the exceptions are those of ``check_vjp``.
    """
    _check_arguments("check_jvp", f, f_jvp, args, repeats, seed)
    fmt, rng = _format(dtype), np.random.default_rng((seed, _STREAM))
    balls, where = _balls(args, fmt, "check_jvp")
    leaves, rebuild = flatten(balls)
    plain, _ = flatten(tuple(args))
    active = [k for k in range(len(leaves)) if where[k]]
    aggregation = Aggregation("forward", fmt, "numpy", tuple(plain))
    scales, loss, what = Scales(), 0.0, "tangent of the result"
    of_formula: Format | None = None
    for kind_of in _kinds(repeats):
        tangents = [
            drawn(kind_of, rng, np.shape(x), fmt, scales.unit("forward")) if w else np.zeros(np.shape(x))
            for x, w in zip(plain, where, strict=True)
        ]
        before = rounded_operations()
        y, expected = jvp(
            _of_active(f, balls, active),
            [leaves[k] for k in active],
            [exact(tangents[k], fmt) for k in active],
        )
        loss = fmt.u * (rounded_operations() - before)
        of_formula = of_formula or _format_of_formula(
            _of_active(f, balls, active), [leaves[k] for k in active], y, args, fmt
        )
        try:
            got, written = _evaluate(f_jvp, (tuple(args), rebuild(tangents)), of_formula)
        except TypeError as error:
            if type(error) is not TypeError:  # of refgrad, in its own words
                raise
            raise ArgumentError(f"f_jvp raised TypeError: {error}. {_TUPLES}") from error
        places = [*names_of(args), *[f"the tangent of {name}" for name in names_of(args)]]
        _add_written(aggregation, "f_jvp", places, written, Question("forward", kind_of))
        if isinstance(got, (tuple, list)):
            raise ArgumentError(
                f"f_jvp returned a {type(got).__name__}; the tangent of the result alone is expected, without the result"
            )
        got = None if got is None else _real(result(got, "what f_jvp returned"), "what f_jvp returned")
        if _has_non_finite(got):
            got = _confirmed(got, _over_arrays(f_jvp, tuple(args), rebuild(tangents)))
        found, allowed = _compare(
            got, expected, fmt, what, scales.of(("forward", 0), tangents, expected, loss)
        )
        if got is not None and np.shape(parts(got)[0]) == (len(args), *np.shape(parts(expected)[0])):
            found = Comparison(note=f"{found.note}. {_TUPLES}")
        scales.learn(("forward", 0), found, tangents)
        aggregation.add(what, found, Question("forward", kind_of), tuple(tangents), 0, _values(got), allowed)
    return Report(
        f"check_jvp({_name(f)}, {_name(f_jvp)})",
        [(dtype, aggregation.verdict())],
        "call check_jvp with the same arguments and seed",
        "numpy",
        script=formula_script(f_jvp, f"check_jvp({_name(f)}, {_name(f_jvp)})", args),
    ).settle(raise_exception, strict=strict, allow_undecided=allow_undecided)


def _kinds(repeats: int) -> list[str]:
    """The kinds of cotangents or tangents, those of the whole significand first."""
    return [WHOLE] * repeats + [kind_of for kind_of in DRAWS if kind_of != WHOLE]


def _check_arguments(who: str, f: Any, formula: Any, args: Any, repeats: Any, seed: Any) -> None:
    role = who.replace("check", "f")
    for name, given in (("f", f), (role, formula)):
        if not callable(given):
            raise ArgumentError(
                f"{who}: {name} is {kind(given)}; a function is expected: {who}(f, {role}, (x,))"
            )
    if not isinstance(args, (tuple, list)):
        raise ArgumentError(
            f"{who}: args is {kind(args)}; a tuple with one entry for each argument is expected: {who}(f, {role}, (x,))"
        )
    if not args:
        raise ArgumentError(
            f"{who}: args is {args!r}; an entry for each argument is expected: {who}(f, {role}, (x,))"
        )
    whole_number(repeats, f"{who}: repeats", 1)
    whole_number(seed, f"{who}: seed", 0)


def _format(dtype: Any) -> Format:
    if not isinstance(dtype, str):
        raise DtypeError(f"dtype {dtype!r} is not judged; a name is expected, one of {list(computed_on())}")
    return format_of(dtype)


def _name(f: Any) -> str:
    return str(getattr(f, "__name__", type(f).__name__))


def _balls(args: Sequence[Any], fmt: Format, who: str) -> tuple[tuple[Any, ...], list[bool]]:
    leaves, rebuild = flatten(tuple(args))
    names = names_of(args)
    where = [is_tensor(x) or np.asarray(x).dtype.kind in "fc" for x in leaves]
    differentiable(
        [x for x, w in zip(leaves, where, strict=True) if w],
        [n for n, w in zip(names, where, strict=True) if w],
        who,
    )
    if not any(where):
        raise DtypeError(
            f"{who}: no argument can be differentiated: dtypes are {[str(np.asarray(x).dtype) for x in leaves]}; a floating-point one "
            "is expected. Pass x.astype(float), or float(x) of a number."
        )
    for x, n in zip(leaves, names, strict=True):
        _real(np.asarray(x), f"{who}: {n}")
    return rebuild([exact(x, fmt) if w else x for x, w in zip(leaves, where, strict=True)]), where


def _of_active(f: Function, balls: tuple[Any, ...], active: list[int]) -> Function:
    leaves, rebuild = flatten(balls)

    def call(*xs: Any) -> Any:
        full = list(leaves)
        for k, x in zip(active, xs, strict=True):
            full[k] = x
        y = f(*rebuild(full))
        if y is not None and not is_leaf(y):
            raise ArgumentError(
                f"{_name(f)} returns a {type(y).__name__}; one array is expected. Check its entries one by one."
            )
        return _real(result(y, f"what {_name(f)} returned"), f"what {_name(f)} returned")

    return call


def _format_of_formula(f: Function, xs: Sequence[Ball], y: Any, args: Sequence[Any], fmt: Format) -> Format:
    """The format for the formula: a cast changes its answer, and widens no bound, where it leaves fewer digits than the arguments have.

    Unless the function casts as well: its derivative is that of the casts.
    """
    dtypes = [np.asarray(x).dtype for x in flatten(tuple(args))[0]]
    given = max(np.finfo(dtype).nmant + 1 for dtype in dtypes if dtype.kind == "f")
    strict = replace(fmt, casts_below=min(fmt.bits, given))
    again = f(*[Ball(x.value, x.radius, strict) for x in xs])
    same = np.array_equal(parts(again)[0], parts(y)[0], equal_nan=True)
    return strict if same else fmt


def _real(x: Any, what: str) -> Any:
    """x. Raises DtypeError where it is complex: cotangents of real numbers would judge half of it."""
    if x.dtype.kind == "c":
        raise DtypeError(
            f"{what} has dtype {x.dtype}; real numbers are expected. Check real and imaginary parts as arguments and results of their own: "
            "np.stack([z.real, z.imag])."
        )
    return x


def _evaluate(f: Function, given: tuple[Any, ...], fmt: Format) -> tuple[Any, list[int]]:
    """What the hand-written formula returns, and the leaves of ``given`` into which it wrote.

    It gets Balls; plain arrays where it uses functions that Balls do not support. Both are copies, which the next question does not see.
    """
    leaves, rebuild = flatten(given)
    floating = [is_tensor(x) or np.asarray(x).dtype.kind == "f" for x in leaves]

    def evaluated(
        make: Callable[[Any], Any], call: Callable[[tuple[Any, ...]], Any]
    ) -> tuple[Any, list[int]]:
        made = [make(x) if one else x for x, one in zip(leaves, floating, strict=True)]
        before = [np.copy(parts(x)[0]) if one else None for x, one in zip(made, floating, strict=True)]
        found = call(rebuild(made))
        return found, [
            k
            for k, x in enumerate(before)
            if x is not None and not np.array_equal(parts(made[k])[0], x, equal_nan=True)
        ]

    try:
        return evaluated(lambda x: exact(x, fmt), lambda xs: called(f, xs))
    except (NoRuleError, TracingError):
        return evaluated(np.copy, lambda xs: f(*xs))


def _add_written(
    aggregation: Aggregation, who: str, names: Sequence[str], written: Sequence[int], question: Question
) -> None:
    for k in written:
        note = f"{who} wrote into {names[k]}, which belongs to its caller; a copy is expected: x.copy()"
        aggregation.add("the arguments", Comparison(note=note), question)


def _has_non_finite(got: Ball | PlainArray | None) -> bool:
    """Whether a result has infinite or NaN elements. Their radius is unknown, so a comparison would treat them as undefined."""
    return got is not None and not bool(np.all(np.isfinite(parts(got)[0])))


def _over_arrays(f: Function, *args: Any) -> Any:
    """The hand-written formula over copies of plain arrays."""
    leaves, rebuild = flatten(args)
    with np.errstate(all="ignore"):
        return f(*rebuild([x.copy() if isinstance(x, np.ndarray) else x for x in leaves]))


def _confirmed(got: Any, plain: Any) -> Any:
    """The result, with radius 0 at each element that is infinite or NaN over plain arrays as well: it is really so."""
    if type(got) is not Ball or plain is None or np.shape(plain) != got.shape:
        return got
    value, radius = parts(got)
    with np.errstate(invalid="ignore"):
        really = np.isnan(value) & np.isnan(plain) | np.isinf(value) & (value == plain)
    return Ball(value, np.where(really, 0.0, radius), got.fmt)


def _flat_cotangents(got: Any, args: Sequence[Any]) -> list[Any]:
    if not isinstance(got, (tuple, list)):
        got = (got,)
    if len(got) != len(args):
        raise ArgumentError(
            f"f_vjp returned {len(got)} cotangents for {len(args)} argument{'s'[: len(args) != 1]}; one for each is expected (None where "
            "there is none)"
        )
    found: list[Any] = []
    for g, x in zip(got, args, strict=True):
        if g is not None and not same_structure(x, g, missing=True):
            raise ArgumentError(
                f"f_vjp returned a cotangent with leaves {paths(g)} for an argument with leaves {paths(x)}; the structures must agree"
            )
        leaves = [None] * len(flatten(x)[0]) if g is None else leaves_as(g, x, missing=True)
        found.extend(
            None if leaf is None else _real(result(leaf, "what f_vjp returned"), "what f_vjp returned")
            for leaf in leaves
        )
    return found


def _or_zeros(got: Any, expected: Ball | PlainArray) -> Any:
    """A cotangent; zeros for None where zero is due."""
    return np.zeros(np.shape(expected)) if got is None and not np.any(parts(expected)[0]) else got


def _values(got: Ball | PlainArray | None) -> Callable[[], PlainArray | None]:
    return lambda: None if got is None else np.asarray(parts(got)[0], float)


def _compare(
    got: Ball | PlainArray | None, expected: Ball | PlainArray, fmt: Format, what: str, hidden: Hidden
) -> tuple[Comparison, Ball | None]:
    """The comparison, and the reference value with the bounds of both formulas."""
    if got is None:
        return Comparison(note=f"{what}: none was returned, one is due"), None
    value, radius = parts(got)
    centre, reach = parts(expected)
    if np.shape(value) != np.shape(centre):
        return Comparison(note=f"{what} has shape {np.shape(value)}, expected {np.shape(centre)}"), None
    allowed = Ball(centre, reach + radius, fmt)
    return planted(value, allowed, fmt, compare(value, allowed, fmt, what, hidden=hidden)), allowed
