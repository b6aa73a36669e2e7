"""The catalogue of planted errors: what each mutation does to an array, and where it does not apply."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph
from refgrad.testing import Case, NodeByNode
from refgrad.testing.power.graph_mutations import CATALOGUE, ONE_UNIT, Scene, changed
from refgrad.torch.observe import observe
from refgrad.tracing.ball import Ball, exact, parts

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def scene(f, x, place, y_bar=None, dtype="float64") -> Scene:
    """The array at a place of f's graph, as torch computes it."""
    graph = Graph.record(f, x)
    y = np.asarray(graph.forward(x))
    arriving = np.arange(1.0, y.size + 1).reshape(y.shape) if y_bar is None else np.asarray(y_bar, float)
    case = Case("graphs", graph, {"x": x}, {"x": np.ones_like(x)}, arriving, dtype)
    judge = NodeByNode(case, observe(case))
    judge.value()
    part, key = place
    return Scene(judge, place, exact(np.asarray(getattr(judge.seen, part)[key]), judge.fmt))


def planted(name: str, at: Scene, seed: int = 0) -> np.ndarray | None:
    """The wrong array; None where the error has no room."""
    wrong = CATALOGUE[name](at, np.random.default_rng(seed))
    found = None if wrong is None else wrong(at)
    return None if found is None else np.asarray(parts(found)[0], float)


def gradient_of(f, x=X, **more) -> Scene:
    return scene(f, x, ("cotangents", 0), **more)


@pytest.mark.parametrize(
    ("name", "factor"),
    [("sign", -1.0), ("factor 2", 2.0), ("relative 1e-2", 1.01), ("relative 1e-3", 1.001), ("relative 1e-4", 1.0001),
     ("relative 1e-6", 1.000001)],
)  # fmt: skip
def test_factors_multiply_every_element(name: str, factor: float) -> None:
    at = gradient_of(np.sin)
    np.testing.assert_array_equal(planted(name, at), np.asarray(at.base.value * factor, float))


def test_one_element_is_doubled_or_gets_garbage_and_the_others_stay() -> None:
    at = gradient_of(np.sin)
    base = np.asarray(at.base.value, float)
    for name, change in (
        ("one wrong element", lambda x: 2 * x),
        ("uninitialised element", lambda x: x + np.abs(base).max()),
    ):
        found = planted(name, at, seed=3)
        [k] = np.flatnonzero(found != base)
        assert found.flat[k] == change(base.flat[k])


@pytest.mark.parametrize(
    ("dtype", "unit"), [("float64", 2.0**-52), ("bfloat16", 2.0**-7), ("float16", 2.0**-10)]
)
def test_one_element_is_off_by_one_unit_in_the_last_place(dtype: str, unit: float) -> None:
    at = gradient_of(np.positive, y_bar=np.full(X.shape, 1.5), dtype=dtype)
    steps = np.concatenate([planted(ONE_UNIT, at, seed).ravel() - 1.5 for seed in range(8)])
    assert sorted(set(steps)) == [-unit, 0.0, unit]
    assert np.count_nonzero(steps) == 8
    at = gradient_of(np.positive, y_bar=np.zeros(X.shape), dtype=dtype)
    assert np.abs(planted(ONE_UNIT, at)).max() == FORMATS[dtype].least


def test_rolled_and_transposed_arrays_need_an_axis_of_more_than_one() -> None:
    at = gradient_of(np.sin, X[:, :2])
    base = np.asarray(at.base.value, float)
    np.testing.assert_array_equal(planted("transpose", at), base.T)
    assert any(np.array_equal(planted("roll", at), np.roll(base, 1, axis)) for axis in (0, 1))
    assert planted("transpose", gradient_of(np.sin)) is None  # not square
    assert planted("roll", gradient_of(np.sin, np.ones((1, 1)))) is None


def test_a_dropped_path_lacks_what_one_user_sent() -> None:
    at = gradient_of(lambda x: np.sin(x) + np.exp(x))
    sent = [np.asarray(at.judge.seen.parts[user], float) for user in at.users()]
    assert len(sent) == 2
    assert any(np.array_equal(planted("dropped path", at), s) for s in sent)
    np.testing.assert_array_equal(planted("dropped path", gradient_of(np.sin)), np.zeros_like(X))
    assert planted("dropped path", scene(np.sin, X, ("values", 1))) is None


def test_a_broadcast_gradient_takes_one_slice_for_the_sum() -> None:
    at = gradient_of(
        lambda x: x * np.ones((2, 3)), np.array([1.0, 2.0, 3.0]), y_bar=[[1, 2, 3], [10, 20, 30]]
    )
    assert planted("missing broadcast sum", at).tolist() in ([1, 2, 3], [10, 20, 30])
    assert planted("missing broadcast sum", gradient_of(np.sin)) is None


def test_a_mean_that_forgets_its_division_is_n_times_too_large() -> None:
    at = gradient_of(lambda x: np.mean(x, axis=1))
    np.testing.assert_array_equal(planted("forgotten 1/n", at), np.asarray(at.base.value * 3, float))
    assert planted("forgotten 1/n", gradient_of(lambda x: np.sum(x, axis=1))) is None


def test_softmax_without_its_second_term() -> None:
    y_bar = np.arange(1.0, 7).reshape(2, 3)
    due = np.asarray(nn.softmax(X)) * y_bar
    np.testing.assert_allclose(
        planted("missing softmax term", gradient_of(nn.softmax)), due, rtol=4 * np.finfo(float).eps
    )
    np.testing.assert_array_equal(planted("missing softmax term", gradient_of(nn.log_softmax)), y_bar)
    assert planted("missing softmax term", gradient_of(np.sin)) is None


@pytest.mark.parametrize(
    "f",
    [
        np.abs,
        lambda x: np.maximum(x, 0.1),
        lambda x: np.clip(x, -0.8, 1.0),
        lambda x: np.where(x > 0, x, 3 * x),
    ],
)
def test_a_wrong_branch_changes_one_element_of_a_gradient(f) -> None:
    at = next(s for s in (scene(f, X, ("cotangents", 0)),) if s is not None)
    base = np.asarray(at.base.value, float)
    found = [planted("wrong branch", at, seed) for seed in range(4)]
    changes = {int(np.count_nonzero(x != base)) for x in found if x is not None}
    assert changes <= {0, 1}
    assert 1 in changes or at.node < 0  # a sum of two users has no op to be wrong


def test_stale_tensors_and_misread_memory_belong_to_derivatives() -> None:
    at = gradient_of(np.exp)
    stale = planted("stale saved tensor", at)
    assert np.all(stale != np.asarray(at.base.value, float))
    y_bar = np.arange(1.0, 7).reshape(2, 3)
    np.testing.assert_allclose(
        planted("misread memory order", at), np.exp(X) * y_bar.ravel(order="F").reshape(2, 3), rtol=1e-14
    )
    for name in ("stale saved tensor", "misread memory order"):
        assert planted(name, scene(np.exp, X, ("values", 1))) is None


@pytest.mark.parametrize(("dtype", "bits"), [("float64", 24), ("float32", 8)])
def test_a_narrow_sum_keeps_the_bits_of_the_next_format(dtype: str, bits: int) -> None:
    at = scene(lambda x: np.sum(x, axis=0), X.astype(dtype).astype(float) + 1 / 3, ("values", 1), dtype=dtype)
    found = planted("narrow accumulation", at)
    mantissa, _ = np.frexp(found)
    assert np.all(np.ldexp(mantissa, bits) % 1 == 0)
    assert np.all(np.abs(found / np.asarray(at.base.value, float) - 1) <= 2.0**-bits)
    assert planted("narrow accumulation", scene(np.sin, X, ("values", 1))) is None


def test_a_linear_error_moves_the_radius_with_the_value() -> None:
    at = gradient_of(np.sin)
    at.base = Ball(at.base.value, np.full(X.shape, 0.5), at.base.fmt)
    assert parts(changed(lambda x: -3 * x)(at))[1].tolist() == [[1.5] * 3] * 2
