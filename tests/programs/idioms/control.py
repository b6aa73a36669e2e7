"""Loops, branches, comprehensions, closures, generators, default arguments, exceptions."""

from __future__ import annotations

from tests.programs.idioms.registry import idiom
from tests.programs.scope import Scope, is_array, is_vector


@idiom(5)
def loop(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    step = s.choose(f"{v} = {v} * {c} + {a}", f"{v} = np.tanh({v} + {a} * k)", f"{v} += {a} * (k + 1)", f"{v} *= {c}",
        f"{v} = {v} - 0.1 * {v} * {v}",
                    f"{v} = {v} + {a} if k % 2 else {v} * {c}")  # fmt: skip
    start = s.choose(f"{a} * {c}", f"{a}.copy()", f"{a}", "0.0", f"{a} + 0")
    return [f"{v} = {start}\nfor k in range(3):\n    {step}"]


@idiom(2)
def while_loop(s: Scope) -> list[str]:
    a, v = s.pick(), s.fresh()
    return [
        f"{v}, steps = {a}, 0\nwhile np.max(np.abs({v})) > 0.3 and steps < 4:\n    {v}, steps = {v} * {s.choose('0.5', '0.7')}, steps + 1"
    ]


@idiom(3)
def comprehension(s: Scope) -> list[str]:
    a, v, c = s.pick(is_array), s.fresh(), s.number()
    return [f"{v} = " + s.choose(
        f"sum(t * t for t in {a})", f"np.stack([t * {c} for t in {a}])", f"sum([t for t in {a} if np.sum(t) > 0], 0.0 * {a}[0])",
        f"np.concatenate([[t, t * 2] for t in {a}])[:3]", f"sum(k * t for k, t in enumerate({a}))",
        f"sum(p * q for p, q in zip({a}, {a}[::-1]))",
        f"list(map(np.sin, {a}))[0]", f"{{k: t * {c} for k, t in enumerate({a})}}[1]", f"[t for t in reversed({a})][0] * {c}",
        f"max({a}.ravel())",
        f"np.stack(sorted({a}.ravel())[:2])", f"functools.reduce(lambda p, q: p + q * q, {a})",
        f"np.fromiter((k for k in range(len({a}))), float) @ {a}",
        f"sum(list({a}))", f"np.vectorize(lambda t: t)({c}) * {a}", f"sum({a})",
    )]  # fmt: skip


@idiom(4)
def inner_function(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    b = s.like(a)
    return s.random.choice((
        [f"def inner(t, scale={c}):\n    return t * scale + {b}", f"{v} = inner({a}) * inner({a}, 2.0)"],
        ["def inner(t, seen=[]):\n    seen.append(t)\n    return sum(seen)", f"{v} = inner({a}) + inner({b}) * {c}"],
        [f"def inner(t, by={a}):\n    return t * by", f"{v} = inner({b}) + inner({c})"],
        [f"def inner(t):\n    t *= {c}\n    return t", f"{v} = inner({a}) + {a}"],
        [f"def inner(t):\n    t = t * {c}\n    t += 1\n    return t", f"{v} = inner({a}) * {a}"],
        [f"inner = lambda t: t * {b} + {c}", f"{v} = inner(inner({a}))"],
        [f"inner = functools.partial(np.multiply, {a})", f"{v} = inner({b}) + {c}"],
        [f"functions = [lambda t, k=k: t * k + {a} for k in range(3)]", f"{v} = sum(g({b}) for g in functions)"],
        ["def inner(*args, **options):\n    return args[0] * options['by'] + args[-1]", f"{v} = inner({a}, {b}, by={c})"],
        [f"def inner(t, n):\n    return t if n == 0 else inner(t * {c}, n - 1) + {b}", f"{v} = inner({a}, 2)"],
    ))  # fmt: skip


@idiom(3)
def closure_over_what_changes(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    return s.random.choice((
        [f"{v} = {a} * {c}", f"inner = lambda t: t * {v}", f"{v} *= 2", f"{s.fresh()} = inner({a})"],
        [f"{v} = {a} * {c}", f"later = [lambda: {v} * 2]", f"{v} = {v} + 1", f"{s.fresh()} = later[0]()"],
        [f"class Box:\n    content = {a}", f"Box.content = Box.content * {c}", f"{v} = Box.content + {a}"],
        [f"box = dataclasses.make_dataclass('Box', ['value'])({a})", f"box.value *= {c}", f"{v} = box.value + {a}"],
    ))  # fmt: skip


@idiom(3)
def generator_function(s: Scope) -> list[str]:
    a, v, c = s.pick(is_array), s.fresh(), s.number()
    body = s.choose(
        f"yield t * {c}",
        "total = total + t\n        yield total",
        "total += t\n        yield total",
        f"yield t\n        yield t * {c}",
    )
    use = s.choose(
        "sum(inner())",
        "list(inner())[-1]",
        "np.stack(list(inner())).sum(0)",
        "next(inner()) * 2",
        "functools.reduce(np.add, inner())",
    )
    return [f"def inner():\n    total = {a}[0] * 0\n    for t in {a}:\n        {body}", f"{v} = {use}"]


@idiom(3)
def exceptions(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    return [s.random.choice((
        f"try:\n    {v} = {a}[7] * 2\nexcept IndexError:\n    {v} = {a} * {c}",
        f"try:\n    {v} = {a}.missing\nexcept AttributeError:\n    {v} = {a} * {c}",
        f"try:\n    {v} = {a} @ np.ones(17)\nexcept ValueError:\n    {v} = {a} + {c}",
        f"try:\n    {v} = len({a}) * {a}\nexcept TypeError:\n    {v} = {a} * {c}",
        f"try:\n    {v} = {a}.reshape(5, 7)\nexcept ValueError:\n    {v} = {a} * {c}",
        f"try:\n    {v} = sum({a})\nexcept TypeError:\n    {v} = {a} * {c}",
        f"with contextlib.suppress(Exception):\n    {v} = {a} * {c}\n    raise ValueError",
        f"try:\n    {v} = {a} / 0.0 if False else {a} * {c}\nfinally:\n    pass",
        f"with np.errstate(divide='ignore'):\n    {v} = {a} * {c}",
        f"try:\n    {v} = np.sum({a}, axis=5)\nexcept ValueError:\n    {v} = np.sum({a}) * {c}",
        f"try:\n    {v} = {a} + [1] * 9\nexcept ValueError:\n    {v} = {a} - {c}",
    ))]  # fmt: skip


@idiom(3)
def recurrence(s: Scope) -> list[str]:
    a, v, c = s.pick(is_vector), s.fresh(), s.number()
    return s.random.choice((
        [f"states = [{a}[0]]", f"for t in {a}[1:]:\n    states.append(np.tanh(states[-1] * {c} + t))", f"{v} = np.stack(states)"],
        [f"state = {{'h': {a}[0] * 0, 'n': 0}}", f"for t in {a}:\n    state['h'] += t * {c}\n    state['n'] += 1",
         f"{v} = state['h'] / state['n']"],
        [f"state = State({a}[0], {a} * 0)", f"for t in {a}:\n    state.b += t\n    state = State(state.a * {c} + t, state.b)",
         f"{v} = state.a * state.b"],
        [f"p, q = {a}[0], {a}[1]", f"for _ in range(2):\n    p, q = q, p * {c} + q", f"{v} = p - q"],
        [f"queue = collections.deque({a}, maxlen=2)", f"queue.append({a}[0] * {c})", f"{v} = queue[0] * queue[1]"],
        ["table = collections.defaultdict(float)", f"for k, t in enumerate({a}):\n    table[k % 2] += t * {c}",
         f"{v} = table[0] * table[1]"],
    ))  # fmt: skip
