"""D4: the tutorial's linear model to the last printed digit, its exercises, and the gradient that nobody cleared."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import AGREE, DISAGREE
from refgrad.tracing.ball import exact

from .outcome import CLOSED, OTHER, REVERSE, TORCH, Outcome
from .record import Array, Item, Problem, lifted, shifted

XS, YS = (1.0, 2.0, 3.0), (2.0, 4.0, 6.0)
RATE, EPOCHS = 0.01, 100

# By epoch: the gradient of each sample, then the loss of the last; the lecture breaks off in epoch 6.
RUN = (
    (-2.0, -7.840000152587891, -16.228801727294922, 7.315943717956543),
    (-1.478623867034912, -5.796205520629883, -11.998146057128906, 3.9987640380859375),
    (-1.0931644439697266, -4.285204887390137, -8.870372772216797, 2.1856532096862793),
    (-0.8081896305084229, -3.1681032180786133, -6.557973861694336, 1.1946394443511963),
    (-0.5975041389465332, -2.3422164916992188, -4.848389625549316, 0.6529689431190491),
    (-0.4417421817779541, -1.7316293716430664, -3.58447265625, 0.35690122842788696),
    (-0.3265852928161621, -1.2802143096923828, -2.650045394897461),
)


def loss(w: Array, x: Array, y: Array) -> Array:
    """(x w - y)^2."""
    return (x * w - y) ** 2


def loss_closed(w: Array, x: Array, y: Array) -> Array:
    """2 x (x w - y)."""
    return 2 * x * (x * w - y)


def loss_torch(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x * w - y) ** 2


# --- the run -----------------------------------------------------------------------------------------------------------


def fit(gradient: Any) -> list[tuple[float, ...]]:
    """100 epochs in float32, one update a sample: by epoch the gradients, then the last loss."""
    w, rate, lines = np.float32(1.0), np.float32(RATE), []
    for _ in range(EPOCHS):
        line = []
        for x, y in zip(np.asarray(XS, np.float32), np.asarray(YS, np.float32), strict=True):
            value, slope = loss(w, x, y), gradient(w, x, y)
            w = w - rate * slope
            line.append(float(slope))
        lines.append((*line, float(value)))
    return lines


def fit_torch() -> list[tuple[float, ...]]:
    """The tutorial's loop."""
    w, lines = torch.tensor([1.0], requires_grad=True), []
    for _ in range(EPOCHS):
        line = []
        for x, y in zip(XS, YS, strict=True):
            value = loss_torch(w, x, y)
            value.backward()
            line.append(w.grad.item())
            w.data = w.data - RATE * w.grad.data
            w.grad.data.zero_()
        lines.append((*line, value.item()))
    return lines


def run(outcome: Outcome) -> None:
    """Every printed number, digit by digit, in three runs that go their own way."""
    runs = {REVERSE: fit(rg.grad(loss)), CLOSED: fit(loss_closed), TORCH: fit_torch()}
    for epoch, line in enumerate(RUN):
        outcome.prints(f"epoch {epoch}", line, np.array(runs[REVERSE][epoch][: len(line)]), dtype="float32")
        for mode in (CLOSED, TORCH):
            outcome.same(
                mode, f"{mode}: epoch {epoch}", runs[mode][epoch][: len(line)], np.array(line), "float32"
            )
    for epoch in range(len(RUN), EPOCHS):
        for mode in (CLOSED, TORCH):
            outcome.same(
                mode, f"{mode}: epoch {epoch}", runs[mode][epoch], np.array(runs[REVERSE][epoch]), "float32"
            )
    outcome.table(
        "The run in float32: gradients of the three samples, loss of the last", ("epoch", "gradients", "loss"),
        [(e, ", ".join(map(repr, runs[REVERSE][e][:3])), repr(runs[REVERSE][e][3])) for e in (*range(len(RUN)), EPOCHS - 1)],
    )  # fmt: skip


# --- exercises ---------------------------------------------------------------------------------------------------------

FIRST = (1.0, 2.0, 4.0, 0.0)  # w, x, y, and a shift of r


def residual_loss(w: Array, x: Array, y: Array, on_r: Array | None = None) -> Array:
    """r = x w - y, loss = r^2."""
    r = shifted(x * w - y, on_r)
    return r**2


def residual_closed(w: Array, x: Array, y: Array, on_r: Array) -> tuple[Array, ...]:
    """dloss/dr = 2 r, dloss/dw = 2 r x."""
    dr = 2 * (x * w - y)
    return dr * x, dr


def residual_torch(
    w: torch.Tensor, x: torch.Tensor, y: torch.Tensor, on_r: torch.Tensor
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    r = x * w - y
    return r**2, (w, r)


def first_exercise(outcome: Outcome) -> None:
    """r = -2, dloss/dr = -4, dloss/dw = -8."""
    w, x, y, on_r = lifted(tuple(map(np.float64, FIRST)), "float64")
    d_w, d_r = rg.grad(residual_loss, (0, 3))(w, x, y, on_r)
    for name, number, found in (("r", -2, x * w - y), ("dloss/dr", -4, d_r), ("dloss/dw", -8, d_w)):
        outcome.prints(name, number, found)


def affine_loss(w: Array, b: Array, x: Array, y: Array) -> Array:
    """(x w + b - y)^2."""
    return (x * w + b - y) ** 2


def affine_closed(w: Array, b: Array, x: Array, y: Array) -> tuple[Array, ...]:
    """2 r x and 2 r."""
    r = x * w + b - y
    return 2 * r * x, 2 * r


def quadratic_loss(w1: Array, w2: Array, b: Array, x: Array, y: Array) -> Array:
    """(w1 x^2 + w2 x + b - y)^2."""
    return (w1 * x**2 + w2 * x + b - y) ** 2


def quadratic_closed(w1: Array, w2: Array, b: Array, x: Array, y: Array) -> tuple[Array, ...]:
    """2 r x^2, 2 r x and 2 r."""
    r = w1 * x**2 + w2 * x + b - y
    return 2 * r * x**2, 2 * r * x, 2 * r


QUADRATIC = (0.5, 1.5, 1.0, 2.0, 5.0)


def by_the_graph(outcome: Outcome) -> None:
    """The quadratic model's graph declared node by node, gradients by its backward."""
    graph = rg.Graph()
    s = {name: graph.input(name) for name in ("w1", "w2", "b", "x", "y")}
    square = s["x"] * s["x"]
    prediction = s["w1"] * square + s["w2"] * s["x"] + s["b"]
    residual = prediction - s["y"]
    graph.output(residual * residual)
    graph.forward(*map(np.float64, QUADRATIC))
    found, due = (
        graph.backward(),
        rg.grad(quadratic_loss, (0, 1, 2))(*lifted(tuple(map(np.float64, QUADRATIC)), "float64")),
    )
    for name, ball in zip(("w1", "w2", "b"), due, strict=True):
        outcome.same(OTHER, f"gradient of {name} by the graph", found[name], ball)


def by_pytorch(outcome: Outcome) -> None:
    """The quadratic model trained by PyTorch; every gradient of the run is judged from the weights that it was computed at."""
    fmt, weights = FORMATS["float32"], [torch.tensor(v, requires_grad=True) for v in QUADRATIC[:3]]
    optimizer, gradient = torch.optim.SGD(weights, lr=RATE), rg.grad(quadratic_loss, (0, 1, 2))
    for epoch in range(10):
        for x, y in zip(XS, YS, strict=True):
            optimizer.zero_grad()
            w1, w2, b = weights
            # The NumPy code as it stands: tensors know these operators, too.
            quadratic_loss(w1, w2, b, x, y).backward()
            at = [exact(np.float32(w.item()), fmt) for w in weights]
            for w, ball in zip(weights, gradient(*at, np.float32(x), np.float32(y)), strict=True):
                outcome.same(TORCH, f"epoch {epoch}, x = {x:g}", w.grad.item(), ball, "float32")
            optimizer.step()


# --- a gradient that was not cleared -------------------------------------------------------------------------------------


def accumulated(clear: bool) -> list[tuple[float, float, float, float]]:
    """The tutorial's first epoch with or without clearing: by sample w, x, y and what torch has for the gradient."""
    w, seen = torch.tensor(1.0, requires_grad=True), []
    for x, y in zip(XS, YS, strict=True):
        loss_torch(w, x, y).backward()
        seen.append((w.item(), x, y, w.grad.item()))
        with torch.no_grad():
            w -= RATE * w.grad
        if clear:
            w.grad.zero_()
    return seen


def uncleared(outcome: Outcome) -> None:
    """The failing example. Cleared, the run agrees; not cleared, its verdict must be that it disagrees, from the second sample on."""
    fmt, rows = FORMATS["float32"], []
    for clear in (True, False):
        tally, caught = Tally(TORCH, "float32", "cpu"), []
        for k, (w, x, y, got) in enumerate(accumulated(clear)):
            due = rg.grad(loss)(*lifted((np.float32(w), np.float32(x), np.float32(y)), "float32"))
            c = compare(
                np.asarray(got), due, fmt, f"gradient at sample {k}, {'cleared' if clear else 'not cleared'}"
            )
            tally.add(-1, "accumulation", c)
            if clear:
                outcome.add(TORCH, c, "float32")
            if c.wrong:
                caught.append(k)
            verdict = DISAGREE if c.wrong else AGREE
            rows.append(("yes" if clear else "no", k, repr(got), f"{float(due.value):.9g}", verdict))
        if not clear:
            status = tally.verdict().status
            outcome.state(
                status == DISAGREE, f"the verdict on the run without clearing is {status}", "float32"
            )
            outcome.state(caught == [1, 2], f"without clearing, the samples {caught} were caught", "float32")
    outcome.table(
        "Gradients of the first epoch", ("cleared", "sample", "torch", "derivative", "verdict"), rows
    )
    outcome.flags.append(
        "failing example: the verdict on the run without clearing is disagree, as it must be"
    )


ITEMS = (
    Item(
        "D4-linear-model", "The tutorial's run, to the last printed digit",
        "loss = (x w - y)², x = 1, 2, 3, y = 2, 4, 6, w = 1 at first, w := w - 0.01 dloss/dw after each sample, 100 epochs in float32",
        (Problem(loss, (1.0, 3.0, 6.0), loss_closed, loss_torch, (0,)),), run, ("float32",),
    ),
    Item(
        "D4-exercise-1", "Exercise 4-1: the gradient by hand",
        "x = 2, w = 1, y = 4: r = -2, dloss/dr = 2 r = -4, dloss/dw = x dloss/dr = -8",
        (Problem(residual_loss, FIRST, residual_closed, residual_torch, (0, 3), shifts=1),), first_exercise,
    ),
    Item(
        "D4-exercise-2", "Exercise 4-2: the affine model", "loss = (x w + b - y)²: dloss/dw = 2 r x, dloss/db = 2 r",
        (Problem(affine_loss, (1.0, 2.0, 1.0, 2.0), affine_closed, affine_loss, (0, 1)),),
    ),
    Item(
        "D4-exercise-3", "Exercise 4-3: the quadratic model, by the graph", "loss = (w1 x² + w2 x + b - y)²: 2 r x², 2 r x, 2 r",
        (Problem(quadratic_loss, QUADRATIC, quadratic_closed, quadratic_loss, (0, 1, 2)),), by_the_graph,
    ),
    Item(
        "D4-exercise-4", "Exercise 4-4: the quadratic model, by PyTorch", "the same model trained by SGD, every gradient of the run judged",
        (Problem(quadratic_loss, QUADRATIC, quadratic_closed, quadratic_loss, (0, 1, 2)),), by_pytorch, ("float32",),
    ),
    Item(
        "D4-uncleared", "Forgetting to clear accumulated gradients", "without clearing, w.grad is the sum over all samples so far",
        (Problem(loss, (1.0, 2.0, 4.0), loss_closed, loss_torch, (0,)),), uncleared, ("float32",),
    ),
)  # fmt: skip
