"""The mutants: the whole catalogue is accounted for, and the judge of the mutants can itself fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conformance.mutants import MUTANTS, WAITING, Kind, Mutant, Way, judge
from conformance.mutants.judge import RAISED, REPEATS, cases, caught, refusals, verdict

CATALOGUE = {  # public reports of wrong backward formulas, by their short names
    "at-15", "at-18", "ax-1444", "ax-1587", "bu-5141", "fa-355", "fg-5220", "hips-01fa794", "hips-100", "hips-25c1b84",
    "hips-549", "hips-586", "hips-afea209", "hips-prod0", "hips-std", "jax-2380", "jax-3213", "jax-37821", "jax-40387",
    "jax-5054", "jax-8732", "lk-1298", "lk-1305", "lk-950", "mb-537", "mb-547", "mlx-1167", "mlx-3633", "mlx-610",
    "mlx-628", "mx-17703", "mx-18499", "mx-9497", "pt-10051", "pt-106789", "pt-107199", "pt-11750", "pt-13669", "pt-1528",
    "pt-155048", "pt-1631", "pt-168358", "pt-176910", "pt-181723", "pt-18215", "pt-195701", "pt-198017", "pt-23925",
    "pt-25833", "pt-26076", "pt-27134", "pt-31782", "pt-3264", "pt-36493", "pt-4320", "pt-43519", "pt-44452", "pt-51430",
    "pt-56734", "pt-57006", "pt-67800", "pt-69997", "pt-80761", "pt-82644", "pt-84681", "pt-8626", "pt-95111", "py-1911",
    "qk-53", "tf-119430", "tf-119477", "tf-12071", "tf-127226", "tf-3862", "tf-41280", "tf-50854", "tf-60736", "tg-12296",
    "tg-9597", "th-1585", "tr-4541", "tt-6533",
}  # fmt: skip

SQUARE = Mutant(
    "square", "https://example.org", "square", Kind.FACTOR,
    forward=np.square, right=lambda y_bar, x: 2 * x * y_bar, wrong=lambda y_bar, x: x * y_bar,
    inputs=lambda rng: [(np.array([1.0, 3.0]),), (rng.standard_normal(4),)],
)  # fmt: skip
KERNEL = replace(SQUARE, way=Way.KERNEL)


def test_nothing_is_passed_over() -> None:
    executable, waiting = [m.id for m in MUTANTS], [w.id for w in WAITING]
    assert len(CATALOGUE) == 82
    assert sorted([*executable, *waiting]) == sorted(CATALOGUE)
    assert set(waiting) == {"pt-155048", "pt-198017", "pt-43519"}  # every other one is run


def test_each_is_named_after_a_public_report() -> None:
    for m in (*MUTANTS, *WAITING):
        assert m.link.startswith("https://github.com/"), m.id
    assert all(w.reason for w in WAITING)
    assert all(m.dtypes for m in MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.id)
def test_right_is_accepted_and_wrong_is_caught(mutant: Mutant) -> None:
    for dtype in mutant.dtypes:
        assert refusals(mutant, dtype, seed=7) == []
        assert caught(mutant, dtype, seed=7)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.id)
def test_inputs_begin_with_the_exposing_ones_and_go_on_with_others(mutant: Mutant) -> None:
    drawn = cases(mutant, mutant.dtypes[0], seed=0)
    assert len(drawn) >= 2
    again = cases(mutant, mutant.dtypes[0], seed=0)
    for one, other in zip(drawn, again, strict=True):
        assert all(
            np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind == "f")
            for x, y in zip(one, other, strict=True)
        )


@pytest.mark.parametrize("way", [SQUARE, KERNEL], ids=["formula", "kernel"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_formula_is_not_caught_and_a_wrong_one_is_refused(way: Mutant, dtype: str) -> None:
    assert caught(way, dtype, seed=0)
    assert caught(replace(way, wrong=way.right), dtype, seed=0) == ""
    assert len(refusals(replace(way, right=way.wrong), dtype, seed=0)) == 2


def test_an_exception_counts_only_where_it_is_declared() -> None:
    def fails(y_bar, x):
        raise IndexError("beyond the end")

    with pytest.raises(IndexError):
        caught(replace(KERNEL, wrong=fails), "float64", seed=0)
    with pytest.raises(IndexError):
        caught(replace(KERNEL, wrong=fails, raises=ValueError), "float64", seed=0)
    assert caught(replace(KERNEL, wrong=fails, raises=IndexError), "float64", seed=0).startswith(RAISED)
    with pytest.raises(IndexError):  # a right formula may not raise at all
        refusals(replace(KERNEL, right=fails, raises=IndexError), "float64", seed=0)


def test_an_undecided_comparison_is_neither_acceptance_nor_a_catch() -> None:
    kinked = replace(
        SQUARE,
        forward=np.abs,
        right=lambda y_bar, x: y_bar * np.sign(x),
        wrong=lambda y_bar, x: 0.9 * y_bar,
    )
    unknown = replace(kinked, inputs=lambda rng: [(np.array([0.0]),)])
    assert "undecided" in refusals(unknown, "float64", seed=0)[0]
    assert caught(unknown, "float64", seed=0) == ""


def test_a_kernel_runs_in_the_format_and_on_buffers_of_its_own() -> None:
    def wide(y_bar, x):
        return (2 * x * y_bar).astype(np.float64)

    def spoils(y_bar, x):
        x_bar = 2 * x * y_bar
        y_bar[...] = x[...] = np.nan
        return x_bar

    assert "has dtype float64, expected float32" in caught(replace(KERNEL, wrong=wide), "float32", seed=0)
    args = cases(KERNEL, "float32", seed=0)[0]
    assert verdict(KERNEL, spoils, args, "float32", seed=0)
    assert np.array_equal(args[0], [1.0, 3.0])


def test_what_one_cotangent_does_not_show_is_judged_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def hidden(y_bar, x):
        return 2 * x * y_bar * (1.5 if asked[-1] > 1 else 1.0)

    monkeypatch.setattr(judge, "verdict", lambda *given: (asked.append(given[-1]), verdict(*given))[1])
    assert caught(replace(SQUARE, wrong=hidden), "float64", seed=0)
    assert asked == [1, REPEATS]
