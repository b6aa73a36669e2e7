"""The only rooms that import torch: observing graphs, and judging torch callables against a NumPy reference."""

from __future__ import annotations

from refgrad.torch.gradcheck import gradcheck

__all__ = ["gradcheck"]
