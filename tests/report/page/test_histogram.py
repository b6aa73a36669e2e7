"""Histograms of the worst errors: every result in one bin, bars within the picture, the bound in its place."""

from __future__ import annotations

import math

import pytest

from refgrad.report.page.histogram import BOTTOM, HEIGHT, TOP, WIDTH, histograms
from refgrad.report.storage.load import load


@pytest.fixture
def drawn(make, save):
    """The two histograms of results with these worst errors, as (ratio, ulp)."""

    def of(*errors):
        lines = [
            make.result(f"{k:016x}", worst={**make.result("a")["worst"], "ratio": ratio, "ulp": ulp})
            for k, (ratio, ulp) in enumerate(errors)
        ]
        return histograms(load(save([make.header(), *lines, make.result("f" * 16, worst=None)])))

    return of


def filled(histogram) -> dict[str, int]:
    return {bar.label: bar.number for bar in histogram.bars if bar.number}


def test_every_result_with_an_error_is_in_one_bin(drawn) -> None:
    ratio, ulp = drawn(
        (0.0, 0.0), (0.05, 0.5), (0.1, 0.6), (1.0, 1.0), (1.5, 2000.0), (9e9, 1e300), ("inf", "nan")
    )
    assert filled(ratio) == {"0": 1, "≤ .1": 2, "≤ 1": 1, "≤ 3": 1, "> 1e4": 1, "nan, ∞": 1}
    assert filled(ulp) == {"0": 1, "≤ .5": 1, "≤ 1": 2, "≤ 1M": 1, "> 1M": 1, "nan, ∞": 1}
    assert ratio.total == sum(bar.number for bar in ratio.bars) == 7


def test_an_error_without_ulp_is_left_out_of_these_alone(drawn) -> None:
    ratio, ulp = drawn((0.5, "nan"))
    assert (ratio.total, ulp.total) == (1, 0)


def test_bars_beyond_the_bound_are_marked_and_it_stands_between(drawn) -> None:
    ratio, ulp = drawn((0.5, 1.0), (2.0, 1.0))
    inside, beyond = ([bar for bar in ratio.bars if bar.beyond == side] for side in (False, True))
    assert [bar.number for bar in inside if bar.number] == [bar.number for bar in beyond if bar.number] == [1]
    assert max(bar.x + bar.width for bar in inside) < ratio.limit < min(bar.x for bar in beyond)
    assert ulp.limit is None
    assert not any(bar.beyond for bar in ulp.bars)


def test_bars_lie_within_the_picture_and_the_tallest_fills_it(drawn) -> None:
    ratio, _ = drawn(*[(0.5, 1.0)] * 1000, (0.02, 1.0))
    heights = {bar.number: bar.height for bar in ratio.bars}
    assert heights[1000] == HEIGHT - TOP - BOTTOM
    assert heights[1] == 2.0  # seen, though it is a thousandth
    assert heights[0] == 0.0
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in ratio.bars)
    assert all(math.isclose(bar.y + bar.height, HEIGHT - BOTTOM) for bar in ratio.bars)
    assert {bar.shown for bar in ratio.bars} == {"", "1", "1.0k"}
