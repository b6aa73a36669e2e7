"""Ops of torch.library: those with a rule for vmap are found, and the rule is judged."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.checking.mapped import MAPPED  # noqa: E402


def cube(name, rule=None):
    """An op x^3 with its derivative, and with a rule for vmap."""

    @torch.library.custom_op(f"refgrad_test_custom_ops::{name}", mutates_args=())
    def op(x: torch.Tensor) -> torch.Tensor:
        return x * x * x

    def keep(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    op.register_autograd(lambda ctx, y_bar: 3 * y_bar * ctx.saved_tensors[0] ** 2, setup_context=keep)
    if rule is not None:
        op.register_vmap(rule)
    return op


WITHOUT = cube("without")
RIGHT = cube("right", lambda info, in_dims, x: (x * x * x, in_dims[0]))
WRONG = cube("wrong", lambda info, in_dims, x: (x * x * x, 0))


@pytest.mark.parametrize(
    ("op", "mode"),
    [(WITHOUT, None), (RIGHT, "agree"), (WRONG, "disagree"), (lambda x: WRONG(x) + 0, "disagree")],
)
def test_a_registered_rule_is_judged(op, mode) -> None:
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    report = gradcheck(op, (x,), reference=lambda x: x * x * x, dtypes=("float64",), raise_exception=False)
    assert [v.status for _, v in report.verdicts if v.mode == MAPPED] == ([] if mode is None else [mode])
    assert report.status == (mode or "agree")
