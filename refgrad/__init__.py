"""refgrad: an independent judge of gradients.

Forward-mode and reverse-mode automatic differentiation of ordinary NumPy code, written from the mathematics and independent
of any framework, and a judge that says with derived bounds whether somebody else's gradient is right.
"""

from __future__ import annotations

from refgrad import functions, nn  # noqa: F401  they register on import
from refgrad.custom import custom_jvp, custom_vjp, stop_gradient
from refgrad.draw import draw
from refgrad.errors import GradientMismatch, GradientUndecided, RefgradError
from refgrad.graph import Graph
from refgrad.jacobians import hessian, hvp, jacfwd, jacrev
from refgrad.transforms import grad, jvp, value_and_grad, vjp

__version__ = "0.1.0"
__all__ = [
    "GradientMismatch", "GradientUndecided", "Graph", "RefgradError", "custom_jvp", "custom_vjp", "draw", "grad", "hessian", "hvp",
    "jacfwd", "jacrev", "jvp", "nn", "stop_gradient", "value_and_grad", "vjp",
]  # fmt: skip
