"""A gradient of one triangle and one of both: the note names the convention and the remedy, which then agrees."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.checking.triangles import note  # noqa: E402

RNG = np.random.default_rng(0)
M = RNG.standard_normal((3, 3))
A = torch.tensor(M @ M.T + np.eye(3))


@pytest.mark.parametrize("name", ["cholesky", "eigvalsh"])
def test_the_convention_is_named_with_its_remedy(name: str) -> None:
    func, reference = getattr(torch.linalg, name), getattr(np.linalg, name)
    options = {"dtypes": ("float64",), "raise_exception": False}
    report = gradcheck(func, (A,), reference=reference, **options)
    assert report.status == "disagree"
    assert any("reads the lower triangle" in n and "func((a + a.mT) / 2)" in n for n in report.notes)
    remedied = gradcheck(
        lambda a: func((a + a.mT) / 2),
        (A,),
        reference=lambda a: reference((a + np.swapaxes(a, -1, -2)) / 2),
        **options,
    )
    assert remedied.status == "agree"
    assert not any("triangle" in n for n in remedied.notes)


def test_other_mistakes_have_no_such_note() -> None:
    x = A.numpy()
    lower = np.tril(M)
    spread = (lower + lower.T) / 2
    assert "lower" in note(0, x, spread, lower)
    assert "upper" in note(0, x, spread, lower.T)
    assert note(0, x, 2 * spread, lower) == ""
    assert note(0, x, lower, lower) == ""
    assert note(0, M, spread, lower) == "", "the input is not symmetric"
    assert note(0, x, M.T, M) == "", "a transposed gradient"
    assert note(0, x[0], spread[0], lower[0]) == ""
    assert note(0, x, None, lower) == ""
