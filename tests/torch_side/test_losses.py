"""Losses and activations of refgrad.nn are those of torch.nn.functional: value and gradients in float64 and float32, by gradcheck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from refgrad import nn  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402

RNG = np.random.default_rng(16)
X, T, W = (torch.tensor(RNG.standard_normal((4, 3))) for _ in range(3))
P, Q = torch.sigmoid(X), torch.softmax(T, 1)
POSITIVE = torch.exp(W)
CLASSES = np.array([2, 0, -100, 1])
KEPT = np.array([2, 0, 2, 1])
SIGNS = np.array([[1, -1, 1], [-1, -1, 1], [1, 1, -1], [1, -1, -1]])
DEEP = torch.tensor(RNG.standard_normal((2, 3, 5)))
DEEP_CLASSES = RNG.integers(0, 3, (2, 5))
LISTED = np.array([[2, 0, -1], [1, -1, 0], [0, 1, 2], [-1, 2, 1]])
WEIGHT = np.array([0.5, 2.0, 1.25])
ROWS = [torch.tensor(RNG.standard_normal((4, 6))) for _ in range(3)]
SCORES = torch.tensor(RNG.standard_normal((9, 2, 5)))
TARGETS, LENGTHS = np.array([[1, 2, 2], [4, 1, 3]]), [3, 2]
REDUCTIONS = ("mean", "sum", "none")

# Sums that torch adds up in the half format itself, term by term, where it adds others up in float32.
OTHERWISE = {
    ("nll_loss of pixels sum", "float16"): "torch's kernel of two-dimensional nll_loss adds up in float16"
}

Case = tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]


def like(x: Any, array: Any) -> Any:
    """A constant in the dtype of x: a tensor for torch, an array for NumPy."""
    if isinstance(x, torch.Tensor):
        constant = torch.as_tensor(array)
        return constant.to(x.dtype) if constant.is_floating_point() else constant
    array = np.asarray(array)
    return array.astype(x.dtype) if array.dtype.kind == "f" else array


def pair(name: str, *xs: Any, constants: tuple[Any, ...] = (), **params: Any) -> Case:
    """The function of this name in both libraries; ``constants`` follow the differentiated operands."""

    def of(module: Any) -> Callable[..., Any]:
        def f(*zs: Any) -> Any:
            given = {k: like(zs[0], v) if isinstance(v, np.ndarray) else v for k, v in params.items()}
            return getattr(module, name)(*zs, *[like(zs[0], c) for c in constants], **given)

        return f

    return of(F), of(nn), xs


CASES: dict[str, Case] = {}
for r in REDUCTIONS:
    CASES |= {
        f"l1_loss {r}": pair("l1_loss", X, T, reduction=r),
        f"mse_loss {r}": pair("mse_loss", X, T, reduction=r),
        f"smooth_l1_loss {r}": pair("smooth_l1_loss", X, T, reduction=r, beta=0.5),
        f"huber_loss {r}": pair("huber_loss", X, T, reduction=r, delta=0.7),
        f"gaussian_nll_loss {r}": pair("gaussian_nll_loss", X, T, POSITIVE, reduction=r, full=True),
        f"poisson_nll_loss {r}": pair("poisson_nll_loss", X, constants=(np.exp(T.numpy()),), reduction=r),
        f"nll_loss {r}": pair("nll_loss", X, constants=(CLASSES,), weight=WEIGHT, reduction=r),
        f"nll_loss of pixels {r}": pair("nll_loss", DEEP, constants=(DEEP_CLASSES,), reduction=r),
        f"kl_div {r}": pair("kl_div", X, Q, reduction=r),
        f"kl_div of logarithms {r}": pair("kl_div", X, T, reduction=r, log_target=True),
        f"binary_cross_entropy {r}": pair(
            "binary_cross_entropy", P, constants=(Q.numpy(),), weight=WEIGHT, reduction=r
        ),
        f"binary_cross_entropy_with_logits {r}": pair(
            "binary_cross_entropy_with_logits", X, Q, pos_weight=WEIGHT, weight=WEIGHT, reduction=r
        ),
        f"soft_margin_loss {r}": pair("soft_margin_loss", X, constants=(SIGNS * 1.0,), reduction=r),
        f"multilabel_soft_margin_loss {r}": pair(
            "multilabel_soft_margin_loss", X, constants=(SIGNS * 0.5 + 0.5,), weight=WEIGHT, reduction=r
        ),
        f"multi_margin_loss {r}": pair(
            "multi_margin_loss", X, constants=(KEPT,), p=2, margin=0.7, weight=WEIGHT, reduction=r
        ),
        f"multilabel_margin_loss {r}": pair("multilabel_margin_loss", X, constants=(LISTED,), reduction=r),
        f"hinge_embedding_loss {r}": pair(
            "hinge_embedding_loss", X, constants=(SIGNS * 1.0,), margin=0.8, reduction=r
        ),
        f"margin_ranking_loss {r}": pair(
            "margin_ranking_loss", X, T, constants=(SIGNS * 1.0,), margin=0.3, reduction=r
        ),
        f"cosine_embedding_loss {r}": pair(
            "cosine_embedding_loss", ROWS[0], ROWS[1], constants=(SIGNS[:, 0],), margin=0.1, reduction=r
        ),
        f"triplet_margin_loss {r}": pair("triplet_margin_loss", *ROWS, swap=True, reduction=r),
    }
CASES |= {
    "l1_loss with weights": pair("l1_loss", X, T, weight=POSITIVE.numpy()),
    "smooth_l1_loss without a square": pair("smooth_l1_loss", X, T, beta=0.0),
    "poisson_nll_loss of rates": pair("poisson_nll_loss", POSITIVE, constants=(np.exp(T.numpy()),), log_input=False, full=True),
    "kl_div by batch": pair("kl_div", X, Q, reduction="batchmean"),
    "multi_margin_loss": pair("multi_margin_loss", X, constants=(KEPT,)),
    "triplet_margin_loss": pair("triplet_margin_loss", *ROWS, p=1.5),
    "cosine_similarity": pair("cosine_similarity", *ROWS[:2]),
    "pairwise_distance": pair("pairwise_distance", *ROWS[:2], p=3.0, keepdim=True),
    "pdist": pair("pdist", ROWS[0]),
    "normalize": pair("normalize", X, p=3.0),
    "celu": pair("celu", X, alpha=0.5),
    "glu": pair("glu", ROWS[0], dim=1),
    "prelu": pair("prelu", X, torch.tensor(WEIGHT)),
    "rrelu": pair("rrelu", X),
    "threshold": pair("threshold", X, threshold=0.2, value=-1.0),
    "logsigmoid": pair("logsigmoid", X),
    "softmin": pair("softmin", X, dim=1),
    "softplus": pair("softplus", X, beta=2.0, threshold=1.5),
    "gelu": pair("gelu", X),
    "gelu by tanh": pair("gelu", X, approximate="tanh"),
    "cdist": (torch.cdist, nn.cdist, (ROWS[0], ROWS[1])),
}  # fmt: skip  # cases read by lines


def cross_entropies() -> dict[str, Case]:
    """torch's has the classes on axis 1."""
    found = {}
    for r in REDUCTIONS:
        for smoothing in (0.0, 0.2):

            def by_torch(x: Any, r: str = r, s: float = smoothing) -> Any:
                return F.cross_entropy(x, like(x, CLASSES), like(x, WEIGHT), reduction=r, label_smoothing=s)

            def by_refgrad(x: Any, r: str = r, s: float = smoothing) -> Any:
                return nn.cross_entropy(x, CLASSES, r, weight=like(x, WEIGHT), label_smoothing=s)

            def deep(x: Any, r: str = r, s: float = smoothing) -> Any:
                return F.cross_entropy(x, like(x, DEEP_CLASSES), reduction=r, label_smoothing=s)

            def deep_by_refgrad(x: Any, r: str = r, s: float = smoothing) -> Any:
                return nn.cross_entropy(x, DEEP_CLASSES, r, label_smoothing=s, axis=1)

            def shares(x: Any, q: Any, r: str = r, s: float = smoothing) -> Any:
                return F.cross_entropy(x, q, like(x, WEIGHT), reduction=r, label_smoothing=s)

            def shares_by_refgrad(x: Any, q: Any, r: str = r, s: float = smoothing) -> Any:
                return nn.cross_entropy(x, q, r, weight=like(x, WEIGHT), label_smoothing=s)

            found[f"cross_entropy {r} {smoothing}"] = (by_torch, by_refgrad, (X,))
            found[f"cross_entropy of pixels {r} {smoothing}"] = (deep, deep_by_refgrad, (DEEP,))
            found[f"cross_entropy of probabilities {r} {smoothing}"] = (shares, shares_by_refgrad, (X, Q))
    return found


CASES |= cross_entropies()


def alignments() -> dict[str, Case]:
    """torch's gradient of ctc_loss is right for normalised logarithms alone: log_softmax belongs to the function."""
    found = {}
    for r in REDUCTIONS:

        def by_torch(x: Any, r: str = r) -> Any:
            return F.ctc_loss(torch.log_softmax(x, 2), torch.tensor(TARGETS), [9, 7], LENGTHS, reduction=r)

        def by_refgrad(x: Any, r: str = r) -> Any:
            return nn.ctc_loss(nn.log_softmax(x, axis=2), TARGETS, [9, 7], LENGTHS, reduction=r)

        found[f"ctc_loss {r}"] = (by_torch, by_refgrad, (SCORES,))
    return found


CASES |= alignments()


@pytest.mark.filterwarnings("ignore:reduction. .mean. divides")
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_torch(name: str, dtype: str) -> None:
    by_torch, by_refgrad, xs = CASES[name]
    if (name, dtype) in OTHERWISE:
        pytest.xfail(OTHERWISE[name, dtype])
    report = gradcheck(
        by_torch,
        tuple(x.detach().clone().requires_grad_() for x in xs),
        reference=by_refgrad,
        dtypes=(dtype,),
        raise_exception=False,
    )
    if report.status == "unsupported" and dtype in ("bfloat16", "float16"):
        pytest.skip("torch has no kernel of this format")
    assert report, report.summary()
