"""Derivatives inside programs, rules of a program's own, and values whose derivative is stopped."""

from __future__ import annotations

from tests.programs.idioms.registry import idiom
from tests.programs.scope import Scope, is_array


@idiom(4)
def inner_derivative(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    b = s.like(a)
    return [f"{v} = " + s.choose(
        f"rg.grad(lambda t: np.sum(t**3))({a})", f"rg.grad(lambda t: np.sum(t * t * {b}))({a})",
        f"rg.vjp(lambda t: np.sin(t) * {b}, {a})[1]({a})[0]",
        f"rg.jvp(lambda t: t**2 * {b}, ({a},), ({a},))[1]", f"rg.jvp(np.tanh, ({a},), ({c} * {a},))[1]",
        f"rg.value_and_grad(lambda t: np.sum(t**2))({a})[0]",
        f"rg.hvp(lambda t: np.sum(t**3) * np.sum({b}), ({a},), ({a},))[0]", f"rg.jacrev(lambda t: np.sum(t**2))({a})",
        f"rg.jacfwd(lambda t: np.sum(t**2))({a})",
        f"rg.grad(lambda p: np.sum(p['t'] * p['u']))({{'t': {a}, 'u': {b} * 2}})['t'] * {c}",
        f"rg.vjp(lambda t, u: t * u, {a}, {a})[1]({a})[1]",
        f"rg.grad(lambda t: np.sum(rg.grad(lambda u: np.sum(u**4 * 0.1))(t)))({a})",
        f"rg.grad(lambda t, u: np.sum(t * u**2), 1)({a}, {b} * 2)",
    )]  # fmt: skip


@idiom(2)
def inner_derivative_with_writes(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    body = s.choose(
        f"    t *= {c}",
        "    total = 0.0\n    for k in range(2):\n        total += np.sum(t)\n    t = t + total",
        f"    t = t + {a}\n    t += t",
        f"    u = t\n    u *= {a}",
    )
    return [f"def inner(t):\n{body}\n    return np.sum(t * t)", f"{v} = rg.grad(inner)({a} * 1)"]


@idiom(2)
def pullback_used_later(s: Scope) -> list[str]:
    a, v, value = s.pick(is_array), s.fresh(), s.fresh()
    return [f"{value}, pullback = rg.vjp(lambda t: t * t * {a}, {a} * 1)", s.choose(f"{a} *= 0.5", f"{value} *= 2", f"{a} = {a} + 1"),
            f"{v} = pullback({value})[0]"]  # fmt: skip


@idiom(2)
def rule_of_its_own(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    return s.random.choice((
        ["square = rg.custom_vjp(lambda t: t * t)", "square.defvjp(lambda t: (t * t, t), lambda t, t_bar: (2 * t * t_bar,))",
         f"{v} = square({a}) * {c}"],
        ["cube = rg.custom_jvp(lambda t: t**3)", "cube.defjvp(lambda p, d: (p[0]**3, 3 * p[0]**2 * d[0]))", f"{v} = cube({a} * {c})"],
        ["pair = rg.custom_vjp(lambda t, u: {'p': t * u, 'q': t})",
         "pair.defvjp(lambda t, u: ({'p': t * u, 'q': t}, (t, u)), lambda r, d: (d['p'] * r[1] + d['q'], np.sum(d['p'] * r[0])))",
         f"{v} = pair({a}, np.sum({a}))['p'] * {c}"],
    ))  # fmt: skip


@idiom(2)
def stopped(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    return [f"{v} = " + s.choose(
        f"{a} * stop_gradient({a})", f"{a} - stop_gradient(np.max({a}))", f"stop_gradient([{a}, {a} * 2])[1] * {a}",
        f"{a} * {c} + stop_gradient({a} * 2) * 0.5",
    )]  # fmt: skip
