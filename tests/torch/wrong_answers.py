"""Wrong answers of torch functions with their evidence, and the scripts that are made of them."""

from __future__ import annotations

import numpy as np
import torch

from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence, Question
from refgrad.testing.checks.check_report import Report
from refgrad.testing.judging.verdict import DISAGREE, Verdict
from refgrad.torch.check_script import rerun

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 3))


def evidence(fn, inputs, factor=2.0, dtype="float64", mode="reverse", index=0, **layout):
    """Evidence that what fn gives should have been ``factor`` times as large."""
    storage = getattr(torch, dtype)
    xs = [
        torch.as_tensor(x).to(storage) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
        for x in inputs
    ]
    held = tuple(
        x.double().numpy() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in xs
    )
    active = [k for k, x in enumerate(xs) if isinstance(x, torch.Tensor) and x.is_floating_point()]
    if mode == "forward":
        seeds = [
            torch.as_tensor(RNG.standard_normal(x.shape)).to(storage) if k in active else None
            for k, x in enumerate(xs)
        ]
        with torch.autograd.forward_ad.dual_level():
            y = fn(
                *[
                    torch.autograd.forward_ad.make_dual(x, s) if s is not None else x
                    for x, s in zip(xs, seeds, strict=True)
                ]
            )
            y = y if isinstance(y, tuple) else (y,)
            got = torch.autograd.forward_ad.unpack_dual(y[index]).tangent
    else:
        for k in active:
            xs[k].requires_grad_()
        y = fn(*xs)
        y = y if isinstance(y, tuple) else (y,)
        seeds = [torch.as_tensor(RNG.standard_normal(v.shape)).to(storage) for v in y]
        got = (
            y[index].detach()
            if mode == "value"
            else torch.autograd.grad(y, [xs[k] for k in active], seeds)[active.index(index)]
        )
    came = got.detach().double().numpy()
    expected = factor * came.astype(np.longdouble if dtype == "float64" else np.float64)
    bound = np.abs(expected) * {"float64": 1e-14, "float32": 1e-6, "bfloat16": 0.02}[dtype]
    return Evidence(
        Question(mode, "of the whole significand", tuple(active)), held,
        tuple(None if s is None else s.double().numpy() for s in seeds), index, came, expected, bound, **layout,
    )  # fmt: skip


def script_of(fn, held, dtype="float64", mode=""):
    part = ArrayVerdict("gradient of input 0", DISAGREE, evidence=held)
    report = Report(
        "gradcheck(it)",
        [(dtype, Verdict(mode or held.question.mode, DISAGREE, parts=[part]))],
        script=rerun(fn, "gradcheck(it)"),
    )
    return report.repro()
