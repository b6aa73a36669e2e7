"""torch's convolutions in float16, where all windows lie in the padding: called so that the process goes on."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.ops import torch_convolution

torch = pytest.importorskip("torch")


def test_windows_that_read_nothing_are_told() -> None:
    assert not torch_convolution.meets(1, kernel=1, places=2, stride=2, start=1, dilation=1)
    assert torch_convolution.meets(2, kernel=1, places=2, stride=2, start=1, dilation=1)
    assert torch_convolution.meets(1, kernel=2, places=2, stride=2, start=1, dilation=1)


@pytest.mark.parametrize(("stride", "size"), [(2, 1), (3, 2), (1, 3), (2, (1, 4)), (2, (5, 1))])
def test_values_and_gradients_are_those_of_float64(stride: int, size: int | tuple[int, int]) -> None:
    rng, sizes = np.random.default_rng(3), size if isinstance(size, tuple) else (size,)
    shape, kernel = (2, 4, *sizes), (6, 2, *(1 for _ in sizes))
    x, w = (torch.tensor(rng.integers(-3, 4, n).astype(float)) for n in (shape, kernel))
    bias = torch.arange(6.0, dtype=torch.float64)
    function, transposed = f"conv{len(sizes)}d", f"conv_transpose{len(sizes)}d"
    found = []
    for dtype in (torch.float64, torch.float16):
        a, v, b = (t.to(dtype).requires_grad_() for t in (x, w, bias))
        y = torch_convolution.conv(function, torch, a, v, b, stride, 1, 2, 2)
        y_bar = torch.ones_like(y)
        z = y.detach().requires_grad_()
        back = torch_convolution.conv_transposed(transposed, torch, z, v, None, stride, 1, 0, 2, 2)
        found.append([y, *torch.autograd.grad(y, (a, v, b), y_bar), back])
        if back.numel():
            found[-1] += torch.autograd.grad(back, (z, v), torch.ones_like(back))
    for due, came in zip(*found, strict=True):
        assert torch.equal(due, came.double())  # small integers: nothing rounds
