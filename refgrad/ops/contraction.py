"""einsum: sums of products of any number of operands, and all its transposes in the same language."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, PlainArray
from refgrad.bounds import exactness, splitting
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import sampled
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.op import register, shape_of
from refgrad.op.traits import HOLOMORPHIC
from refgrad.ops import by_parts
from refgrad.ops.contraction_infinities import certain, radius_by_order

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SPLIT = 32**3  # products from which those in long double are formed by float64 BLAS
_PAIRWISE = 4096  # above so many products contract pair by pair (BLAS) instead of one loop over all labels


@functools.lru_cache(maxsize=1024)
def explicit(subscripts: str, ndims: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """Labels of each operand and of the result, the ellipsis written out.

    Raises ArgumentError that names the operand or label that does not fit.
    """
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    odd = sorted(set(text.replace("->", "").replace("...", "")) - set(_LETTERS) - {","})
    if odd or "," in right or right.count("...") > 1 or any(t.count("...") > 1 for t in terms):
        where = f" at {odd[0]!r}" if odd else ""
        raise ArgumentError(
            f"einsum: subscripts {subscripts!r} are not understood{where}; letters, ',', '->' and one '...' a term are"
        )
    if len(terms) != len(ndims):
        raise ArgumentError(f"einsum: subscripts {subscripts!r} name {len(terms)} operands, got {len(ndims)}")
    free = [c for c in reversed(_LETTERS) if c not in text]
    widths = []
    for k, (term, ndim) in enumerate(zip(terms, ndims, strict=True)):
        width = ndim - len(term.replace("...", ""))
        if width < 0 or (width > 0 and "..." not in term):
            raise ArgumentError(
                f"einsum: subscripts {term!r} of operand {k} do not fit its {ndim} dimensions (in {subscripts!r})"
            )
        widths.append(width)
    dots = "".join(free[: max(widths, default=0)])
    if not arrow:
        right = ("..." if "..." in left else "") + "".join(
            c for c in sorted(set(left) - set(",.")) if left.count(c) == 1
        )
    inputs = tuple(t.replace("...", dots[len(dots) - w :]) for t, w in zip(terms, widths, strict=True))
    output = right.replace("...", dots)
    if dots and "..." not in right:
        raise ArgumentError(
            f"einsum: the result of {subscripts!r} needs '...' for the dimensions that the operands' '...' stand for"
        )
    unknown = [c for c in output if not any(c in t for t in inputs)]
    if unknown or len(set(output)) != len(output):
        raise ArgumentError(f"einsum: the result of {subscripts!r} names {unknown[0]!r}, which no operand has" if unknown
                            else f"einsum: the result of {subscripts!r} names a label twice")  # fmt: skip
    return inputs, output


def _labels(subscripts: str, xs: Any) -> tuple[tuple[str, ...], str]:
    if not isinstance(subscripts, str):
        raise NoRuleError(
            f"einsum: subscripts are supported as a string such as 'ij,jk->ik', got {subscripts!r}"
        )
    return explicit(subscripts, tuple([len(shape_of(x)) for x in xs]))


def _sizes(inputs: tuple[str, ...], xs: Any) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for term, x in zip(inputs, xs, strict=True):
        for c, n in zip(term, shape_of(x), strict=True):
            sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
    return sizes


def _einsum(*xs: PlainArray, subscripts: str = "") -> Array:
    inputs, output = _labels(subscripts, xs)
    try:
        products = math.prod(_sizes(inputs, xs).values())
        if len(xs) > 1 and products >= _SPLIT and splitting.long(*xs):
            return _by_matrices(inputs, output, xs)
        pairwise = len(xs) > 1 and products > _PAIRWISE
        return np.einsum(f"{','.join(inputs)}->{output}", *xs, optimize=pairwise)
    except ValueError as e:
        raise ArgumentError(
            f"einsum: {subscripts!r} does not fit shapes {[shape_of(x) for x in xs]}: {e}"
        ) from e


def _by_matrices(inputs: tuple[str, ...], output: str, xs: tuple[Array, ...]) -> Array:
    """A large contraction in long double, pair by pair, each pair as a product of matrices (see splitting.py)."""
    terms, arrays = list(inputs), list(xs)
    path = np.einsum_path(f"{','.join(inputs)}->{output}", *xs, optimize="greedy")[0]
    for places in path[1:]:
        chosen = [(terms.pop(k), arrays.pop(k)) for k in sorted(places, reverse=True)]
        keep = output if not terms else "".join(dict.fromkeys("".join((output, *terms))))
        if len(chosen) == 2:
            term, z = _pair(chosen[0], chosen[1], keep)
        else:
            term = "".join(c for c in dict.fromkeys("".join(t for t, _ in chosen)) if c in keep)
            z = np.einsum(f"{','.join(t for t, _ in chosen)}->{term}", *[x for _, x in chosen])
        terms.append(term)
        arrays.append(z)
    return arrays[0] if terms[0] == output else np.einsum(f"{terms[0]}->{output}", arrays[0])


def _pair(left: tuple[str, Array], right: tuple[str, Array], keep: str) -> tuple[str, Array]:
    """Two operands contracted over the labels that are not kept: the labels of the result, and the result."""
    (s, a), (t, b) = _own(left, right[0], keep), _own(right, left[0], keep)
    both = [c for c in s if c in t]
    stack, summed = [c for c in both if c in keep], [c for c in both if c not in keep]
    rows, columns = [c for c in s if c not in t], [c for c in t if c not in s]
    lengths = _sizes((s, t), (a, b))
    a = _arranged(s, a, (stack, rows, summed), lengths)
    b = _arranged(t, b, (stack, summed, columns), lengths)
    order = [*stack, *rows, *columns]
    return "".join(order), splitting.matmul(a, b).reshape([lengths[c] for c in order])


def _own(operand: tuple[str, Array], other: str, keep: str) -> tuple[str, Array]:
    """The operand with each label once, and summed over those that it alone has."""
    term, x = operand
    left = "".join(dict.fromkeys(c for c in term if c in keep or c in other))
    return left, x if left == term else np.einsum(f"{term}->{left}", x)


def _arranged(term: str, x: Array, groups: tuple[list[str], ...], lengths: dict[str, int]) -> PlainArray:
    """x with the labels of the first group as axes of a stack, and one axis for each of the other two groups."""
    x = x.transpose([term.index(c) for group in groups for c in group])
    # A label of size 1 stands for any.
    x = np.broadcast_to(x, [lengths[c] for group in groups for c in group])
    return x.reshape([lengths[c] for c in groups[0]] + [math.prod(lengths[c] for c in g) for g in groups[1:]])


def _einsum_jvp(xs_dot: Any, xs: Any, active: tuple[bool, ...], subscripts: str) -> Array:
    """Linear in each operand."""
    parts = [
        einsum(*xs[:i], xs_dot[i], *xs[i + 1 :], subscripts=subscripts) for i, a in enumerate(active) if a
    ]
    return functools.reduce(np.add, parts)


def _einsum_vjp(y_bar: Array, xs: Any, active: tuple[bool, ...], subscripts: str) -> list[Array | None]:
    inputs, output = _labels(subscripts, xs)
    return [_pull(i, y_bar, xs, inputs, output) if a else None for i, a in enumerate(active)]


def _pull(i: int, y_bar: Array, xs: Any, inputs: tuple[str, ...], output: str) -> Array:
    """Swap operand i with the result.

    A label that operand i alone has was summed: its cotangent repeats along it (size 1 here, the engine broadcasts). A label
    that operand i has twice read a diagonal: its cotangent is 0 off the diagonal.
    """
    others = inputs[:i] + inputs[i + 1 :]
    term, shape = inputs[i], shape_of(xs[i])
    known = "".join(dict.fromkeys(c for c in term if c in output or any(c in t for t in others)))
    z = einsum(y_bar, *xs[:i], *xs[i + 1 :], subscripts=f"{','.join((output, *others))}->{known}")
    sizes = dict(zip(known, shape_of(z), strict=True))
    if known != term:
        z = np.reshape(z, tuple([sizes.get(c, 1) if term.index(c) == k else 1 for k, c in enumerate(term)]))
    for k, c in enumerate(term):
        first = term.index(c)
        if first != k:
            eye = np.eye(shape[k], dtype=y_bar.dtype)
            z = z * eye.reshape([shape[k] if m in (first, k) else 1 for m in range(len(term))])
    return z


def _einsum_rounding(run: Evaluation) -> Any:
    """n operands, K products summed per element: n - 1 + K - 1 roundings for any order of contraction.

    However operands are paired, a product meets at most n - 1 multiplications and sum (k_s - 1) <= prod k_s - 1 additions.

    On a grid nothing is rounded where the sum of magnitudes fits (exactness.py). A partial result times the other factors is one of the
    terms of that sum, so with factors that are at least one unit it fits as well. With a factor 0 it does not count.
    """
    fmt, forward, y, xs, es, params = run
    inputs, output = _labels(params["subscripts"], xs)
    sizes = _sizes(inputs, xs)
    n, terms = len(xs), math.prod(v for c, v in sizes.items() if c not in output)
    size = [np.abs(x) for x in xs]
    radius: Any = 0.0
    for i, e in enumerate(es):  # telescoping: prod(|x| + e) - prod |x|
        if e is not None:
            spread = (*size[:i], np.broadcast_to(e, size[i].shape), *size[i + 1 :])
            radius = radius + bounds.above(fmt, forward, spread, params, terms)
            size[i] = size[i] + e
    steps = n - 1 + max(terms - 1, 0)
    if steps == 0:
        return radius if bounds.some(es) else None
    full = bounds.above(fmt, forward, size, params, terms)
    exact = exactness.products(fmt, full, xs, es)
    if exact is not None and exact.all():
        return None
    tops = [max(1.0, float(np.max(s, initial=0, where=np.isfinite(s)))) for s in size]
    later = [math.prod(t for k, t in enumerate(tops) if k not in (i, j)) for i in range(n) for j in range(i)]
    radius = (
        radius
        + (steps * fmt.u_acc + bounds.shortened(fmt, steps, n)) * full
        + (terms * max(later) * fmt.eta if n > 1 else 0.0)
        + bounds.lost_subnormals(fmt, forward, size, params, terms)
    )
    radius = bounds.partial_overflow(fmt, forward, y, radius, full, size, params)
    if fmt.u != fmt.u_acc:
        # Half formats store each intermediate result and the sum. Products too: where nothing is contracted (an outer product, a label
        # of size 1) frameworks multiply elementwise, and the backward of that sums products that were stored.
        radius = radius + (n - 1) * (fmt.u * (full + radius) + fmt.eta)
        radius = radius + (fmt.store(y, radius) if terms > 1 or n == 1 else 0.0)
    if n > 2 and (math.prod(tops) * terms > fmt.max or any(np.isinf(s).any() for s in size)):
        # A product of some of the operands may overflow, and infinities may meet or not, in the order that a kernel chooses.
        contract = functools.partial(np.einsum, f"{','.join(inputs)}->{output}")
        radius = radius_by_order(certain(fmt, contract, xs, es, terms), y, radius)
    return exactness.without(radius, exact)


_EINSUM: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = (
    ("ij,jk->ik", ((2, 3), (3, 4))), ("ij,jk", ((2, 3), (3, 4))), ("i,i->", ((3,), (3,))), ("i,j->ij", ((2,), (3,))), ("ij->ji", ((2, 3),)),
    ("ii->i", ((3, 3),)), ("ii", ((3, 3),)), ("iij->j", ((2, 2, 3),)), ("ij->", ((2, 3),)), ("ij->i", ((2, 3),)),
    ("bij,bjk->bik", ((2, 2, 3), (2, 3, 2))),
    ("...ij,...jk->...ik", ((4, 2, 3), (3, 2))), ("...i,...i->...", ((2, 1, 3), (4, 3))), ("ij,j,i->", ((2, 3), (3,), (2,))),
    ("ij,jk,kl->il", ((2, 3), (3, 2), (2, 4))), ("ij,kj->", ((2, 3), (4, 3))), ("ijk,k->ji", ((2, 3, 4), (4,))), ("i...->...", ((2, 3),)),
    ("iij,kj->ik", ((2, 2, 3), (4, 3))), ("ij,ij->ij", ((0, 2), (0, 2))), ("ij,jk->ik", ((2, 0), (0, 2))), ("iii->i", ((2, 2, 2),)),
)  # fmt: skip


def _draw_einsum(rng: np.random.Generator) -> Any:
    subscripts, shapes = _EINSUM[int(rng.integers(len(_EINSUM)))]
    return tuple(rng.standard_normal(s) for s in shapes), {"subscripts": subscripts}


einsum = register(
    "einsum", _einsum,
    jvp=_einsum_jvp,
    vjp=_einsum_vjp,
    rounding=_einsum_rounding,
    torch=lambda torch, *xs, subscripts="": torch.einsum(subscripts, *xs),
    domain=sampled(_draw_einsum),
    broadcasts=True,
    sums=True,
    complex_rules=HOLOMORPHIC, by_parts=by_parts.contracted,
)  # fmt: skip
