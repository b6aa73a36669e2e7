"""How many operations of torch round: moves and selections do not, arithmetic does."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from refgrad.torch.checking.roundings import counted, counted_while  # noqa: E402

X = torch.tensor([[0.5, -1.0], [2.0, 3.0]])


@pytest.mark.parametrize(
    ("f", "value"),
    [
        (lambda x: x.T.reshape(-1)[::2], 0), (lambda x: torch.where(x > 0, x, -x), 0), (torch.sin, 1), (lambda x: torch.sin(x) * x, 2),
        (lambda x: torch.cat([x, x]) @ x, 1), (lambda x: x > 0, 0),
    ],
)  # fmt: skip
def test_operations_that_make_new_numbers_are_counted(f, value: int) -> None:
    assert counted(f, [X], [], "value") == value
    assert counted_while(lambda: f(X)) == value


def test_derivatives_add_their_own() -> None:
    value, reverse, forward = (
        counted(lambda x: torch.sin(x).sum(), [X], [0], mode) for mode in ("value", "reverse", "forward")
    )
    assert value == 2
    assert reverse > value
    assert forward > value
    assert not X.requires_grad


def test_what_does_not_run_is_not_counted() -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        raise ValueError

    assert counted(broken, [X], [0], "reverse") == 0
    assert counted_while(lambda: broken(X)) == 0
