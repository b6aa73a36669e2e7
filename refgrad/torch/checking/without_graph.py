"""The value of func where nothing requires a gradient: under torch.no_grad(), as at inference. Many kernels take another path there."""

from __future__ import annotations

from dataclasses import replace

import torch

from refgrad.testing.checks.aggregation import Aggregation
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import Point
from refgrad.torch.checking.remarks import said


def judge(point: Point, request: Request, aggregation: Aggregation) -> None:
    """Add disagreements of the outputs. Where func raises, as one does that differentiates inside, there is nothing to judge."""
    question = replace(request.question, active=())
    try:
        with torch.no_grad():
            outputs = point.evaluator.outputs(replace(request, question=question)).outputs
    except Raised:
        return
    for k, y in enumerate(outputs):
        what = f"output {k}"
        aggregation.add(what, said(point.compared_value(y, k), what, "under torch.no_grad()"), question)
