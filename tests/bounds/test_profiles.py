"""Rounding profiles: the documented figures, the profile of a device, and the rules that a profile's statements change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refgrad import bounds
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import FORMATS, UNIT_ROUNDOFF, Format, format_of
from refgrad.bounds.profiles import CPU, CUDA, DOUBLE, SINGLE, Profile, profile_of
from refgrad.bounds.rounding import rounded
from refgrad.bounds.rules import reference_slack
from refgrad.op import REGISTRY, apply
from refgrad.tracing.ball import exact, parts

Array = Any
FMT = FORMATS["float32"]
NUMPY_ULP = {name: {f: max(ulp, 4.0) for f, ulp in table.items()} for name, table in CPU.ulp.items()}
NUMPY = replace(FMT, ulp_table=NUMPY_ULP["float32"])  # what NumPy documents


def narrow(x: Array) -> Array:
    """The nearest float32 numbers, in float64."""
    return np.asarray(x, np.float32).astype(float)


def _in_format(x: Array, fmt: Format) -> Array:
    return rounded(np.asarray(x, np.float32), fmt).astype(float)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("seed", range(5))
def test_running_sums_that_are_stored_at_each_step_are_inside_where_a_profile_says_so(
    dtype: str, seed: int
) -> None:
    fmt = format_of(dtype, "cuda")
    x = _in_format(np.random.default_rng(seed).standard_normal(40), fmt)
    stored = [x[0]]
    for term in x[1:]:
        stored.append(float(_in_format(stored[-1] + term, fmt)))
    run = Evaluation(fmt, np.cumsum, np.cumsum(x), (x,), (None,), {"axis": 0})
    error = np.abs(np.array(stored) - np.cumsum(x))
    assert np.all(error <= bounds.running(run))
    rounded_once = bounds.running(run._replace(fmt=format_of(dtype, "cpu")))
    assert np.any(error > rounded_once)  # the profile of a CPU would not admit it


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sums_that_are_kept_in_storage_are_inside_where_a_profile_says_so(dtype: str) -> None:
    plain = format_of(dtype)
    storing = format_of(dtype, profile=replace(CPU, storing_sums=frozenset({dtype})))
    x = _in_format(np.random.default_rng(3).uniform(0.5, 1, (40, 50)), plain)
    total = x[0]
    for row in x[1:]:
        total = _in_format(total + row, plain)
    run = Evaluation(storing, np.add.reduce, np.sum(x, axis=0), (x,), (None,), {"axis": 0, "keepdims": False})
    error = np.abs(total - np.sum(x, axis=0))
    assert np.all(error <= bounds.summed(run))
    assert np.any(error > bounds.summed(run._replace(fmt=plain)))
    # Functions and products of matrices are computed as ever.
    assert storing.ulp("exp") == plain.ulp("exp")
    product = Evaluation(storing, np.matmul, x.T @ x, (x.T, x), (None, None), {})
    same = bounds.bilinear(product._replace(fmt=plain), 40)
    assert np.array_equal(bounds.bilinear(product, 40), same)


def test_compensated_sums_are_inside_where_a_profile_says_so() -> None:
    x = np.float32(np.random.default_rng(0).standard_normal((4, 20000)))
    # Zeros follow two or three terms, and the last correction is rounded.
    x[2:] *= np.float32(0.5) > np.abs(x[2:])
    total, rest = np.zeros(20000, np.float32), np.zeros(20000, np.float32)
    for term in x:
        corrected = term - rest
        larger = total + corrected
        total, rest = larger, (larger - total) - corrected
    terms = x.astype(float)
    error = np.abs(total - np.sum(terms, axis=0))
    run = Evaluation(FMT, np.sum, np.sum(terms, axis=0), (terms,), (None,), {"axis": 0})
    assert np.any(error > bounds.summed(run))  # no order of a plain sum explains it
    assert np.all(error <= bounds.summed(run._replace(fmt=FMT.under(replace(CPU, compensated=True)))))


@pytest.mark.parametrize(
    "fmt", [format_of("float32", "cuda"), format_of("bfloat16", "cuda")], ids=lambda f: f.name
)
def test_a_product_with_the_rounded_reciprocal_is_inside_where_a_profile_says_so(fmt: Format) -> None:
    x = _in_format(np.random.default_rng(1).standard_normal(4000), fmt)
    worst = 0.0
    for n in (3.0, 7.0, 10.0, 49.0, 3.0 * 2.0**126):
        reciprocal = float(np.float32(1 / n))
        # Kernels multiply in float32.
        product = np.asarray(np.float32(x) * np.float32(reciprocal), np.float32)
        came = product.astype(float) if fmt.name == "float32" else _in_format(product, fmt)
        run = Evaluation(fmt, np.true_divide, x / n, (x, np.asarray(n)), (None, None), {})
        error = np.abs(came - x / n)
        assert np.all(error <= bounds.quotient(run))
        plain = bounds.quotient(run._replace(fmt=format_of(fmt.name, "cpu")))
        worst = max(worst, float(np.max(error / plain)))
    # A division rounds less, so the profile of a CPU would not admit it. In a half format the rounding to storage is the larger part.
    assert worst > 1 or fmt.u > fmt.u_acc


def test_a_divisor_that_is_broadcast_may_be_inverted_where_a_profile_says_so() -> None:
    fmt = format_of("float32", "cpu", replace(CPU, broadcasting_reciprocal=True))
    rng = np.random.default_rng(3)
    x, rows = narrow(rng.standard_normal((60, 50))), narrow(rng.uniform(1, 2, (60, 1)))
    came = (np.float32(x) * (np.float32(1) / np.float32(rows))).astype(float)
    error = np.abs(came - x / rows)
    run = Evaluation(fmt, np.true_divide, x / rows, (x, rows), (None, None), {})
    assert np.all(error <= bounds.quotient(run))
    assert np.any(error > bounds.quotient(run._replace(fmt=FMT)))
    full = np.broadcast_to(rows, x.shape)  # is divided by as ever
    assert np.array_equal(
        bounds.quotient(run._replace(xs=(x, full))), bounds.quotient(run._replace(fmt=FMT, xs=(x, full)))
    )


@pytest.mark.parametrize(
    "divisors", [(1, 2), (2.0**14, 2.0**15)], ids=["ordinary", "whose reciprocals are subnormal"]
)
def test_the_reciprocal_may_be_rounded_to_the_half_format_where_a_profile_says_so(
    divisors: tuple[float, float],
) -> None:
    profile = replace(CPU, broadcasting_reciprocal=True)
    fmt = format_of("float16", "cpu", replace(profile, stored_reciprocal=frozenset({"float16"})))
    rng = np.random.default_rng(4)
    x, rows = np.float16(rng.uniform(64, 128, (60, 50))), np.float16(rng.uniform(*divisors, (60, 1)))
    came = (x * (np.float16(1) / rows)).astype(float)
    wide, by = x.astype(float), rows.astype(float)
    error = np.abs(came - wide / by)
    run = Evaluation(fmt, np.true_divide, wide / by, (wide, by), (None, None), {})
    assert np.all(error <= bounds.quotient(run))
    accumulated = run._replace(fmt=format_of("float16", "cpu", profile))
    assert np.any(error > bounds.quotient(accumulated))


FLUSHING = format_of("float32", "cpu", Profile("made", NUMPY_ULP, flushing=frozenset({"float32"})))
TINY = np.float32(FMT.least_normal)


def flush(x: Array) -> Array:
    """float32 numbers, the subnormal ones as zero."""
    x = np.asarray(x, np.float32)
    return np.where(np.abs(x) < TINY, np.float32(0), x)


def flushing_sum(x: Array) -> Array:
    total = np.float32(0)
    for term in x:
        total = flush(total + term)
    return total


@pytest.mark.parametrize(
    ("op", "kernel", "exponents"),
    [
        *((name, getattr(np, name), [(-150, -100), (-150, -100)]) for name in ("add", "subtract", "maximum")),
        ("multiply", np.multiply, [(-150, -100), (-20, 20)]),
        ("divide", np.divide, [(-150, -100), (-20, 20)]),
        ("square", np.square, [(-76, -56)]),
        *(
            (f, getattr(np, f), [(-150, -100)])
            for f in ("negative", "abs", "expm1", "log1p", "sin", "tanh", "sqrt")
        ),
        ("fan_in", lambda *xs: flush(flush(xs[0] + xs[1]) + xs[2]), [(-150, -100)] * 3),
        ("sum", flushing_sum, [(-150, -120)]),
    ],
)
def test_what_kernels_flush_is_inside_where_a_profile_says_so(
    op: str, kernel: Callable[..., Array], exponents: list[tuple[int, int]]
) -> None:
    rng, record, lost = np.random.default_rng(4), REGISTRY[op], 0
    signs = {"sqrt": [1.0], "divide": [-1.0, 1.0]}.get(op, [-1.0, 0.0, 1.0])
    for _ in range(30):
        xs = [narrow(2.0 ** rng.uniform(*span, 64) * rng.choice(signs, 64)) for span in exponents]
        with np.errstate(all="ignore"):
            came = flush(kernel(*map(flush, xs))).astype(float)
            params = dict(record.signature.defaults) if op == "sum" else {}
            found, kept = (
                apply(record, tuple(exact(x, fmt) for x in xs), params) for fmt in (FLUSHING, NUMPY)
            )
            off = np.abs(came - parts(found)[0])
        assert np.all(off <= parts(found)[1] * reference_slack(FMT))
        lost += np.count_nonzero(off > parts(kept)[1])
    assert lost  # a profile that does not say so would not admit it


@pytest.mark.parametrize("op", ["maximum", "minimum", "fmax", "fmin"])
def test_any_of_the_operands_that_a_comparison_takes_as_zero_may_be_returned(op: str) -> None:
    xs = np.array([9e-41, 0.0, -9e-41, 1.0]), np.array([0.0, -3e-40, 9e-41, 9e-41])
    first, second = (np.where(np.abs(x) < TINY, 0.0, x) for x in xs)
    larger = first > second if op.endswith("max") or op == "maximum" else first < second
    for returned in (np.where(larger | (first == second), *xs), np.where(larger, *xs)):
        value, radius = parts(apply(REGISTRY[op], tuple(exact(x, FLUSHING) for x in xs), {}))
        assert np.all(np.abs(returned - value) <= radius)
        assert radius[3] < 1e-37


def test_exact_zeros_stay_exact_where_kernels_flush() -> None:
    zeros = exact(np.zeros(3), FLUSHING)
    assert zeros.radius is None
    assert not np.any(parts(zeros * 3 + zeros)[1])
    assert list(exact(np.array([0.0, 1e-40, -1e-40, 1.0]), FLUSHING).radius) == [0, 1e-40, 1e-40, 0]


PROFILES = (CPU, CUDA)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_a_profile_has_a_figure_for_every_function_in_both_formats(profile: Profile) -> None:
    assert profile.ulp.keys() == {SINGLE, DOUBLE}
    assert profile.ulp[SINGLE].keys() == profile.ulp[DOUBLE].keys() == CPU.ulp[SINGLE].keys()
    assert all(ulp >= 0.5 for table in profile.ulp.values() for ulp in table.values()), (
        "rounding alone is half a ULP"
    )


def test_figures_that_the_documents_state() -> None:
    assert CPU.ulp[SINGLE]["sin"] == 3.5  # SLEEF's faster sine
    assert CPU.ulp[DOUBLE]["sin"] == 1.0
    assert CPU.ulp[DOUBLE]["cbrt"] == 4.5  # glibc's, of 4 ULP from the correctly rounded result
    assert CUDA.ulp[SINGLE]["tan"] == 4.5
    assert CUDA.ulp[DOUBLE]["tan"] == 2.5


def test_devices_have_the_profile_of_their_kind() -> None:
    assert profile_of("cuda:1") is CUDA
    assert profile_of("cuda") is CUDA
    assert profile_of("cpu") is CPU
    assert profile_of("a device of a kind that nobody has described") is CPU


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_sums_cost_narrow_formats_twice_the_unit_roundoff(name: str) -> None:
    fmt = FORMATS[name]
    own = UNIT_ROUNDOFF[fmt.accumulator]
    assert fmt.under(CPU).u_acc == own
    assert fmt.under(CUDA).u_acc == (2 * own if fmt.u > own else own)
    assert fmt.under(CUDA).ulp_table is CUDA.ulp[fmt.accumulator]


@pytest.mark.parametrize("dtype", [name for name, fmt in FORMATS.items() if fmt.computed and not fmt.devices])
def test_a_backend_that_flushes_to_zero_may_lose_every_subnormal(dtype: str) -> None:
    flushed = format_of(dtype, "cpu", Profile("made", CPU.ulp, flushing=frozenset({dtype})))
    assert flushed.eta == FORMATS[dtype].least_normal > format_of(dtype).eta


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_cuda_keeps_running_sums_in_storage_and_multiplies_by_reciprocals(dtype: str) -> None:
    cpu, cuda = format_of(dtype, "cpu"), format_of(dtype, "cuda")
    assert (cpu.u_scan, cpu.u_reciprocal) == (None, 0.0)
    assert (cuda.u_scan, cuda.u_reciprocal) == (cuda.u, UNIT_ROUNDOFF[cuda.accumulator])


def test_the_profile_of_a_backend_takes_the_place_of_torch_s() -> None:
    made = Profile("made", {SINGLE: {"exp": 7.0}, DOUBLE: {"exp": 3.0}})
    assert format_of("float32", "cpu", made).ulp("exp") == 7
    assert format_of("float64", "cpu", made).ulp("exp") == 3
    assert format_of("float32", "cuda", made).ulp("exp") == 7
    assert format_of("float32", "cuda") == format_of("float32", "cuda", CUDA)
