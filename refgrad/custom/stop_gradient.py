"""stop_gradient: a tree of arrays whose derivative is defined to be zero."""

from __future__ import annotations

import numpy as np

from refgrad.arguments import kind
from refgrad.arrays import Tree
from refgrad.containers import setting
from refgrad.errors import DtypeError
from refgrad.op import Traced
from refgrad.ops import stop_gradient as stopping
from refgrad.tree import flatten, paths


def stop_gradient(x: Tree) -> Tree:
    """x itself, as a constant: its derivative is defined to be zero in every mode and of every order.

    ``x`` is an array of any shape, or nested containers of arrays; the result has the same structure, shapes and dtypes.
    A traced array comes back as a copy without its derivative, with its error radius where it has one. Plain arrays, numbers, text and
    functions are returned as they are.
    The name and the meaning are those of ``jax.lax.stop_gradient``; ``tensor.detach()`` in torch.

    Raises DtypeError for any other object: traced arrays in it would keep their derivatives.
    """
    leaves, rebuild = flatten(x)
    for k, leaf in enumerate(leaves):
        if not (isinstance(leaf, (Traced, np.ndarray, np.generic, float, complex)) or setting(leaf)):
            raise DtypeError(
                f"stop_gradient: {paths(x, 'x')[k]} is {kind(leaf)}; arrays, or containers of arrays, are expected. "
                "Traced arrays in it would keep their derivatives. Make a list of an iterator, a dataclass of a class."
            )
    return rebuild([stopping.stop_gradient(leaf) if isinstance(leaf, Traced) else leaf for leaf in leaves])
