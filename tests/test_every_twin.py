"""Every public function of refgrad.nn has a twin in torch, as a function or as an op, or is listed with the reason why it has none."""

from __future__ import annotations

import refgrad.node  # noqa: F401  declares every function
from refgrad import nn
from refgrad.op import FUNCTIONS, REGISTRY

# The reason why torch has nothing beside which a function of refgrad.nn could stand.
WITHOUT = {
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
        "the identity, or refused because elements are dropped at random",
    ),
    **dict.fromkeys(("fractional_max_pool2d", "fractional_max_pool3d"), "refused: windows at random places"),
    "gumbel_softmax": "torch draws the noise inside, and so no two calls are one function",
    "hinge": "torch has none with a margin and signs",
    "multiclass_hinge": "torch divides by the number of classes: that is multi_margin_loss",
    "maxout": "torch has none",
    **dict.fromkeys(("one_hot", "running_statistics"), "plain arrays, without a derivative"),
    "logsigmoid": "another name of log_sigmoid",
    **dict.fromkeys(("upsample", "upsample_bilinear", "upsample_nearest"), "other names of interpolate"),
}


def untwinned(names: list[str]) -> set[str]:
    """The names that neither a function with a twin nor an op with one has."""
    ops = {name for name, op in REGISTRY.items() if op.torch is not None}
    return {name for name in names if f"nn.{name}" not in FUNCTIONS and name not in ops}


def test_every_function_has_a_twin_or_a_reason() -> None:
    assert untwinned(nn.__all__) == set(WITHOUT)


def test_a_function_without_a_twin_is_noticed() -> None:
    assert untwinned([*nn.__all__, "new_layer"]) - set(WITHOUT) == {"new_layer"}


def test_most_names_have_one() -> None:
    assert len(nn.__all__) - len(WITHOUT) > 120
