"""Wrong twins planted in the functions of layers and losses, one for each kind of mistake that people make: each is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

from conformance.families import family
from refgrad.op import FUNCTIONS
from refgrad.testing.cases.source import Seeded
from refgrad.testing.judging.verdict import DISAGREE, ERROR
from refgrad.testing.runs.item import examine
from refgrad.torch.observe import observe
from tests.recorded import STANDING

Given = dict[str, Any]
Changed = Callable[[Any, Given], Given]
# For each mistake the function, and the arguments with which its twin is asked in place of those of the case.
CHANGED: dict[str, tuple[str, Changed]] = {
    "the factor of the input alone": ("celu", lambda torch, given: {**given, "alpha": 1.0}),
    "halves exchanged": ("glu", lambda torch, given: {**given, "input": _exchanged(torch, given)}),
    "a slope for positive numbers": ("prelu", lambda torch, given: {**given, "input": -given["input"]}),
    "the other end": ("rrelu", lambda torch, given: {**given, "upper": given["upper"] + 0.25}),
    "another threshold": ("huber_loss", lambda torch, given: {**given, "delta": given["delta"] * 2}),
    "logarithms for targets": ("kl_div", lambda torch, given: {**given, "log_target": False}),
    "an operand held": ("l1_loss", lambda torch, given: {**given, "target": given["target"].detach()}),
    "a forgotten weight": ("nll_loss", lambda torch, given: {**given, "weight": None}),
    "no smoothing": ("cross_entropy", lambda torch, given: {**given, "label_smoothing": 0.0}),
    "no square": ("multi_margin_loss", lambda torch, given: {**given, "p": 1}),
    "another norm": ("pairwise_distance", lambda torch, given: {**given, "p": 1.0}),
    "another axis of a norm": ("normalize", lambda torch, given: {**given, "dim": 0}),
    "no exchange of distances": ("triplet_margin_loss", lambda torch, given: {**given, "swap": False}),
    "no window over the end": ("lp_pool2d", lambda torch, given: {**given, "norm_type": 2.0}),
    "one window more": ("avg_pool3d", lambda torch, given: {**given, "count_include_pad": True}),
    "a mean for a maximum": ("scatter_reduce", lambda torch, given: {**given, "reduce": "mean"}),
    "nothing of the input": ("scatter_reduce", lambda torch, given: {**given, "include_self": False}),
    "a forgotten factor": ("index_add", lambda torch, given: {**given, "alpha": 1.0}),
    "another continuation": ("pad", lambda torch, given: {**given, "mode": _continued(given)}),
    "another number of neighbours": (
        "local_response_norm",
        lambda torch, given: {**given, "size": given["size"] + 1, "alpha": 1.0},
    ),
    "statistics of nothing": ("instance_norm", lambda torch, given: {**given, "eps": 0.5}),
    "states exchanged": ("lstm_cell", lambda torch, given: {**given, "h": given["c"], "c": given["h"]}),
    "another blank": ("ctc_loss", lambda torch, given: {**given, "log_probs": given["log_probs"].flip(0)}),
}


def _exchanged(torch: Any, given: Given) -> Any:
    a, b = torch.chunk(given["input"], 2, given["dim"])
    return torch.cat([b, a], given["dim"])


def _continued(given: Given) -> str:
    return "replicate" if given["mode"] in ("reflect", "circular") else str(given["mode"])


@pytest.mark.long
@pytest.mark.parametrize("mistake", CHANGED)
def test_a_wrong_twin_is_named(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    short, changed = CHANGED[mistake]
    name = f"nn.{short}"
    right = FUNCTIONS[name]

    def called(module: Any, *operands: Any, **params: Any) -> Any:
        given = dict(zip(right.operands(params), operands, strict=True)) | params
        other = changed(module, given)
        names = right.operands(params)
        return right.torch(module, *[other[n] for n in names], **{n: other[n] for n in params})

    monkeypatch.setitem(FUNCTIONS, name, replace(right, torch=called))
    count: Counter[str] = Counter()
    for seed in range(40):
        for verdict in examine(family("functions", (name,))(Seeded((seed,)), "float64"), observe, STANDING):
            count[verdict.status] += not verdict.known
            if verdict.status == DISAGREE:
                assert verdict.first_wrong is not None
                assert verdict.first_wrong[1] == name
        if count[DISAGREE] > 3:
            break
    assert count[DISAGREE] > 3
    assert not count[ERROR]
