"""What gradcheck costs beside torch.autograd.gradcheck, on the same callables in float64. Needs torch.

torch's slow mode builds the whole Jacobian, its fast mode one number: both ask for the gradient once. ``fast_mode`` of refgrad asks as
little as that, value and gradient for one cotangent; what every further question costs is measured apart.
"""

from __future__ import annotations

from benchmarks.pairs import THREADS, interleaved as in_turn, show  # isort: skip  first, for it sets one thread before NumPy is loaded

import functools
import inspect
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refgrad.torch import gradcheck

Array = Any
Case = tuple[Callable[..., Any], Callable[..., Any], tuple[torch.Tensor, ...]]
interleaved = functools.partial(in_turn, clock=time.process_time)
_PEAK = "import sys; from benchmarks.gradcheck import peak; peak(int(sys.argv[1]), sys.argv[2])"


class Tanh(torch.autograd.Function):
    """tanh, with the backward that everybody writes."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        ctx.save_for_forward(y)
        return y

    @staticmethod
    def backward(ctx: Any, y_bar: Any) -> Any:
        (y,) = ctx.saved_tensors
        return y_bar * (1 - y * y)

    @staticmethod
    def jvp(ctx: Any, x_dot: Any) -> Any:
        (y,) = ctx.saved_tensors
        return x_dot * (1 - y * y)


class Swish(torch.autograd.Function):
    """x sigmoid(x), the example of the README."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, y_bar: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return y_bar * (s + x * s * (1 - s))

    @staticmethod
    def jvp(ctx: Any, x_dot: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return x_dot * (s + x * s * (1 - s))


def _swish(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _perceptron(x: Any, w: Any, b: Any, v: Any) -> Any:
    return np.tanh(x @ w + b) @ v


def _normal(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def cases(n: int) -> dict[str, Case]:
    """Callables, their references and inputs with about n numbers."""
    h = max(2, int((n / 4) ** 0.5))
    layers = (_normal(h, h), _normal(h, h), _normal(h), _normal(h, h))
    return {
        "tanh": (Tanh.apply, np.tanh, (_normal(n),)),
        "swish": (Swish.apply, _swish, (_normal(n),)),
        "gelu": (lambda x: torch.nn.functional.gelu(x, approximate="tanh"), _gelu, (_normal(n),)),
        "perceptron": (lambda x, w, b, v: torch.tanh(x @ w + b) @ v, _perceptron, layers),
    }


def checked(case: Case, **settings: Any) -> Callable[[], object]:
    """A call of gradcheck in float64; keywords that this version does not have are left out. Whatever the verdict is, it costs the same."""
    known = inspect.signature(gradcheck).parameters
    every = any(p.kind is p.VAR_KEYWORD for p in known.values())  # torch's own are among them
    fn, reference, inputs = case
    settings = {"dtypes": ("float64",), "raise_exception": False, **settings}
    some = {name: value for name, value in settings.items() if every or name in known}
    return lambda: gradcheck(fn, inputs, reference=reference, **some)


FEWEST = {"fast_mode": True, "check_forward": False, "repeats": 1}


def same_questions(rounds: int) -> None:
    """Value and gradient for one cotangent: refgrad, torch's fast mode, torch's slow mode."""
    for n in (10, 100, 10_000, 100_000):
        for name, case in cases(n).items():
            fn, _, inputs = case
            contestants = {
                "torch, fast mode": lambda fn=fn, inputs=inputs: torch.autograd.gradcheck(
                    fn, inputs, fast_mode=True
                ),
                "refgrad": checked(case, **FEWEST),
            }
            if n <= 100:
                contestants["torch, slow mode"] = lambda fn=fn, inputs=inputs: torch.autograd.gradcheck(
                    fn, inputs
                )
            few = max(3, rounds if n <= 10_000 else rounds // 4)
            show(f"{name}, n = {n}", interleaved(contestants, rounds=few), "torch, fast mode")


def once() -> None:
    """What takes its time, a single time: torch's slow mode, and all questions about a product."""
    n, side = 10_000, 512
    fn, _, inputs = case = cases(n)["tanh"]
    a, b, g = _normal(side, side), _normal(side, side), torch.randn(side, side, dtype=torch.float64)
    print("\nonce, in seconds")
    for name, call in (
        (f"tanh, n = {n}: torch, slow mode", lambda: torch.autograd.gradcheck(fn, inputs)),
        (f"tanh, n = {n}: refgrad, default", checked(case)),
        (
            f"product of {side} x {side}: torch, forward and backward",
            lambda: torch.autograd.grad(a @ b, (a, b), g),
        ),
        (f"product of {side} x {side}: refgrad, default", checked((torch.matmul, np.matmul, (a, b)))),
    ):
        start = time.process_time()
        call()
        print(f"  {name:<52} {time.process_time() - start:9.3f}")


def further_questions(rounds: int) -> None:
    """What each setting adds to the fewest questions."""
    for n in (100, 10_000):
        case = cases(n)["swish"]
        contestants = {
            "fewest questions": checked(case, **FEWEST),
            "and forward mode": checked(case, **{**FEWEST, "check_forward": True}),
            "and float32": checked(case, **FEWEST, dtypes=("float64", "float32")),
            "layouts, subsets, cotangents": checked(case, **{**FEWEST, "fast_mode": False}),
            "and three repeats": checked(case, **{**FEWEST, "fast_mode": False, "repeats": 3}),
            "default, float64": checked(case),
        }
        show(
            f"questions, swish, n = {n}",
            interleaved(contestants, rounds=max(3, rounds // 2)),
            "fewest questions",
        )


def products() -> None:
    """Products of matrices against torch's own forward and backward."""
    for n in (512, 1024):
        a, b, g = _normal(n, n), _normal(n, n), torch.randn(n, n, dtype=torch.float64)
        case: Case = (torch.matmul, np.matmul, (a, b))
        contestants = {
            "torch, forward and backward": lambda a=a, b=b, g=g: torch.autograd.grad(a @ b, (a, b), g),
            "refgrad, fewest questions": checked(case, **FEWEST),
        }
        show(f"product of {n} x {n}", interleaved(contestants, rounds=3), "torch, forward and backward")


def peak(n: int, dtype: str) -> None:
    """Print the peak memory of this process after value, reverse and forward mode of n elements of Swish. Linux alone."""
    x = _normal(n, dtype=getattr(torch, dtype))
    before = _peak()
    checked((Swish.apply, _swish, (x,)), **{**FEWEST, "check_forward": True, "dtypes": (dtype,)})()
    print(f"  swish, {n:,} elements in {dtype}: {_peak():.2f} GB ({before:.2f} GB before)")


def _peak() -> float:
    """The peak resident memory of this process in GB: getrusage has that of the parent, too, as it was when it forked."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def memory(n: int = 10_000_000) -> None:
    """The peak memory of processes of their own, the import of torch included."""
    print("\npeak memory, fewest questions and forward mode")
    for dtype in ("float32", "float64"):
        command = [sys.executable, "-c", _PEAK, str(n), dtype]
        subprocess.run(command, check=True, env={**os.environ, **dict.fromkeys(THREADS, "1")})  # noqa: S603 - itself


def main(rounds: int = 20) -> None:
    """Print everything."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print("\ngradcheck, float64, one thread: processor time and ratios")
    same_questions(rounds)
    further_questions(rounds)
    products()
    memory()
    once()


if __name__ == "__main__":
    main()
