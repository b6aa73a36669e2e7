"""What no order of contraction changes, beside all orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.ops.contraction import einsum
from refgrad.ops.contraction_infinities import Certain, certain, radius_by_order
from refgrad.tracing.ball import exact, parts

Array = Any
FORMS = (
    "ij,jk,kl->il",
    "ij,j,i->",
    "i,i,i->",
    "ij,jk,k->i",
    "i,j,k->",
    "ij,ik,il->i",
    "ij,ij,j->i",
    "i,j,ij,k->k",
    "ab,bc,cd,d->a",
)
SPECIAL = np.array([np.inf, -np.inf, 0.0, np.nan, 1e30, -1e30, 1e-30, 3.0])


def orders(terms: Sequence[str], output: str, xs: Sequence[Array]) -> Iterator[Array]:
    """The contraction, pair by pair, in every order, with each intermediate result in the format of the operands."""
    if len(xs) == 1:
        yield np.einsum(f"{terms[0]}->{output}", xs[0])
        return
    for i in range(len(xs)):
        for j in range(i):
            rest = [t for k, t in enumerate(terms) if k not in (i, j)]
            keep = "".join(
                c for c in dict.fromkeys(terms[i] + terms[j]) if c in output or any(c in t for t in rest)
            )
            z = np.einsum(f"{terms[i]},{terms[j]}->{keep}", xs[i], xs[j])
            yield from orders([*rest, keep], output, [*[x for k, x in enumerate(xs) if k not in (i, j)], z])


def drawn(rng: np.random.Generator, form: str) -> list[Array]:
    lengths = {c: int(rng.integers(1, 4)) for c in form if c.isalpha()}
    xs = []
    for term in form.partition("->")[0].split(","):
        x = rng.standard_normal([lengths[c] for c in term]).astype(np.float32)
        if rng.random() < 0.5:
            x = np.abs(x)
        share = rng.choice([0.05, 0.2])
        xs.append(np.where(rng.random(x.shape) < share, rng.choice(SPECIAL, x.shape, p=(0.4, 0.1, 0.1, 0.04, 0.1, 0.06, 0.1, 0.1)), x)
                  .astype(np.float32))  # fmt: skip
    return xs


def certainty(form: str, xs: list[Array]) -> Certain:
    inputs, _, output = form.partition("->")
    lengths = {
        c: n for t, x in zip(inputs.split(","), xs, strict=True) for c, n in zip(t, x.shape, strict=True)
    }
    terms = int(np.prod([n for c, n in lengths.items() if c not in output]))
    return certain(FORMATS["float32"], lambda *a: np.einsum(form, *a), xs, [None] * len(xs), terms)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", FORMS)
def test_all_orders_have_what_is_certain(form: str) -> None:
    rng = np.random.default_rng(len(form))
    inputs, _, output = form.partition("->")
    decided = {"finite": 0, "infinite": 0, "open": 0}
    for _ in range(150):
        xs = drawn(rng, form)
        found = certainty(form, xs)
        wide = np.einsum(form, *[x.astype(np.longdouble) for x in xs])
        for y in orders(inputs.split(","), output, xs):
            assert np.array_equal(y[found.infinite], found.values[found.infinite])
            assert np.array_equal(np.isfinite(y[found.finite]), np.isfinite(wide[found.finite]))
            assert np.array_equal(np.isnan(y[found.finite]), np.isnan(wide[found.finite]))
        decided["finite"] += int(np.sum(found.finite))
        decided["infinite"] += int(np.sum(found.infinite))
        decided["open"] += int(np.sum(~found.finite & ~found.infinite))
    assert min(decided["finite"], decided["infinite"]) > 15, decided
    assert decided["open"] > 3


@pytest.mark.filterwarnings("ignore")
def test_what_is_open_differs_between_orders() -> None:
    """Open elements are no excuse: for many of them two orders differ."""
    rng = np.random.default_rng(0)
    differ = total = 0
    for _ in range(300):
        form = FORMS[int(rng.integers(len(FORMS)))]
        xs = drawn(rng, form)
        found = certainty(form, xs)
        inputs, _, output = form.partition("->")
        results = np.array([np.where(np.isnan(y), 7e37, y) for y in orders(inputs.split(","), output, xs)])
        kinds = np.where(np.isinf(results), results, np.where(results == 7e37, 2.0, 0.0))
        unlike = np.any(kinds != kinds[0], axis=0)
        opened = ~found.finite & ~found.infinite
        assert not np.any(unlike & ~opened)
        differ += int(np.sum(unlike))
        total += int(np.sum(opened))
    assert differ > 20
    assert total < 40 * differ


def test_the_rule_decides_by_element() -> None:
    """An infinity in one row leaves the others their bounds, and is itself decided where signs and zeros leave no choice."""
    a = np.array([[1.0, 2.0], [np.inf, 1.0], [np.inf, 1.0]])
    b = np.array([[3.0, -1.0], [0.5, 2.0]])
    c = np.array([2.0, 1.0])
    fmt = FORMATS["float16"]
    value, radius = parts(einsum(*[exact(x, fmt) for x in (a, b, c)], subscripts="ij,jk,k->i"))
    assert np.isfinite(radius[0])
    assert not np.isfinite(radius[1]), (
        "infinity times 3 * 2 and infinity times -1 * 1 meet, or their sum is positive"
    )
    value, radius = parts(einsum(*[exact(x, fmt) for x in (a, np.abs(b), c)], subscripts="ij,jk,k->i"))
    assert np.array_equal(value[1:], [np.inf, np.inf])
    assert np.array_equal(radius[1:], [0.0, 0.0])
    zero = np.abs(b) * [1.0, 0.0]
    _, radius = parts(einsum(*[exact(x, fmt) for x in (a, zero, c)], subscripts="ij,jk,k->i"))
    assert np.isnan(radius[1:]).all() or np.isinf(radius[1:]).all()


def test_radii_follow_the_elements() -> None:
    found = Certain(
        np.array([True, False, False]), np.array([False, True, False]), np.array([0.0, np.inf, 0.0])
    )
    y = np.array([1.0, np.inf, -np.inf])
    assert np.array_equal(radius_by_order(found, y, np.full(3, 0.25)), [0.25, 0.0, np.nan], equal_nan=True)
    assert np.array_equal(radius_by_order(found, -y, None), [0.0, np.nan, np.nan], equal_nan=True)
