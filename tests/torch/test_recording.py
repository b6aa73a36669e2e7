"""A run of torch as text: the text run again gives the same bits, and what cannot be written is refused."""

from __future__ import annotations

import cProfile
import math
import pstats
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch.recording import HELPERS, Recording, UnwritableError, constant  # noqa: E402

X = torch.tensor([[0.5, -1.25, 3.0], [1 / 3, 2.0, -0.1]])


def again(recording: Recording) -> dict[str, object]:
    """The names that the text leaves behind."""
    scope: dict[str, object] = {
        "torch": torch,
        "x": X,
        "dtype": torch.float32,
        "device": "cpu",
        "nan": math.nan,
        "inf": math.inf,
    }
    exec(HELPERS + "\n".join(recording.lines), scope)  # noqa: S102 - what is under test
    return scope


def doubled(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y *= 2
    return y + 0


def nested():
    """Programs that a script cannot import: what they tell torch is written down."""

    def in_place(x):
        y = x.clone()
        y *= 2
        return y + 0

    def written(x):
        y = torch.zeros_like(x)
        y[0, 1:] = x[1, :2]
        y[1] = 7.0
        return y

    return in_place, written


PROGRAMS = {
    "operators": lambda x: (x * 2 - 1) / 3 + x**2,
    "functions": lambda x: torch.logsumexp(torch.sin(x), dim=1, keepdim=True),
    "methods": lambda x: x.clamp(min=-1.0, max=0.5).sum(0),
    "indices": lambda x: x[0, 1:] + x[..., None, 0] * x[:, ::2].T[-1],
    "properties": lambda x: x.mT @ x,
    "several results": lambda x: torch.max(x, dim=1)[0] + torch.sort(x, dim=1).values[:, 0],
    "a constant": lambda x: x + torch.tensor([0.1, math.inf, -2.0]),
    "another dtype": lambda x: x.double() * torch.tensor([1 / 3], dtype=torch.float64),
    "an index tensor": lambda x: x[torch.tensor([1, 0])],
    "a mask": lambda x: torch.where(x > 0, x, -x),
    "a number of NumPy": lambda x: x * np.float64(0.1),
    "a list": lambda x: torch.cat([x, x], dim=0),
    "in place": lambda x: x.clone().mul_(3.0),
    "an operator in place": nested()[0],
    "elements written": nested()[1],
    "into a given tensor": lambda x: torch.sin(x, out=torch.empty(2, 3)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_text_gives_the_same_bits(name: str) -> None:
    recording = Recording(torch.float32)
    recording.name(X, "x")
    with recording:
        y = PROGRAMS[name](X)
    assert recording.lines
    found = eval(recording.of(y), again(recording))  # noqa: S307 - what is under test
    assert found.dtype == y.dtype
    assert torch.equal(found, y)
    assert recording.imports == {}


def test_a_function_of_somebody_else_is_called_by_its_name() -> None:
    recording = Recording(torch.float32)
    recording.name(X, "x")
    with recording:
        doubled(X)
    assert recording.lines == ["v0 = doubled(x)"]
    assert recording.imports == {"doubled": __name__}


@pytest.mark.parametrize("own", [False, True], ids=["in C", "in Python"])
def test_a_profiler_goes_on_and_no_recording_is_left_behind(own: bool) -> None:
    """cProfile's profiler is no function: sys.setprofile cannot put it back."""
    seen: list[str] = []
    profiler = cProfile.Profile()
    recording = Recording(torch.float32)
    recording.name(X, "x")

    def profile(*event: object) -> None:
        seen.append(str(event[1]))

    try:
        if own:
            sys.setprofile(profile)
        else:
            profiler.enable()
        with recording:
            y = torch.sin(X)
        seen.clear()
        cos = torch.cos(X)
    finally:
        sys.setprofile(None) if own else profiler.disable()
    assert recording.lines == ["v0 = torch.sin(x)"]
    with pytest.raises(KeyError):
        recording._names[id(cos)]  # what follows the recording is in nobody's text
    assert torch.equal(y, torch.sin(X))
    calls = [name for _, _, name in pstats.Stats(profiler).stats] if not own else seen  # type: ignore[attr-defined]
    assert any("cos" in name or name.startswith("c_") for name in calls)


def test_common_operators_are_written_as_signs() -> None:
    recording = Recording(torch.float32)
    recording.name(X, "x")
    with recording:
        y = X * 2
        y[0] + 1
    assert recording.lines == ["v0 = x * 2", "v1 = v0[0]", "v2 = v1 + 1"]


def test_a_call_that_raises_is_the_last_line() -> None:
    recording = Recording(torch.float32)
    recording.name(X, "x")
    with pytest.raises(RuntimeError), recording:
        torch.matmul(X, X)
    assert recording.lines == ["torch.matmul(x, x)"]


def test_an_argument_that_is_no_plain_value_is_refused() -> None:
    recording = Recording(torch.float32)
    recording.name(X, "x")
    with pytest.raises(UnwritableError, match="an argument of type Generator"), recording:
        torch.bernoulli(X.abs().clamp(max=1), generator=torch.Generator())


@pytest.mark.parametrize("t", [torch.tensor(0.1), torch.tensor([1.5, -math.inf]), torch.zeros(2, 0), torch.tensor([[1, 2]]),
                               torch.tensor([True]), torch.tensor([1 / 3], dtype=torch.float64)])  # fmt: skip
def test_a_constant_reads_back_exactly(t: torch.Tensor) -> None:
    scope = again(Recording(torch.float32))
    found = eval(constant(t, torch.float32), scope)  # noqa: S307 - what is under test
    assert (found.dtype, found.shape) == (t.dtype, t.shape)
    assert torch.equal(found, t)
