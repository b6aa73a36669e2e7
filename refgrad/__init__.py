"""refgrad: an independent judge of gradients.

Forward-mode and reverse-mode automatic differentiation of ordinary NumPy code, written from the mathematics and independent
of any framework, and a judge that says with derived bounds whether somebody else's gradient is right.

The public names are imported on first use (PEP 562), so that ``import refgrad`` and the help of the command load no NumPy.
"""

from __future__ import annotations

import importlib

# Here, so that a later import of the package refgrad.draw does not take the name.
from refgrad.draw import draw

TYPE_CHECKING = False  # as in typing, whose import costs a third of that of argparse
if TYPE_CHECKING:
    from refgrad import linalg, nn, special
    from refgrad.containers import register_container
    from refgrad.custom.functions import custom_jvp, custom_vjp
    from refgrad.custom.stop_gradient import stop_gradient
    from refgrad.errors import GradientMismatch, GradientUndecided, RefgradError
    from refgrad.graph import Graph
    from refgrad.jacobians import hessian, hvp, jacfwd, jacrev
    from refgrad.linearization import linearize
    from refgrad.mapping import vmap
    from refgrad.transforms import grad, jvp, value_and_grad, vjp

__version__ = "0.1.0"
__all__ = [
    "GradientMismatch", "GradientUndecided", "Graph", "RefgradError", "custom_jvp", "custom_vjp", "draw", "grad", "hessian", "hvp",
    "jacfwd", "jacrev", "jvp", "linalg", "linearize", "nn", "register_container", "special", "stop_gradient", "value_and_grad", "vjp",
    "vmap",
]  # fmt: skip

_NAMES_IN = {  # module: the public names that it defines
    "containers": ("register_container",),
    "custom": ("custom_jvp", "custom_vjp", "stop_gradient"),
    "errors": ("GradientMismatch", "GradientUndecided", "RefgradError"),
    "graph": ("Graph",),
    "jacobians": ("hessian", "hvp", "jacfwd", "jacrev"),
    "linearization": ("linearize",),
    "mapping": ("vmap",),
    "transforms": ("grad", "jvp", "value_and_grad", "vjp"),
}
_PACKAGES = ("linalg", "nn", "special")  # public names that are packages of functions
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names}


def __getattr__(name: str) -> object:
    """A public name, from the module that defines it. Raises AttributeError for any other."""
    if name in _PACKAGES:
        return importlib.import_module(f"refgrad.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'refgrad' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"refgrad.{_MODULE_OF[name]}"), name)
    globals()[name] = found  # further uses do not come here
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
