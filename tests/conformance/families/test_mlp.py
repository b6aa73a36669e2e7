"""Perceptrons on a grid: no sum of a layer is at the kink of an activation."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.families.mlp import _Network, _on_grid
from refgrad.testing.cases.source import Seeded


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_no_sum_of_a_layer_on_a_grid_is_zero(dtype: str) -> None:
    for seed in range(40):
        network = _Network(4, (4, 8, 2, 4), "relu", "none")
        p = {k: x.astype(float) for k, x in _on_grid(Seeded(seed), network, dtype, 1.0).items()}
        h = p["x"]
        for k in range(network.depth):
            h = h @ p[f"w{k}"] + p[f"b{k}"]
            assert np.all(h != 0)
            h = np.maximum(h, 0.0)
