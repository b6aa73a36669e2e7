"""Planted errors are explained by what was planted, and arrays that nothing explains by nothing."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS, computed_on
from refgrad.testing.checks.array_verdict import Evidence, Question
from refgrad.testing.checks.explanation import explain, explained
from refgrad.tracing.ball import nearest

SHAPES = [(64,), (8, 16), (12, 12), (3, 4, 5), (2, 3, 4, 6), (5, 40)]
DTYPES = list(computed_on())


class Planted:
    """An expected array with its bounds, another one, and a cotangent, all at random."""

    def __init__(self, shape, dtype, seed):
        self.rng, self.fmt, self.shape = np.random.default_rng(seed), FORMATS[dtype], shape
        self.x, self.bound = self.array()
        self.other, _ = self.array()
        self.seed = np.asarray(nearest(self.rng.standard_normal(shape), self.fmt), float)

    def array(self):
        rng, fmt = self.rng, self.fmt
        x = rng.standard_normal(self.shape).astype(fmt.wide) * np.exp(rng.normal())
        return x, np.abs(x) * rng.integers(2, 12) * fmt.u * rng.uniform(0.5, 2, self.shape).astype(fmt.wide)

    def rounded(self, y):
        return np.asarray(nearest(np.asarray(y, self.fmt.wide), self.fmt), float)

    def explain(self, y, **more):
        return explain(
            self.rounded(y),
            self.x,
            self.bound,
            self.fmt,
            others=[("gradient of input 1", self.other)],
            seeds=[self.seed],
            **more,
        )


def index(x):
    return np.arange(x.shape[-1])


KINDS = {
    "zeros": (lambda p: 0 * p.x, "every element is zero"),
    "NaN": (lambda p: p.x * np.nan, "every element is NaN"),
    "infinite": (lambda p: p.x * np.inf, "every element is infinite"),
    "sign": (lambda p: -p.x, "every element has the opposite sign"),
    "2": (lambda p: 2 * p.x, "every element is 2 times the expected value"),
    "1/n": (lambda p: p.x / p.shape[0], "every element is 0."),
    "n": (lambda p: p.x * p.shape[-1], "the size of axis {last}"),
    "size": (lambda p: p.x / p.x.size, "1/n for n = {size}, the"),
    "root": (lambda p: p.x * np.sqrt(p.shape[-1] + 0.0), "times the expected value"),
    "factor": (lambda p: p.x * 1.37, "every element is about 1."),
    "roll": (lambda p: np.roll(p.x, 1, -1), "the one expected 1 place before it along axis {last}"),
    "flip": (lambda p: np.flip(p.x, -1), "reversed along axis {last}"),
    "mean": (lambda p: np.broadcast_to(p.x.mean(-1, keepdims=True), p.shape), "the mean along axis {last}"),
    "swapped": (lambda p: p.other, "the answer is the expected gradient of input 1"),
    "constant": (lambda p: p.x + 3 * np.max(np.abs(p.x)), "every element is the expected value plus"),
    "cotangent": (lambda p: p.seed, "the answer is the cotangent of output 0 itself"),
    "tail": (
        lambda p: np.where(index(p.x) >= p.shape[-1] - 2, 0, p.x),
        "wrong in the last 2 of the {n} indices of axis {last} only; every element is zero there",
    ),
    "columns": (
        lambda p: np.where(index(p.x) % 2 == 0, 2 * p.x, p.x),
        "every 2nd of the {n} indices, from 0 on, of axis {last} only; every element is 2 times",
    ),
}  # fmt: skip
MATRICES = {
    "reshape": (lambda p: p.x.T.reshape(p.shape), "as a reshape from"),
    "a term for each row": (
        lambda p: p.x + 9 * p.rng.standard_normal((p.shape[0], 1)),
        "constant along axis 1",
    ),
    "a factor for each row": (
        lambda p: p.x * p.rng.uniform(2, 9, (p.shape[0], 1)),
        "each slice along axis 1",
    ),
}
FINE = {
    "rounded": (lambda p: nearest(p.x, FORMATS["bfloat16"]), "it was rounded to bfloat16"),
    "rounded cotangent": (
        lambda p: p.x / p.seed * nearest(p.seed, FORMATS["float16"]),
        "expected array for the cotangent rounded to float16",
    ),
    "forgotten cotangent": (lambda p: p.x / p.seed, "expected array for a cotangent of ones"),
}


def expect(kinds, shape, dtype):
    for seed, (name, (plant, words)) in enumerate(kinds.items()):
        if name == "tail" and len(shape) == 1:  # two elements of 64: too few to speak of
            continue
        p = Planted(shape, dtype, seed)
        said = p.explain(plant(p))
        description = words.format(n=shape[-1], last=len(shape) - 1, size=p.x.size)
        # With bounds that wide a mean may as well be something else.
        if dtype != "bfloat16" or name != "mean":
            assert description in said, (name, said)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_is_named(shape, dtype) -> None:
    expect(KINDS, shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(8, 16), (5, 40)])
def test_kinds_of_matrices_are_named(shape, dtype) -> None:
    expect(MATRICES, shape, dtype)
    p = Planted((12, 12), dtype, 0)
    assert p.explain(p.x.T) == "the answer is the expected array, transposed"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_with_fewer_bits_are_named(shape, dtype) -> None:
    expect(FINE, shape, dtype)


UNEXPLAINED = {
    "noise": lambda p: p.x + 0.3 * np.abs(p.x) * p.rng.standard_normal(p.shape),
    "noise of a few bounds": lambda p: p.x + p.bound * p.rng.uniform(-30, 30, p.shape),
    "another array": lambda p: p.rng.standard_normal(p.shape) * np.max(np.abs(p.x)),
    "a few elements": lambda p: np.where(
        p.rng.random(p.shape) < 0.1, p.x * (1 + p.rng.standard_normal(p.shape)), p.x
    ),
    "its square": lambda p: p.x * p.x,
    "one element": lambda p: np.where(np.arange(p.x.size).reshape(p.shape) == p.x.size // 2, 2 * p.x, p.x),
    "halves by chance": lambda p: p.x * p.rng.choice([1.0, 2.0], p.shape),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (2,), (3,), (2, 2), (3, 3)])
def test_of_what_nothing_explains_nothing_is_said(shape, dtype) -> None:
    said = []
    for seed in range(5):
        for name, change in UNEXPLAINED.items():
            p = Planted(shape, dtype, seed)
            words = p.explain(change(p))
            if words and not words.startswith("wrong in"):  # where it is wrong is so by chance, and true
                said.append((name, words))
    # Two of two or three elements doubled by chance is a factor of 2 indeed.
    assert [s for s in said if s[0] != "halves by chance" or p.x.size > 9] == []


def test_two_numbers_with_wide_bounds_explain_nothing() -> None:
    said = [
        Planted((2,), "bfloat16", seed).explain(np.random.default_rng(seed + 1).standard_normal(2))
        for seed in range(300)
    ]
    assert set(said) == {""}


def test_what_is_right_is_not_explained() -> None:
    p = Planted((4, 5), "float32", 0)
    assert p.explain(p.x) == ""
    assert explain(np.zeros(0), np.zeros(0), np.zeros(0), FORMATS["float64"]) == ""
    assert explain(1j * np.ones(9), np.ones(9), 1e-15, FORMATS["float64"]) == ""


def test_a_kernel_of_another_formula_has_its_factor_named() -> None:
    # Small elements miss their own bounds by what rounding does to the largest; a factor of 2 in all of them is seen all the same.
    p = Planted((40,), "float32", 1)
    p.x = p.x * np.logspace(0, -5, 40)
    p.bound = 4 * p.fmt.u * np.abs(p.x)
    noise = p.rng.uniform(-1, 1, 40) * 4 * p.fmt.u * np.max(np.abs(p.x))
    assert "2 times" in p.explain(2 * (p.x + noise))


def test_asking_again_verifies_what_elements_alone_do_not_show() -> None:
    rng, fmt = np.random.default_rng(0), FORMATS["float64"]
    w, seeds = rng.standard_normal((2, 5, 7)), [rng.standard_normal(5), rng.standard_normal(5)]

    def recompute(given):
        due = sum(s @ a for s, a in zip(given, w, strict=True) if s is not None)
        return due.astype(fmt.wide), np.full(7, 1e-14)

    def said(given):
        return explain(recompute(given)[0], *recompute(seeds), fmt, seeds=seeds, recompute=recompute)

    round_to_bits = [np.asarray(nearest(s, FORMATS["bfloat16"]), float) for s in seeds]
    assert said(round_to_bits) == "the answer is the expected array for the cotangent rounded to bfloat16"
    assert said([np.ones(5), np.ones(5)]).startswith(
        "the answer is the expected array for a cotangent of ones"
    )
    assert (
        said([seeds[0], 0 * seeds[1]])
        == "the answer is the expected array for the cotangent of output 0 alone"
    )
    assert said([seeds[1], seeds[0]]) == ""
    assert explain(recompute(round_to_bits)[0], *recompute(seeds), fmt, seeds=seeds) == ""


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_of_another_shape(dtype) -> None:
    p = Planted((6, 60), dtype, 3)
    total, bound = p.x.sum(0), p.bound.sum(0)
    bound = np.maximum(bound, 4 * p.fmt.u * np.abs(p.x).sum(0))
    assert "the sum over axis 0 is missing" in explain(p.rounded(p.x), total, bound, p.fmt)
    assert explain(p.rounded(p.x.T), p.x, p.bound, p.fmt) == "the answer is the expected array, transposed"
    assert (
        explain(p.rounded(p.x).ravel(), p.x, p.bound, p.fmt)
        == "the answer has the expected elements in the shape (360,)"
    )
    assert explain(p.rounded(p.other).ravel(), p.x, p.bound, p.fmt) == ""
    assert explain(p.rounded(p.other), total, bound, p.fmt) == ""
    assert explain(p.rounded(p.x[:5]), p.x, p.bound, p.fmt) == ""


def test_where_the_reference_is_not_finite_nothing_is_compared() -> None:
    p = Planted((4, 6), "float64", 0)
    p.x[1, 2], p.x[0, 0] = np.nan, np.inf
    assert "2 times" in p.explain(np.where(np.isnan(p.x), 7.0, 2 * p.x))


def test_evidence_is_explained_by_its_own_words() -> None:
    p = Planted((4, 6), "float32", 0)
    tangents = Evidence(Question("forward"), (p.x,), (p.seed,), 0, p.rounded(p.seed), p.x, p.bound)
    assert explained(tangents, "forward", "float32") == "the answer is the tangent of input 0 itself"
    assert explained(tangents, "reverse over reverse", "float32") == ""
    values = Evidence(Question("value"), (p.x,), (p.seed,), 0, p.rounded(p.seed), p.x, p.bound)
    assert explained(values, "value", "float32") == ""
    assert (
        explained(
            Evidence(Question("reverse"), (p.x,), (p.seed,), 0, None, p.x, p.bound), "reverse", "float32"
        )
        == ""
    )


def test_of_a_large_array_a_part_is_looked_at() -> None:
    rng, fmt = np.random.default_rng(0), FORMATS["float32"]
    x = rng.standard_normal((1000, 1000))
    bound = 1e-7 * np.abs(x)
    assert explain(x + 1e-3 * rng.standard_normal(x.shape), x, bound, fmt) == ""
    said = explain(x / 1000, x, bound, fmt)
    assert said == (
        "every element is 0.001 times the expected value, which is 1/n for n = 1000, the size of axis 0 and the size of axis 1 "
        "(looked at in its first 262000 elements)"
    )
    assert explain(x.T, x, bound, fmt) == ""  # a part does not show it
    assert "its first 262144 elements" in explain(2 * x.ravel(), x.ravel(), bound.ravel(), fmt)


def test_lost_digits_elsewhere_do_not_hide_where_it_is_wrong() -> None:
    p = Planted((8, 16), "float32", 1)
    p.x = p.x * np.where(np.arange(16) == 3, 1e-4, 1.0)
    p.bound = 4 * p.fmt.u * np.abs(p.x)
    lost = np.where(np.arange(16) == 3, 20 * p.bound, 0)  # explained by the rounding of the largest elements
    said = p.explain(np.where(index(p.x) >= 14, 0, p.x + lost))
    assert said == "wrong in the last 2 of the 16 indices of axis 1 only; every element is zero there"
