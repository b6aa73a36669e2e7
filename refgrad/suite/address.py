"""The address of a backend that the options of a command describe: --compile, --load, --rounding and --replace are settings of torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from refgrad.errors import ArgumentError

TORCH = "torch"
COMPILERS = ("eager", "aot_eager", "inductor")  # backends of torch.compile


def add_options(command: argparse.ArgumentParser) -> None:
    """The options of a command that judges torch otherwise than as it is."""
    command.add_argument(
        "--compile",
        choices=COMPILERS,
        help="judge what torch.compile makes of each case with this backend of it, from end to end",
    )
    command.add_argument(
        "--load",
        action="append",
        metavar="MODULE",
        help="import this module first in each process, such as one that registers a device (repeatable)",
    )
    command.add_argument(
        "--rounding",
        action="append",
        metavar="FILE",
        help="the rounding profile of a device, as TOML (repeatable)",
    )
    command.add_argument(
        "--replace",
        action="append",
        metavar="OP=MODULE:FUNCTION",
        help="judge this function in the place of torch's function for the op, such as softmax=mylib:softmax (repeatable)",
    )


def address(args: argparse.Namespace, backend: str) -> str:
    """The address that the options describe, for the backend that is named; without a name for torch, where there are options.

    Raises ArgumentError where they do not fit the backend.
    """
    from refgrad.backends.settings import Settings, joined, split  # not for the help, which needs no NumPy

    name, settings = split(backend) if backend.partition("?")[0].startswith(TORCH) else (backend, Settings())
    added = Settings(
        tuple(args.load or ()),
        tuple(str(Path(file).resolve()) for file in args.rounding or ()),
        tuple(args.replace or ()),
    )
    if not added and not args.compile:
        return backend
    name = name or TORCH
    of_torch = name == TORCH or (name.startswith(f"{TORCH}-") and not args.compile)
    if not of_torch:
        raise ArgumentError(
            f"--compile, --load, --rounding and --replace are about torch, and --backend {backend} names another one: leave them out"
        )
    name = f"{TORCH}-compile-{args.compile}" if args.compile else name
    return joined(
        name,
        Settings(
            settings.load + added.load, settings.rounding + added.rounding, settings.replace + added.replace
        ),
    )
