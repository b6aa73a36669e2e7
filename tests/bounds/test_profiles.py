"""Rounding profiles: the documented figures, and the profile of a device."""

from __future__ import annotations

import pytest

from refgrad.bounds.formats import FORMATS, UNIT_ROUNDOFF, format_of
from refgrad.bounds.profiles import CPU, CUDA, DOUBLE, SINGLE, Profile, profile_of

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
