"""Devices of this machine and the settings of torch's arithmetic that bounds assume."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from refgrad.errors import DeviceMissingError  # noqa: E402
from refgrad.torch.devices import KERNELS, VERSION, describe, device, plain_arithmetic, supported  # noqa: E402


def test_the_cpu_is_there_under_one_name() -> None:
    assert device("cpu") == torch.device("cpu")
    with pytest.raises(
        DeviceMissingError,
        match=r"'cpu:1' was asked for, but torch counts no CPUs: there is one, named 'cpu'",
    ):
        device("cpu:1")


@pytest.mark.parametrize("name", ["nonsense", "meta", "xla", "cuda:999"])
def test_a_device_that_is_not_here_is_missing_by_name(name: str) -> None:
    with pytest.raises(DeviceMissingError, match=re.escape(f"device {name!r} was asked for, but torch ")):
        device(name)
    assert describe(name) == f"not present: {name} was not judged"


def test_a_device_computes_in_a_dtype_or_not() -> None:
    for dtype in ("float64", "float32", "bfloat16", "float16"):
        assert supported("cpu", dtype)
    assert not supported("cpu", "tf32")  # of the CUDA kernels alone


def test_a_description_names_the_vector_unit() -> None:
    assert KERNELS in describe("cpu")
    assert VERSION.startswith(torch.__version__.split("+")[0])


@pytest.mark.parametrize(("dtype", "cut"), [("", False), ("float32", False), ("tf32", True)])
def test_reduced_precision_is_on_for_its_own_dtype_alone(monkeypatch, dtype: str, cut: bool) -> None:
    matmul = torch.backends.cuda.matmul
    before = [matmul.allow_tf32, torch.backends.cudnn.allow_tf32, matmul.allow_fp16_reduced_precision_reduction,
              matmul.allow_bf16_reduced_precision_reduction]  # fmt: skip
    try:
        matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not cut
        matmul.allow_fp16_reduced_precision_reduction = matmul.allow_bf16_reduced_precision_reduction = True
        plain_arithmetic(dtype)
        assert (matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (cut, cut)
        assert not matmul.allow_fp16_reduced_precision_reduction
        assert not matmul.allow_bf16_reduced_precision_reduction
    finally:
        (matmul.allow_tf32, torch.backends.cudnn.allow_tf32, matmul.allow_fp16_reduced_precision_reduction,
         matmul.allow_bf16_reduced_precision_reduction) = before  # fmt: skip
