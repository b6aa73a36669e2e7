"""Normalizations in float16: NaN and infinity are known in the rows where a product of factors overflows, and in no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.normalization_overflow import NORMALIZATION_OVERFLOW
from refgrad.testing.deviations.recorded_formula import OTHER_MODES, PAIRING, TANGENT, Inputs, within
from refgrad.tracing.ball import exact

FMT = FORMATS["float16"]
EQUAL, APART = [0.5, 0.5, 0.5, 0.5], [0.5, -1.0, 2.0, 0.25]
GIVEN = [1.0, -0.5, 0.25, 0.75]  # a cotangent, and a tangent
PARAMS: dict[str, dict[str, Any]] = {
    "layer_norm": {"normalized_shape": (4,)},
    "group_norm": {"num_groups": 1},
    "batch_norm": {"running_mean": None, "running_var": None, "training": True, "momentum": 0.1},
    "instance_norm": {"running_mean": None, "running_var": None, "use_input_stats": True, "momentum": 0.1},
}


def asked(
    name: str, rows: Any, given: Any, *, eps: float, second: bool, weight: float | None = None
) -> Inputs:
    """Two rows that are normalized each by itself."""
    x, g = (np.array([[row] for row in a]) for a in (rows, [given, given]))  # samples of one channel
    if name == "batch_norm":  # one sample of two channels
        x, g = (np.swapaxes(a, 0, 1) for a in (x, g))
    elif name == "layer_norm":
        x, g = x[:, 0], g[:, 0]
    n = {"layer_norm": 4, "batch_norm": 2}.get(name, 1)
    more = [] if weight is None else [exact(np.full(n, weight), FMT)]
    params = {**PARAMS[name], "eps": eps, "bias": None, **({"weight": None} if weight is None else {})}
    xs = exact(x, FMT), *more
    return Inputs(second, tuple(xs), params, exact(g, FMT), (exact(g, FMT), *more), FMT)


def known(ball: Any) -> list[bool]:
    return [within(np.nan, ball, at, 1.0) for at in np.ndindex(np.shape(ball))]


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("name", PARAMS)
def test_the_row_of_equal_numbers_alone_is_known(name: str, second: bool) -> None:
    formula = NORMALIZATION_OVERFLOW[f"{name} by products that overflow"]
    found = formula(asked(name, [EQUAL, APART], GIVEN, eps=1e-5, second=second))
    for ball in (found[0][0], found[TANGENT][0], found[OTHER_MODES][0]):
        assert known(ball) == [True] * 4 + [False] * 4
        assert not any(within(3.0, ball, at, 1.0) for at in list(np.ndindex(np.shape(ball)))[4:])
    assert known(found[PAIRING][0]) == [True]
    found = formula(asked(name, [EQUAL, APART], GIVEN, eps=1.0, second=second, weight=0.5))
    assert not any(any(known(ball)) for k in (0, 1, TANGENT, OTHER_MODES, PAIRING) for ball in found[k])


def test_the_cube_is_multiplied_by_the_largest_distance_of_a_tangent_from_the_mean() -> None:
    """1/(eps sqrt(eps)) is 31623 at 1e-3, and half of the largest number is 32752: what is above 1 decides."""
    formula = NORMALIZATION_OVERFLOW["layer_norm by products that overflow"]
    for given, due in (
        ([1.0, -1.0, 0.5, -0.5], False),
        ([1.75, -1.75, 0.0, 0.0], False),
        ([2.25, -0.25, 0.5, 0.5], True),
    ):
        found = formula(asked("layer_norm", [EQUAL, APART], given, eps=1e-3, second=False))
        assert known(found[TANGENT][0])[:4] == [due] * 4


def test_a_second_derivative_multiplies_two_sums() -> None:
    x, ones = np.linspace(-2, 2, 1536).reshape(3, 1, 512), np.full((3, 1, 512), 0.25)
    params = {**PARAMS["batch_norm"], "eps": 1e-5, "weight": None, "bias": None}
    for second in (False, True):
        inputs = Inputs(second, (exact(x, FMT),), params, exact(ones, FMT), (exact(ones, FMT),), FMT)
        found = NORMALIZATION_OVERFLOW["batch_norm by products that overflow"](inputs)[0][0]
        assert known(found) == [second] * x.size  # 384 times 384 is beyond 65504


def test_a_weight_that_is_added_up_over_rows_meets_all_of_them() -> None:
    formula = NORMALIZATION_OVERFLOW["layer_norm by products that overflow"]
    found = formula(asked("layer_norm", [EQUAL, APART], GIVEN, eps=1e-5, second=False, weight=0.5))
    assert known(found[1][0]) == [True] * 4
