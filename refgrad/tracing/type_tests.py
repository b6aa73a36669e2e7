"""``type(x)`` in a differentiated function: the class that NumPy has there, as ``x.__class__`` and ``isinstance`` say it.

``type(x)`` itself is the class of the traced array: ``type(x) is float`` and ``TABLE[type(x)]`` would take another branch than in the
plain program, without an error. So where the code of a function calls ``type``, the call is redirected to ``kind_of`` (see
reached_functions.py), which differs from ``type`` for traced arrays alone.
"""

from __future__ import annotations

import builtins
from typing import Any

from refgrad.op import Traced

NAME = "__refgrad_kind_of__"  # among the builtins: code of any module finds it


def kind_of(*args: Any, **kwargs: Any) -> Any:
    """``type(*args)``; of a traced array, the class that NumPy has there."""
    if len(args) == 1 and not kwargs and issubclass(type(args[0]), Traced):
        return args[0].__class__
    return type(*args, **kwargs)


setattr(builtins, NAME, kind_of)
