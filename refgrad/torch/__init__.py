"""PyTorch as a backend, gradcheck and gradgradcheck. Only this package and its subpackages import torch."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "refgrad.torch judges PyTorch, which is not installed: python3 -m pip install torch", name=error.name
    ) from error

from refgrad.torch.gradcheck import gradcheck
from refgrad.torch.gradgradcheck import gradgradcheck

__all__ = ["gradcheck", "gradgradcheck"]
