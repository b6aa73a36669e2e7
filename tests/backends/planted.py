"""Serves a shipped worker with an error planted in one op: ``python planted.py OP OTHER WORKER [WAY]``, run by the framework's Python.

The framework's function for the op OTHER takes the place of that for OP. OTHER may be a factor, by which the value of OP is multiplied,
and its derivatives with it.
"""

import importlib.util
import sys
from pathlib import Path


def loaded(script, arguments):
    """The module of a worker, imported as the script that it is, with these arguments."""
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    op, other, path, *way = sys.argv[1:]
    worker = loaded(Path(path), way)
    right = worker.TWINS[op]
    if other in worker.TWINS:
        worker.TWINS[op] = worker.TWINS[other]
    else:
        worker.TWINS[op] = lambda *xs, **params: right(*xs, **params) * float(other)
    worker.channel.serve(worker.hello(), worker.observe)
