"""The ops: one op, one place. Importing this package registers all of them; the registry is in refgrad.op.

Every module of this folder is imported, in alphabetical order, so a file with a new record needs no entry anywhere. Nothing depends on
the order.
"""

from __future__ import annotations

import importlib
import pkgutil

for _module in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name):
    importlib.import_module(f"{__name__}.{_module.name}")
