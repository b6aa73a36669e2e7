"""Arrays made of lists, functions of lists, buffers made like arrays, scattered updates, and results written into buffers."""

from __future__ import annotations

from tests.programs.idioms.registry import idiom
from tests.programs.scope import Scope, is_array, is_vector


def number_of(s: Scope) -> str:
    """An expression of one number, which may depend on the arguments."""
    a, b, c = s.pick(is_vector), s.pick(), s.number()
    return s.choose(
        f"{a}[0]",
        f"{a}[-1]",
        f"{a}[-1] * {c}",
        f"np.sin({a}[0])",
        f"np.sum({b})",
        f"{a}[0] * {a}[1]",
        f"np.float64({a}[0])",
        c,
        "1",
    )


@idiom(6)
def array_of_a_list(s: Scope) -> list[str]:
    a, v, c = s.pick(is_vector), s.fresh(), s.number()
    p, q, r = number_of(s), number_of(s), number_of(s)
    make = s.choose("np.array", "np.array", "np.asarray", "np.asanyarray", "np.ascontiguousarray")
    listed = s.choose(
        f"[{p}, {q}, {r}]",
        f"({p}, {q})",
        f"[[{p}, {q}], [{r}, {c}]]",
        f"[{a}, {a} * {c}]",
        f"[t * {c} for t in {a}]",
        f"[*{a}, {p}]",
        f"[{a}, [{c}] * {a}.size]",
        f"[[t * u for u in {a}[:2]] for t in {a}[:2]]",
        f"[{p}, {q}], dtype=np.float64",
        f"{a}",
    )
    after = s.choose("", "", ".T", " * 2", ".sum(axis=0)", f" + {p}")
    return [f"{v} = {make}({listed}){after}"]


@idiom(6)
def function_of_a_list(s: Scope) -> list[str]:
    a, v, c = s.pick(is_vector), s.fresh(), s.number()
    p, q, r = number_of(s), number_of(s), number_of(s)
    listed = s.choose(f"[{p}, {q}, {r}]", f"[t * t for t in {a}]", f"({p}, {q})", f"[{p}, {c}, {q}]")
    return [
        s.choose(
            f"{v} = np.{s.choose('sum', 'mean', 'max', 'min', 'prod', 'var', 'cumsum', 'diag', 'ravel', 'linalg.norm')}({listed})",
            f"terms = []\nfor t in {a}:\n    terms.append(t * {p})\n{v} = np.{s.choose('sum', 'mean', 'max', 'stack', 'array')}(terms)",
            f"{v} = np.dot([{p}, {q}], [{r}, {c}])",
            f"{v} = np.concatenate([[{p}], [{q}, {c}], {a}])",
            f"{v} = np.stack([[{p}, {q}], [{r}, {c}]])",
            f"{v} = np.{s.choose('sin', 'tanh', 'square')}([{p}, {q}])",
            f"{v} = np.sum([{a}, {a} * {p}], axis={s.choose('0', '1')})",
            f"{v} = np.maximum([{p}, {q}], [{r}, {c}])",
            f"{v} = np.full({s.choose('2', '(2, 2)')}, {p})",
            f"{v} = np.append({a}, [{p}])",
        )
    ]


@idiom(6)
def buffer_like_an_array(s: Scope) -> list[str]:
    a, v, c = s.pick(is_vector), s.fresh(), s.number()
    p = number_of(s)
    made = s.choose(
        f"np.zeros({a}.size, {a}.dtype, like={a})",
        f"np.ones({a}.size, {a}.dtype, like={a})",
        f"np.full({a}.size, {c}, {a}.dtype, like={a})",
        f"np.zeros_like({p} * {a}[0], shape={a}.size)",
        f"np.array([{c}] * {a}.size, {a}.dtype, like={a})",
        f"np.arange({a}.size, dtype={a}.dtype, like={a})",
    )
    fill = s.choose(
        f"{v}[0] = {p}",
        f"{v}[:] = {a}\n{v}[1:] *= {p}",
        f"for k in range({a}.size):\n    {v}[k] += {a}[k] * {c}",
        f"for k in range(1, {a}.size):\n    {v}[k] = {v}[k - 1] * {c} + {a}[k]",
        f"{v}[{a} > 0.4] = {p}",
        f"{v}[::2] -= {a}[::2]",
    )
    return [f"{v} = {made}\n{fill}"]


@idiom(5)
def scattered_update(s: Scope) -> list[str]:
    a, b, v = s.pick(is_vector), s.pick(is_vector), s.fresh()
    p, c = number_of(s), s.number()
    name = s.choose("add", "add", "subtract", "multiply", "maximum", "minimum")
    index = s.choose("[0, 1, 0]", "np.array([1, 1, 0])", "[-1, 0, -1]", "[1, 1, 1]")
    value = s.choose(p, f"[{p}, {c}, {c}]" if name == "add" else p, f"{b}[0] * np.array([1.0, 2.0, 0.5])", c)
    return [f"{v} = {a} * {c}\nnp.{name}.at({v}, {index}, {value})"]


@idiom(5)
def result_into_a_buffer(s: Scope) -> list[str]:
    a, v, c = s.pick(is_array), s.fresh(), s.number()
    return [
        f"{v} = np.zeros_like({a})\n"
        + s.choose(
            f"np.multiply({a}, {c}, out={v})",
            f"np.cumsum({a}, axis=0, out={v})",
            f"np.clip({a}, 0.1, {c}, out={v})",
            f"np.divide({a}, {c}, out={v}, where={a} > 0.3)",
            f"np.copyto({v}, {a})\nnp.sin({v}, out={v})",
            f"np.sum({a}, axis=0, out={v}[0, ...])",
            f"np.round({a}, 1, out={v})\n{v} += {a}",
            f"np.add.accumulate({a}, axis=0, out={v})",
        )
    ]
