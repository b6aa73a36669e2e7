"""Arguments of functions at ordinary numbers: where no recorded disagreement of theirs holds, and where one does."""

from __future__ import annotations

from typing import Any

import numpy as np

X, Y = np.array([0.7, 1.3, 0.9, 1.9]), np.array([1.2, 0.8, 1.6, 0.6])
ROWS, OTHERS = np.stack([X, Y]), np.stack([Y, X * Y])
POOLED = {"norm_type": 2.0, "kernel_size": 2, "stride": None, "ceil_mode": False}
SIGNS = np.array([1, -1, 1, -1])

ORDINARY_ARGUMENTS: dict[str, dict[str, Any]] = {
    "nn.binary_cross_entropy": {"input": X / 3, "target": Y / 2, "weight": None, "reduction": "mean"},
    "nn.cdist": {"x1": ROWS, "x2": OTHERS - 1, "p": np.inf}, "nn.pdist": {"input": ROWS, "p": np.inf},
    "nn.celu": {"input": X, "alpha": 1.0}, "nn.selu": {"x": X},
    "nn.cosine_embedding_loss": {
        "input1": ROWS, "input2": OTHERS, "target": np.array([1, -1]), "margin": 0.0, "reduction": "mean",
    },
    "nn.gaussian_nll_loss": {"input": X, "target": Y, "var": X * Y, "full": False, "eps": 1e-6, "reduction": "mean"},
    "nn.triplet_margin_with_distance_loss": {
        "anchor": ROWS, "positive": OTHERS, "negative": 2 * ROWS, "distance_function": None, "margin": 1.0, "swap": False,
        "reduction": "mean",
    },
    "nn.cosine_similarity": {"x1": ROWS, "x2": OTHERS, "dim": 1, "eps": 1e-8},
    "nn.ctc_loss": {
        "log_probs": np.log(np.array([[[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.25]], [[0.25, 0.25, 0.5]]])),
        "targets": np.array([[1, 2]]), "input_lengths": (3,), "target_lengths": (2,), "blank": 0, "reduction": "mean",
        "zero_infinity": False,
    },
    "nn.embedding": {
        "input": np.array([0, 2]), "weight": np.stack([X, Y, X * Y]), "padding_idx": None, "max_norm": None, "norm_type": 2.0,
        "scale_grad_by_freq": False, "sparse": False,
    },
    "nn.instance_norm": {
        "input": np.array([[[1.0, -0.5, 0.25, -0.75], [0.5, 1.5, -1.0, 0.125]]]), "running_mean": None, "running_var": None,
        "weight": X[:2], "bias": Y[:2], "use_input_stats": True, "momentum": 0.1, "eps": 1.0,
    },
    "nn.interpolate": {
        "input": ROWS.reshape(1, 1, 2, 4), "size": (4, 2), "scale_factor": None, "mode": "bilinear", "align_corners": False,
        "recompute_scale_factor": None, "antialias": True,
    },
    "nn.max_pool3d": {
        "input": ROWS.reshape(1, 1, 2, 2, 2), "kernel_size": 2, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False,
        "return_indices": False,
    },
    "nn.lp_pool1d": {"input": X.reshape(1, 1, 4), **POOLED},
    "nn.lp_pool2d": {"input": X.reshape(1, 1, 2, 2), **POOLED},
    "nn.lp_pool3d": {"input": ROWS.reshape(1, 1, 2, 2, 2), **POOLED},
    "nn.nll_loss": {"input": ROWS, "target": np.array([0, 2]), "weight": None, "ignore_index": -100, "reduction": "mean"},
    "nn.mse_loss": {"input": X, "target": Y, "reduction": "mean", "weight": None},
    "nn.smooth_l1_loss": {"input": X, "target": Y, "reduction": "mean", "beta": 1.0},
    "nn.huber_loss": {"input": X, "target": Y, "reduction": "mean", "delta": 1.0, "weight": None},
    "nn.normalize": {"input": ROWS, "p": 3.0, "dim": 1, "eps": 1e-12},
    "nn.poisson_nll_loss": {
        "input": X, "target": Y, "log_input": True, "full": False, "eps": 1e-8, "reduction": "mean",
    },
    "nn.prelu": {"input": X - 1, "weight": np.array([0.25])},
    "nn.softplus": {"x": X, "threshold": 2.5, "beta": 1.5},
    **{
        f"special.{name}": {"input": np.array([0.5, 1.5, 2.5])}
        for name in (
            "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1", "scaled_modified_bessel_k0",
            "scaled_modified_bessel_k1",
        )
    },
    **{
        f"special.{name}": {"input": np.array([0.5, 1.5, 3.0]), "other": np.array([0.25, 1.0, 2.5])}
        for name in ("gammainc", "gammaincc")
    },
    "nn.scatter_reduce": {
        "input": X, "dim": 0, "index": np.array([0, 2, 1, 0]), "src": Y, "reduce": "sum", "include_self": True,
    },
    "nn.soft_margin_loss": {"input": X, "target": SIGNS, "reduction": "mean"},
}  # fmt: skip

# By entry: the disagreement is there, and any other wrong number still fails.
ARGUMENTS_AT_THE_PLACE: dict[str, dict[str, Any]] = {
    "embedding-tangent-of-padding": {**ORDINARY_ARGUMENTS["nn.embedding"], "padding_idx": 2},
    "embedding-modes-of-padding": {**ORDINARY_ARGUMENTS["nn.embedding"], "padding_idx": 2},
    "prelu-modes-at-zero": {"input": np.array([0.0, 1.5, -0.75, -0.0]), "weight": np.array([0.25])},
    "scatter-reduce-excluded-extreme": {
        "input": np.array([1.25, 0.5, 0.75, 1.0]), "dim": 0, "index": np.array([0, 2, 1, 0]), "src": np.array([1.25, 0.75, 0.5, 0.25]),
        "reduce": "amax", "include_self": False,
    },
    "polar-of-nothing-modes": {"modulus": np.array([0.0, 1.5]), "angle": np.array([0.5, 0.75])},
    "complex-power-second": {
        "z": np.array([2.0, 0.75]), "z_imag": np.array([3.0, -0.5]), "exponent": np.array([0.0, 1.25]),
        "exponent_imag": np.array([0.0, 0.5]),
    },
    "gammaincc-of-small-orders": {"input": np.array([2.0**-80, 0.5, 2.0]), "other": np.array([1.0625, 1.0, 2.5])},
    "cosine-similarity-below-eps": {"x1": ROWS / 8, "x2": OTHERS, "dim": 1, "eps": 1.0},
}  # fmt: skip
