"""What is taken from torch: the numbers of tensors of every format, in arrays that hold them exactly."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch.program import as_array  # noqa: E402


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_tensor_of_any_format_becomes_an_array_of_float64(dtype: str) -> None:
    kind = getattr(torch, dtype)
    x = torch.tensor([[1.5, -2.0]], dtype=kind, requires_grad=True)
    nothing = torch._efficientzerotensor((1, 2), dtype=kind)  # as forward mode gives it
    for t, expected in ((x, [[1.5, -2.0]]), (x.T, [[1.5], [-2.0]]), (nothing, [[0.0, 0.0]])):
        array = as_array(t)
        assert array.dtype == np.float64
        assert array.tolist() == expected
