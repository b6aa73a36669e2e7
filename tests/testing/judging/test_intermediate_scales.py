"""Scales: an ordinary answer gives the scale of the answers to other cotangents."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.intermediate_scales import Scales
from refgrad.tracing.ball import Ball

FMT = FORMATS["float32"]
KEY = ("reverse", 0)


def learnt(gradient, seeds) -> Scales:
    scales = Scales()
    expected = Ball(np.asarray(gradient, float), 1e-6 * np.abs(gradient), FMT)
    scales.learn(KEY, compare(np.asarray(gradient, float), expected, FMT, "g", hidden=Hidden()), seeds)
    return scales


def test_an_elementwise_gradient_keeps_its_scale_for_a_single_element() -> None:
    rng = np.random.default_rng(0)
    y_bar = rng.choice([-1.0, 1.0], 100)
    scales = learnt(0.5 * y_bar, [y_bar])
    single = np.zeros(100)
    single[3] = 2.0
    hidden = scales.of(KEY, [single], 0.5 * single)
    assert hidden.largest == pytest.approx(1.0)
    assert hidden.typical == pytest.approx(1e-6, rel=1e-3)


def test_a_sum_of_few_terms_has_a_smaller_scale() -> None:
    y_bar = np.ones(100)
    scales = learnt(np.array([100.0]), [y_bar])
    single = np.zeros(100)
    single[3] = 1.0
    assert scales.of(KEY, [single], np.array([1.0])).largest == pytest.approx(10.0)  # 100 sqrt(1/100)


def test_a_scale_grows_with_the_cotangents_and_is_learnt_once() -> None:
    scales = learnt(np.array([3.0, 1.0]), [np.array([1.0, -1.0, 0.0])])
    assert scales.of(KEY, [np.array([8.0, 8.0])], np.array([1.0, 1.0])).largest == pytest.approx(24.0)
    assert scales.unit("reverse") == pytest.approx(3.0)
    assert scales.unit("forward") == 0.0


def test_a_value_is_its_own_scale_and_nothing_known_is_no_scale() -> None:
    scales = learnt(np.array([3.0, 1.0]), [])
    assert scales.of(KEY, [], np.array([0.1])).largest == 3.0
    assert Scales().of(KEY, [np.ones(2)], np.ones(2), loss=0.1) == Hidden(0.1)
