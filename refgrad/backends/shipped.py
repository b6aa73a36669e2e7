"""The workers that refgrad ships: which framework each runs, and the command that starts it.

A worker runs in any Python that has its framework and NumPy. It does not import refgrad.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from refgrad.errors import ArgumentError

FOLDER = Path(__file__).resolve().parents[1] / "workers"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A worker that refgrad ships.

    distribution  the name of the framework's package
    install       how to install it, as a command
    script        the worker's file in refgrad/workers, with its arguments
    note          what a user has to know first
    """

    distribution: str
    install: str
    script: tuple[str, ...]
    note: str = ""

    @property
    def version(self) -> str:
        """The version of the framework in this Python; empty where it is not installed."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return ""


SHIPPED = {
    "autograd": Shipped("autograd", "pip install autograd", ("autograd_worker.py",)),
    "jax": Shipped("jax", "pip install jax", ("jax_worker.py",)),
    "jax-jit": Shipped("jax", "pip install jax", ("jax_worker.py", "jit")),
}


def command(address: str) -> list[str]:
    """The command that starts the worker of an address; empty where the address names none.

    The address is the name of a shipped worker, "name=interpreter" for the Python that has the framework, a file of a worker of your own,
    or a command with arguments. Raises ArgumentError for an interpreter or a file that does not exist.
    """
    name, given, interpreter = address.partition("=")
    if name in SHIPPED:
        python = Path(interpreter).expanduser() if given else Path(sys.executable)
        if not python.is_file():
            raise ArgumentError(
                f"backend {address!r}: there is no {str(python)!r}; {name}=PATH names the Python that has {SHIPPED[name].distribution}"
            )
        file, *arguments = SHIPPED[name].script
        return [str(python), str(FOLDER / file), *arguments]
    if address.endswith(".py") and not any(c.isspace() for c in address):
        if not Path(address).is_file():
            raise ArgumentError(f"backend {address!r}: there is no such file")
        return [sys.executable, address]
    return shlex.split(address) if any(c.isspace() for c in address) else []
