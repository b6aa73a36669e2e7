"""Expressions: ufuncs, operators, mixed dtypes, selections."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.programs.idioms.registry import idiom
from tests.programs.scope import Scope, is_array, is_real, is_scalar


@idiom(10)
def smooth_function(s: Scope) -> list[str]:
    a, v = s.pick(), s.fresh()
    return [f"{v} = " + s.choose(
        f"np.sin({a})", f"np.cos({a})", f"np.tanh({a})", f"np.exp({a} * 0.3)", f"np.sqrt({a} * {a} + 0.5)", f"np.log({a}**2 + 1)",
        f"np.arctan({a})", f"1 / (1 + {a} * {a})", f"1 / (1 + np.exp(-{a}))", f"{a}**2", f"{a}**3 * 0.2", f"2.0**{a}", f"-{a}", f"+{a}",
        f"np.square({a})", f"np.cbrt({a} + 4)", f"np.expm1({a} * 0.2)", f"np.log1p({a} * {a})", f"np.sinh({a} * 0.4)", f"np.arcsinh({a})",
        f"np.reciprocal({a} * {a} + 1)", f"abs({a})", f"np.abs({a}) * {s.number()}", f"np.sinc({a})", f"np.logaddexp({a}, {s.number()})",
    )]  # fmt: skip


@idiom(12)
def two_operands(s: Scope) -> list[str]:
    a = s.pick()
    b, v = s.like(a), s.fresh()
    return [f"{v} = " + s.choose(
        f"{a} + {b}", f"{a} - {b}", f"{a} * {b}", f"{b} / ({a} * {a} + 1)", f"np.maximum({a}, {b})", f"np.minimum({a}, {b} * 0.9)",
        f"np.hypot({a}, {b})", f"np.arctan2({a}, {b})", f"np.logaddexp({a}, {b})", f"({a} * {a} + 0.5) ** ({b} * 0.4)",
        f"np.multiply({a}, {b})",
        f"np.where({a} > {b}, {a}, {b} * {b})", f"np.where({a} < 0.4, {b}, {s.number()})", f"{s.number()} * {a} - {b}",
        f"np.copysign({a}, {b} - 0.0317)",  # copysign(0, 0) is the kink of both, and of x in copysign(x, x) of neither
        f"np.fmax({a}, {b})", f"{a} @ {b}", f"np.dot({a}, {b})", f"np.float64({s.number()}) * {a} + {b}", f"np.subtract({a}, {b})",
    )]  # fmt: skip


@idiom(5)
def number_beside(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    return [f"{v} = " + s.choose(
        f"{c} * {a}", f"{a} - {c}", f"{c} - {a}", f"{a} / {c}", f"{c} / ({a} * {a} + 1)", f"{a} * 3", f"2 - {a}", f"{a} * True",
        f"np.float32({c}) * {a}", f"{a} * np.int64(2)", f"np.arange({a}.size).reshape({a}.shape) * {a}", f"{a} % {c}", f"np.fmod({a}, {c})",
        f"np.clip({a}, -{c}, {c})", f"{a}.clip(-{c}, 1.5003)", f"np.maximum({a}, 0)", f"np.minimum({a}, {c})", f"divmod({a}, {c})[1]",
        f"np.power({a} * {a} + 1, {c})", f"round({c}, 1) * {a}", f"{a} // {c} + {a}", f"np.round({a}, 1) * {a}", f"np.sign({a}) * {a}",
    )]  # fmt: skip


@idiom(5)
def other_dtype(s: Scope) -> list[str]:
    a, v = s.pick(), s.fresh()
    ones = f"np.ones({a}.shape, np.float32)"
    return [f"{v} = " + s.choose(
        f"{a}.astype(np.float32)", f"{a}.astype(np.float64) * {s.number()}", f"{a} * {ones}", f"{a} + np.float32({s.number()})",
        f"{a} * np.ones({a}.shape, int)", f"np.add({a}, {s.number()}, dtype=np.float64)", f"np.sum({a}, dtype=np.float64)",
        f"{a} * np.array(2.0, np.float32)", f"{a} * np.array({s.number()})", f"np.float64(2) * {a}", f"{a} * ({a} > 0)",
        f"np.mean({a}, dtype=np.float64)", f"{a}.astype({a}.dtype)", f"np.where(True, {a}, np.float32(0))",
    )]  # fmt: skip


def spread_out(x: Any, axis: str) -> bool:
    """Whether no standard deviation is near 0, where it has a kink and its slope is that of rounding errors."""
    along = {", axis=0": 0, ", axis=-1": -1, ", axis=-1, keepdims=True": -1}.get(axis)
    return x.ndim > 0 and bool(np.min(np.std(x, axis=along)) > 0.05)


@idiom(6)
def reduction(s: Scope) -> list[str]:
    a, v = s.pick(), s.fresh()
    axis = s.choose("", ", axis=0", ", axis=-1", ", axis=-1, keepdims=True", ", keepdims=True", ", axis=None")
    name = s.choose(
        "sum", "mean", "max", "min", "prod", "std", "var", "sum", "sum", "ptp", "median", "amax", "nansum"
    )
    if name == "std" and not spread_out(s.value(a), axis):
        name = "var"
    method = name in ("sum", "mean", "max", "min", "prod", "std", "var") and s.choose("", "method")
    return [f"{v} = {a}.{name}({axis[2:]})" if method else f"{v} = np.{name}({a}{axis})"]


@idiom(4)
def scan_or_order(s: Scope) -> list[str]:
    a, v = s.pick(is_array), s.fresh()
    return [f"{v} = " + s.choose(
        f"np.cumsum({a})", f"np.cumsum({a}, axis=0)", f"{a}.cumsum()", f"np.cumprod({a})", f"np.sort({a})", f"np.sort({a}, axis=0)",
        f"np.diff({a})", f"np.flip({a})", f"np.roll({a}, 1)", f"{a}[np.argsort({a}, axis=None)] if {a}.ndim == 1 else {a}",
        f"np.take({a}, np.argmax({a}))", f"np.partition({a}, 1)", f"np.sort({a})[::-1]", f"np.gradient({a})", f"np.trapezoid({a})",
        f"np.percentile({a}, 30)", f"np.quantile({a}, 0.4)", f"np.linalg.norm({a})", f"np.trim_zeros({a})", f"np.ediff1d({a})",
        f"np.convolve({a}, [0.5, {s.number()}])", f"np.interp(0.3, [0.0, 1.0, 2.0], {a})", f"np.cross({a}, {a}[::-1])",
    )]  # fmt: skip


@idiom(5)
def joining(s: Scope) -> list[str]:
    a = s.pick(is_array)
    shape = s.value(a).shape
    b = s.pick(lambda x: is_array(x) and x.shape == shape)
    v = s.fresh()
    return [f"{v} = " + s.choose(
        f"np.concatenate([{a}, {b}])[:3]", f"np.stack([{a}, {b}])[0]", f"np.stack([{a}, {b}], axis=-1).sum(-1)",
        f"np.vstack([{a}, {b}])[-1]",
        f"np.hstack([{a}, {b}])[1:4]", f"np.append({a}, {b})[-3:]", f"np.concatenate([{a}, np.ones_like({b})])[-2:]",
        f"np.tile({a}, 2)[..., 1:3]",
        f"np.repeat({a}, 2)[:4]", f"np.pad({a}, 1)[..., :-1].sum(0)", f"np.block([{a}, {b}])[..., 1:4]", f"np.outer({a}, {b})[0]",
        f"np.insert({a}, 1, {s.number()})[:3]", f"np.delete({a}, 0)", f"np.kron({a}, {b})[..., :3]", f"np.array_split({a}, 2)[0]",
        f"np.column_stack([{a}, {b}])[0]", f"np.select([{a} > 0.5, {a} < 0], [{b}, {a} * {b}], 0.25)",
        f"np.choose([0] * len({a}), [{a}, {b}])",
        f"np.full_like({a}, {b}.ravel()[0])", f"np.zeros_like({a}) + {b}", f"np.nan_to_num({a}) * {b}", f"np.inner({a}, {b})",
        f"np.vdot({a}, {b})",
    )]  # fmt: skip


@idiom(4)
def product(s: Scope) -> list[str]:
    a = s.pick(is_array)
    n = s.value(a).shape[-1]
    constant, v = s.plain((n, 2)), s.fresh()
    ndim = s.value(a).ndim
    if ndim == 1:
        return [f"{v} = " + s.choose(
            f"{a} @ {constant}", f"np.einsum('i,i->i', {a}, {a})", f"np.einsum('i,ij->j', {a}, {constant})", f"np.dot({a}, {constant})",
            f"np.tensordot({a}, {constant}, 1)", f"np.einsum('i,j->ij', {a}, {a})[0]", f"np.matmul({a}, {constant})", f"{constant}.T @ {a}",
        )]  # fmt: skip
    return [f"{v} = " + s.choose(
        f"{a} @ {constant}", f"np.einsum('...i,ij->...j', {a}, {constant})", f"np.einsum('ij,ij->j', {a}, {a})", f"{a} @ {a}.T",
        f"np.einsum('ij,kj->ik', {a}, {a})", f"np.tensordot({a}, {a}, ([0], [0]))", f"np.trace({a} @ {a}.T)",
        f"np.einsum('ii->i', {a} @ {a}.T)",
        f"np.linalg.solve({a} @ {a}.T + 2 * np.eye({a}.shape[0]), {a})", f"np.linalg.inv({a} @ {a}.T + np.eye({a}.shape[0]))[0]",
        f"np.linalg.det({a} @ {a}.T + np.eye({a}.shape[0]))", f"np.triu({a})[:2]", f"np.tril({a}, 1).sum(0)",
        f"np.linalg.multi_dot([{a}, {a}.T, {a}])",
    )]  # fmt: skip


@idiom(2)
def scalars_in_python(s: Scope) -> list[str]:
    a, v = s.pick(is_scalar), s.fresh()
    b = s.pick(is_scalar)
    return [f"{v} = " + s.choose(
        f"max({a}, {b})", f"min({a}, {b}, 0.8)", f"sum([{a}, {b}, {a}])", f"{a} if {a} > {b} else {b} * {b}", f"pow({a}, 2)",
        f"{a}.sum() + {b}",
        f"np.stack([{a}, {b}])", f"sum(t * t for t in ({a}, {b}))", f"{a} * {b}",
        f"np.hstack([{a}, {b}, 1.0])", f"functools.reduce(lambda p, q: p * q, [{a}, {b}, 0.5])", f"sorted([{a}, {b}])[0]",
        f"[{a}, {b}][int({a} > {b})]", f"dict(k={a})['k'] + {b}",
    )]  # fmt: skip


@idiom(2)
def zero_dimensional(s: Scope) -> list[str]:
    a, v = s.pick(is_real), s.fresh()
    return [f"{v} = " + s.choose(
        f"np.sum({a})[...]", f"{a}.reshape(-1)[:1].reshape(())", f"np.squeeze({a}.ravel()[:1])", f"{a}.mean()[()]",
        f"np.atleast_1d({a})[0]",
        f"np.sum({a})[None]", f"np.expand_dims({a}, 0)[0]", f"np.sum({a}, keepdims=True).reshape(())", f"np.ravel({a})[0]",
        f"np.max({a})[np.newaxis] * 2",
    )]  # fmt: skip
