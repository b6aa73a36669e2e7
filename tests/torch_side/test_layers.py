"""Layers of refgrad.nn beside torch's of the same name: value and gradients in each dtype, within derived bounds."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad import nn  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402

DTYPES = ("float64", "float32", "bfloat16", "float16")
WITHOUT_HALVES = {"avg_pool3d", "lp_pool3d"}  # torch has no kernels for them on the CPU
# name of the function: for each case the shapes of its operands, and its parameters
SLIDING = {
    "conv1d": [
        (((2, 3, 7), (4, 3, 3), (4,)), {}),
        (((2, 4, 9), (6, 2, 3), (6,)), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}),
        (((1, 1, 5), (1, 1, 1), (1,)), {"stride": 3}),
        (((4, 6), (4, 1, 3)), {"padding": "same", "groups": 4}),
    ],
    "conv2d": [
        (((2, 3, 6, 7), (4, 3, 3, 2), (4,)), {"padding": (1, 0)}),
        (((2, 4, 5, 5), (4, 1, 3, 3), (4,)), {"stride": 2, "padding": 1, "groups": 4}),
        (((3, 2, 5, 6), (3, 2, 2, 2), (3,)), {"dilation": (2, 3), "padding": "valid"}),
    ],
    "conv3d": [(((2, 2, 4, 3, 4), (4, 1, 2, 2, 2), (4,)), {"stride": (1, 2, 1), "padding": 1, "groups": 2})],
    "conv_transpose1d": [
        (((2, 3, 5), (3, 4, 3), (4,)), {}),
        (
            ((2, 4, 5), (4, 3, 3), (6,)),
            {"stride": 3, "padding": 2, "output_padding": 2, "dilation": 2, "groups": 2},
        ),
    ],
    "conv_transpose2d": [(((2, 3, 3, 4), (3, 2, 3, 2), (2,)), {"stride": (2, 1), "output_padding": (1, 0)})],
    "conv_transpose3d": [(((1, 2, 2, 3, 2), (2, 2, 2, 2, 2), (2,)), {"stride": 2, "padding": 1})],
    "unfold": [
        (((2, 3, 5, 6),), {"kernel_size": (2, 3), "padding": 1, "stride": (1, 2)}),
        (((2, 6, 6),), {"kernel_size": 2, "dilation": 3}),
    ],
    "fold": [
        (((2, 12, 9),), {"output_size": (4, 5), "kernel_size": (2, 3), "padding": (0, 1), "stride": (1, 2)}),
    ],
    "avg_pool1d": [
        (((2, 3, 7),), {"kernel_size": 3}),
        (((2, 3, 8),), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        (((3, 8),), {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}),
    ],
    "avg_pool2d": [
        (((2, 3, 7, 6),), {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1, "ceil_mode": True}),
        (((2, 3, 6, 6),), {"kernel_size": 3, "stride": 1, "divisor_override": 5}),
    ],
    "avg_pool3d": [
        (
            ((2, 2, 5, 4, 5),),
            {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False, "ceil_mode": True},
        ),
    ],
    "adaptive_avg_pool1d": [(((2, 3, 8),), {"output_size": 3}), (((3, 4),), {"output_size": 6})],
    "adaptive_avg_pool2d": [
        (((2, 3, 7, 6),), {"output_size": (3, 4)}),
        (((2, 3, 5, 6),), {"output_size": (None, 3)}),
        (((2, 3, 5, 6),), {"output_size": 1}),
    ],
    "adaptive_avg_pool3d": [(((2, 2, 5, 4, 5),), {"output_size": (2, 3, 3)})],
    "lp_pool1d": [(((2, 3, 7),), {"norm_type": 2, "kernel_size": 3, "stride": 2, "ceil_mode": True})],
    "lp_pool2d": [
        (((2, 3, 6, 6),), {"norm_type": 2, "kernel_size": 3}),
        (((2, 3, 6, 6),), {"norm_type": 4, "kernel_size": 2}),
    ],
    "lp_pool3d": [(((2, 2, 4, 4, 4),), {"norm_type": 2, "kernel_size": 2})],
    "max_pool1d": [
        (((2, 3, 7),), {"kernel_size": 3}),
        (((2, 3, 9),), {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}),
    ],
    "max_pool2d": [(((2, 3, 7, 6),), {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1})],
    "max_pool3d": [(((2, 2, 5, 4, 5),), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True})],
    "adaptive_max_pool1d": [(((2, 3, 8),), {"output_size": 3})],
    "adaptive_max_pool2d": [(((2, 3, 7, 6),), {"output_size": (3, 4)})],
    "adaptive_max_pool3d": [(((2, 2, 5, 4, 5),), {"output_size": (2, None, 3)})],
    "pad": [
        (((2, 3, 5),), {"pad": (2, 1, -1, 1), "value": 0.5}),
        (((2, 3, 5),), {"pad": (4, 2), "mode": "reflect"}),
        (((2, 3, 5, 4),), {"pad": (4, 1, 0, 3), "mode": "replicate"}),
        (((2, 3, 4, 5),), {"pad": (5, 1, 0, 4), "mode": "circular"}),
    ],
}
CASES = [(name, k) for name, cases in SLIDING.items() for k in range(len(cases))]


def operands(shapes):
    rng = np.random.default_rng(sum(map(sum, shapes)))
    return [torch.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


@pytest.mark.parametrize(("name", "k"), CASES)
def test_value_and_gradients(name, k):
    shapes, params = SLIDING[name][k]
    of_torch = getattr(torch.nn.functional, name)
    report = gradcheck(
        lambda *xs: of_torch(*xs, **params),
        tuple(operands(shapes)),
        reference=lambda *xs: getattr(nn, name)(*xs, **params),
        dtypes=DTYPES[:2] if name in WITHOUT_HALVES else DTYPES,
    )
    judged = {d for d, v in report.verdicts if v.elements}
    assert judged == set(DTYPES[:2] if name in WITHOUT_HALVES else DTYPES)


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, k in CASES if "max_pool" in name])
def test_ties_and_places_of_maxima(name, k):
    """Small integers: most windows have several largest elements."""
    shapes, params = SLIDING[name][k]
    (x,) = [torch.round(x.detach()) for x in operands(shapes)]
    of_torch, own = getattr(torch.nn.functional, name), getattr(nn, name)
    y, places = own(x.numpy(), **params, return_indices=True)
    expected = of_torch(x, **params, return_indices=True)
    assert np.array_equal(y, expected[0].numpy())
    assert np.array_equal(places, expected[1].numpy())
    assert gradcheck(
        lambda x: of_torch(x, **params), (x,), reference=lambda x: own(x, **params), dtypes=DTYPES
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpooling(axes):
    shape = (2, 3, *(4, 6, 2)[:axes])
    (x,) = operands([shape])
    y, places = getattr(torch.nn.functional, f"max_pool{axes}d")(x.detach(), 2, return_indices=True)
    of_torch, own = [getattr(module, f"max_unpool{axes}d") for module in (torch.nn.functional, nn)]
    report = gradcheck(
        lambda y: of_torch(y, places, 2),
        (y,),
        reference=lambda y: own(y, places.numpy(), 2),
        dtypes=DTYPES[:2],
    )
    assert report
