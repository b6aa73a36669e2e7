"""Distinguishes refusals of torch, messages that it has no such derivative or kernel, from other exceptions."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import torch

from refgrad.testing.judging.observation import NoAnswer

LONGEST = 4000  # characters of a traceback that are kept
_ANY = "(RuntimeError|NotImplementedError)"
# Messages of the dispatcher, autograd's formulas, functorch and autograd.Function, each with its class of exception. Messages of kernels
# about their arguments, and of devices about their state, are no refusals.
WORDS = (
    r"NotImplementedError: Trying to use forward AD with .+ that does not support it",
    rf"{_ANY}: (the )?derivative for '?[\w:.]+'? is not implemented",
    rf"{_ANY}: jvp is not implemented for the c\+\+ API of custom Function yet",
    rf"{_ANY}: \"[^\"]+\" not implemented for '[^']+'",
    r"NotImplementedError: Could not run '[^']+' with arguments from the '[^']+' backend",
    r"NotImplementedError: The operator '[^']+' is not currently implemented for the \w+ device",
    rf"{_ANY}: Batching rule not implemented for ",
    r"NotImplementedError: You must implement (either )?the \w+ .*for (custom|your custom) autograd\.Function",
    rf"{_ANY}: You tried to vmap over .+, but it does not have vmap support",
    rf"{_ANY}: vmap: ",
    rf"{_ANY}: In order to use an autograd\.Function with functorch transforms",
    rf"{_ANY}: Trying to backward through .+ but no autograd formula was registered",
    rf"{_ANY}: .+: Low precision dtypes not supported",
    r"RuntimeError: This backward function was compiled with non-empty donated buffers",
    r"RuntimeError: torch\.compile with aot_autograd does not currently support double backward",
    rf"{_ANY}: trying to differentiate twice a function that was marked with @once_differentiable",
)
_TORCH = Path(torch.__file__).parent
_REFUSAL = re.compile("|".join(f"(?:{words})" for words in WORDS))


def described(error: BaseException) -> str:
    """The class of an exception and the first line of its message, at most 200 characters of it."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def refuses(error: BaseException) -> bool:
    """Whether an exception is one of torch's messages that it has no such derivative or kernel."""
    return _REFUSAL.match(described(error)) is not None


def fails_inside_torch(error: BaseException) -> bool:
    """Whether an assertion failed in torch's own code.

    This happens for combinations of transforms that torch neither refuses nor supports, such as forward mode through vmap of a Function
    with a generated rule for vmap and no jvp.
    """
    if "INTERNAL ASSERT FAILED" in str(error):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, AssertionError) and bool(frames) and _TORCH in Path(frames[-1].filename).parents


def no_answer(error: BaseException, node: int = -1) -> NoAnswer:
    """The record of an exception that torch raised instead of an answer, at a node of the graph; -1: no single node."""
    refused = refuses(error)
    details = "" if refused else "".join(traceback.format_exception(error, limit=-3)).rstrip()[:LONGEST]
    return NoAnswer(described(error), refused, node, details)
