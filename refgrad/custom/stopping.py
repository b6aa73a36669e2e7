"""stop_gradient: a tree of arrays whose derivative is defined to be zero."""

from __future__ import annotations

from typing import Any

from refgrad.op import Traced
from refgrad.ops import stopping
from refgrad.tree import flatten


def stop_gradient(x: Any) -> Any:
    """x itself, as a constant: its derivative is defined to be zero in every mode and of every order.

    ``x`` is an array of any shape, or nested containers of arrays; the result has the same structure, shapes and dtypes.
    A traced array comes back as a copy without its derivative, with its error radius where it has one. Anything else is returned as it is.
    The name and the meaning are those of ``jax.lax.stop_gradient``; ``tensor.detach()`` in torch.
    """
    leaves, rebuild = flatten(x)
    return rebuild([stopping.stop_gradient(leaf) if isinstance(leaf, Traced) else leaf for leaf in leaves])
