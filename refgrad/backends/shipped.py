"""The workers that refgrad ships: which framework each runs, and the command that starts it.

A worker runs in any Python that has its framework and NumPy. It does not import refgrad. The Python is this one, unless the address
names another ("jax=/path/to/python") or the environment does (REFGRAD_PYTHON_JAX, also for "jax-jit").
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
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
    others        other packages of the same framework, for other devices
    """

    distribution: str
    install: str
    script: tuple[str, ...]
    note: str = ""
    others: tuple[str, ...] = ()


MXNET = "pip install mxnet==1.9.1 'numpy<1.24'  # under Python 3.10 or 3.11"

SHIPPED = {
    "autograd": Shipped("autograd", "pip install autograd", ("autograd_worker.py",)),
    "jax": Shipped("jax", "pip install jax", ("jax_worker.py",)),
    "jax-jit": Shipped("jax", "pip install jax", ("jax_worker.py", "jit")),
    **{
        name: Shipped(
            "tensorflow",
            "pip install tensorflow-cpu",
            ("tensorflow_worker.py", *way),
            others=("tensorflow-cpu",),
        )
        for name, way in {
            "tensorflow": (),
            "tensorflow-function": ("function",),
            "tensorflow-xla": ("xla",),
        }.items()
    },
    "mlx": Shipped("mlx", "pip install 'mlx[cpu]'", ("mlx_worker.py",)),
    "mxnet": Shipped("mxnet", MXNET, ("mxnet_worker.py",)),
    "mxnet-symbol": Shipped("mxnet", MXNET, ("mxnet_worker.py", "symbol")),
    "paddle": Shipped("paddlepaddle", "pip install paddlepaddle", ("paddle_worker.py",)),
    "pytensor": Shipped("pytensor", "pip install pytensor", ("pytensor_worker.py",)),
    "pytensor-rewritten": Shipped("pytensor", "pip install pytensor", ("pytensor_worker.py", "rewritten")),
}


def framework_of(name: str) -> str:
    """The framework of a shipped worker: "jax" for "jax-jit". What follows the hyphen is a way in which the framework runs."""
    return name.partition("-")[0]


def variable(name: str) -> str:
    """The environment variable that names the Python of a shipped worker, such as REFGRAD_PYTHON_JAX."""
    return f"REFGRAD_PYTHON_{framework_of(name).upper()}"


def interpreter(name: str) -> Path:
    """The Python of a shipped worker where its address names none.

    Raises ArgumentError where the environment names one that is not there.
    """
    given = os.environ.get(variable(name), "")
    python = Path(given).expanduser() if given else Path(sys.executable)
    if not python.is_file():
        raise ArgumentError(
            f"{variable(name)}={given}: there is no such file; it names the Python that has {SHIPPED[name].distribution}"
        )
    return python


def version(name: str) -> str:
    """The version of the framework of a shipped worker in its Python; empty where it is not installed."""
    python, distributions = interpreter(name), (SHIPPED[name].distribution, *SHIPPED[name].others)
    if python == Path(sys.executable):
        return _first_version(distributions)
    code = (
        "from importlib import metadata\n"
        f"for name in {distributions!r}:\n"
        "    try:\n"
        "        raise SystemExit(print(metadata.version(name)))\n"
        "    except metadata.PackageNotFoundError:\n"
        "        pass"
    )
    done = subprocess.run(  # noqa: S603 - the Python that the user names
        [str(python), "-c", code], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _first_version(distributions: Iterable[str]) -> str:
    """The version of the first of these distributions that is installed; empty where none is."""
    for name in distributions:
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return ""


def command(address: str) -> list[str]:
    """The command that starts the worker of an address; empty where the address names none.

    The address is the name of a shipped worker, "name=interpreter" for the Python that has the framework, a file of a worker of your own,
    or a command with arguments. Raises ArgumentError for an interpreter or a file that does not exist.
    """
    name, given, named = address.partition("=")
    if name in SHIPPED:
        python = Path(named).expanduser() if given else interpreter(name)
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
