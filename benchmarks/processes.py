"""Rows that need processes of their own: peak memory of gradients, and the time of imports and of the help.

``python -m benchmarks.processes COLUMN MODE OPS`` prints the peak memory of one gradient (MODE reverse) or JVP (forward) of a chain of OPS
operations on 100,000 numbers, in vectors of that size. Linux alone.
"""

from __future__ import annotations

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import os
import resource
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import peers, programs
from benchmarks.peers import COLUMNS, JAX, OURS, TORCH
from refgrad.tracing import buffer_pool

NUMBERS, FACTOR = 100_000, 0.9  # a constant factor: the rules must keep two vectors in four ops


def peak(call: Callable[[], object], column: str) -> int:
    """Bytes that a call needs beyond what the process has before it: what NumPy allocates; of torch, whose allocator Python does not
    see, resident memory.
    """
    if column != TORCH:
        tracemalloc.start()
        call()
        return tracemalloc.get_traced_memory()[1] + buffer_pool._STORE.total  # copies lie apart from the heap
    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what there is now
    before = _status("VmHWM")
    call()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(text.partition(f"{name}:")[2].split()[0])


def _calls(mode: str, ops: int, x: np.ndarray) -> peers.Calls:
    def program(np_: object, x: object) -> object:
        return programs.chain(np_, x, ops, FACTOR)

    if mode == "reverse":
        return peers.gradients(program, lambda x: programs.chain_by_hand(x, ops, FACTOR), [x], compiled=False)
    x_dot = np.ones_like(x)
    return peers.jvps(
        program,
        lambda x, x_dot: programs.chain_jvp_by_hand(x, x_dot, ops, FACTOR),
        [x],
        [x_dot],
        compiled=False,
    )


def vectors(column: str, mode: str, ops: int) -> float:
    """The peak memory of a column in a process of its own, in vectors of the input."""
    command = [sys.executable, "-m", "benchmarks.processes", column, mode, str(ops)]
    env = {**os.environ, "REFGRAD_BENCHMARK_COLUMN": column}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)  # noqa: S603 - itself
    return float(done.stdout)


def memory() -> tuple[dict[str, float], dict[str, float], dict[int, float]]:
    """Peaks of reverse mode and of forward mode by column at 1,000 ops, and those of refgrad's forward mode at other lengths."""
    absent = {*peers.missing(), JAX}  # JAX fuses the chain: its memory says nothing of a tape
    columns = [c for c in COLUMNS if c not in absent]
    reverse = {c: vectors(c, "reverse", 1000) for c in columns}
    forward = {c: vectors(c, "forward", 1000) for c in columns}
    return reverse, forward, {ops: vectors(OURS, "forward", ops) for ops in (100, 10_000)}


COMMANDS = {
    "python": ["-c", "pass"],
    "hand": ["-c", "import numpy"],
    OURS: ["-c", "import refgrad"],
    "first use": ["-c", "import refgrad; refgrad.grad"],
    "help": ["-m", "refgrad.cli", "--help"],
    "torch eager": ["-c", "import torch"],
    "HIPS autograd": ["-c", "import autograd.numpy"],
    "JAX jit": ["-c", "import jax"],
}


def imports(rounds: int = 12) -> dict[str, float]:
    """The smallest processor time of fresh interpreters that import a package or print the help, in seconds. They take turns.

    Bytecode is compiled before, into a folder of its own, whatever the environment says.
    """
    root = str(Path(__file__).resolve().parents[1])
    commands = {name: c for name, c in COMMANDS.items() if name not in peers.missing()}
    best = dict.fromkeys(commands, float("inf"))
    with tempfile.TemporaryDirectory() as cache:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env |= {"PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": root}
        for turn in range(rounds + 1):
            for name, arguments in commands.items():
                if turn > 2 and best[name] > 5 * best["hand"]:
                    continue  # torch and JAX take seconds
                before = _children()
                subprocess.run([sys.executable, *arguments], env=env, check=True, capture_output=True)  # noqa: S603
                if turn:
                    best[name] = min(best[name], _children() - before)
    return best


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(column: str, mode: str, ops: str) -> None:
    x = np.linspace(0.1, 0.9, NUMBERS)
    call = _calls(mode, int(ops), x)[column]
    _calls(mode, 40, x[:10])[column]()  # what the first call of a tool loads is no memory of the gradient
    print(peak(call, column) / x.nbytes)


if __name__ == "__main__":
    main(*sys.argv[1:])

__all__ = ["imports", "memory", "pairs", "peak"]
