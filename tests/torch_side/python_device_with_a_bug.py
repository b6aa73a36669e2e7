"""The device of python_device.py with a wrong kernel: the backward of tanh forgets the square."""

from __future__ import annotations

import torch

from tests.torch_side import python_device


def _tanh_backward(y_bar: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return y_bar * (1 - y)


python_device.KERNELS[torch.ops.aten.tanh_backward.default] = _tanh_backward
