"""The settings of torch that code under test has to leave as they are: whoever calls it goes on in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from refgrad.errors import SideEffectError


def _set_device(device: torch.device) -> None:
    """Have new tensors on a device; without a default where that puts them there: torch looks for one in each of its functions."""
    torch.set_default_device(None)
    if torch.empty(0).device != device:
        torch.set_default_device(device)


# What sets each of the settings again.
_SET: Mapping[str, Callable[[Any], object]] = {
    "default dtype": torch.set_default_dtype,
    "default device": _set_device,
    "grad mode": torch.set_grad_enabled,
    "autocast on CPUs": partial(torch.set_autocast_enabled, "cpu"),
    "autocast on CUDA": partial(torch.set_autocast_enabled, "cuda"),
    "number of threads": torch.set_num_threads,
    "choice of deterministic algorithms": torch.use_deterministic_algorithms,
    "detection of anomalies": torch.autograd.set_detect_anomaly,
    "precision of float32 products": torch.set_float32_matmul_precision,
    "seed": torch.default_generator.manual_seed,
}


def settings() -> tuple[Any, ...]:
    """The settings now, in the order of ``_SET``."""
    made = torch.empty(0)  # tells both defaults in a tenth of the time of torch.get_default_device
    return (
        made.dtype,
        made.device,
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_enabled("cuda"),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_float32_matmul_precision(),
        torch.initial_seed(),  # of random numbers on the CPU; those that are drawn do not change it
    )


@contextmanager
def settings_restored(*but: str) -> Iterator[list[str]]:
    """Code under test runs in this block, and what it has changed is set again, ``but`` for these settings.

    The list holds the changes after the block.
    """
    before = settings()
    changes: list[str] = []
    try:
        yield changes
    finally:
        for (name, set_again), old, new in zip(_SET.items(), before, settings(), strict=True):
            if old != new and name not in but:
                set_again(old)
                changes.append(f"torch's {name} is {new} after the call, and was {old} before")


@contextmanager
def settings_kept() -> Iterator[None]:
    """The same, where a change is an error. Raises SideEffectError."""
    with settings_restored() as changes:
        yield
    if changes:
        raise SideEffectError("; ".join(changes) + ". An op leaves the settings of torch as they are")
