"""In-place operators and writes through keys, on arrays and scalars that have other names or are kept in lists."""

from __future__ import annotations

from tests.programs.idioms.registry import idiom
from tests.programs.scope import Scope, is_array, is_real, is_scalar, is_vector


def update(s: Scope, a: str, within: bool = True) -> str:
    """A statement that writes to ``a``, in place where it is an array."""
    b, c = s.like(a), s.number()
    key = (
        s.choose("[...]", "[0]", "[-1]", "[1:]", "[:1]", "[::2]", "[:]")
        if within and is_array(s.value(a))
        else ""
    )
    return s.choose(
        f"{a}{key} += {c}", f"{a}{key} *= {c}", f"{a} -= {b} * {c}", f"{a} += {b}", f"{a} *= {b}", f"{a} /= {b} * {b} + 1",
        f"{a}{key} **= 2",
        f"{a}{key} -= {c}", f"{a}{key} /= {c}", f"{a} += {a}", f"np.multiply({a}, {c}, out={a})", f"np.add({a}, {b}, out={a})",
        f"{a} *= {a} > 0.2", f"{a} += np.arange({a}.size).reshape({a}.shape)", f"{a} %= {c}", f"{a} += 1", f"{a} *= np.float32({c})",
    )  # fmt: skip


@idiom(6)
def in_place(s: Scope) -> list[str]:
    return [update(s, s.pick())]


@idiom(7)
def alias_then_write(s: Scope) -> list[str]:
    a, v = s.pick(), s.fresh()
    written = s.choose(a, v)
    s.values[v] = s.value(a)
    return [f"{v} = {a}", update(s, written)]


@idiom(5)
def running_sum_in_a_list(s: Scope) -> list[str]:
    a, total, v = s.pick(is_array), s.fresh(), s.fresh()
    start = s.choose(
        "0.0",
        f"{a}[0] * 0.0",
        f"{a}[0]",
        "np.float64(0)",
        f"np.zeros_like({a}[0])",
        f"np.zeros_like({a}[0]) + {a}[0]",
    )
    step = s.choose("+= t", "+= t * t", "*= t * 0.7", f"-= t * {s.number()}", f"+= {s.number()} * t")
    kept = s.choose(total, total, f"{total} * 2", f"({total}, t)[0]")
    return [
        f"{total}, kept = {start}, []\nfor t in {a}:\n    {total} {step}\n    kept.append({kept})",
        f"{v} = " + s.choose("kept[0] * kept[-1]", "sum(kept)", "np.stack(kept)", "kept[0] + 2 * kept[1]"),
    ]  # fmt: skip


@idiom(4)
def scalar_rebinds(s: Scope) -> list[str]:
    a, v, u = s.pick(is_scalar), s.fresh(), s.fresh()
    return [f"{v} = {u} = {a}", f"{v} {s.choose('+=', '*=', '-=', '/=')} {s.number()}", f"{u} = {u} * {v}"]


@idiom(8)
def write_by_key(s: Scope) -> list[str]:
    a = s.pick(is_array)
    b, c = s.pick(is_real), s.number()
    v = s.fresh()
    key = s.choose(
        "[0]",
        "[-1]",
        "[1:]",
        "[..., 0]",
        "[..., 1:]",
        f"[{a} > 0.4]",
        "[[0, 1]]",
        "[:, 0]",
        "[0, 1]",
        "[np.array([1, 0])]",
        "[::-1]",
    )
    value = s.choose(
        c,
        b,
        f"{a}[0]",
        f"{b} * {c}",
        f"{a}[..., ::-1]",
        "0.0",
        "2",
        f"np.sum({b})",
        f"np.float32({c})",
        f"{a}{key} * {c}",
    )
    if ">" in key and value == f"{a}[..., ::-1]":
        value += ".copy()"  # NumPy reads through a mask what it has written before
    copied = [f"{v} = {a}.copy()"] if s.choose("", "copied") else []
    return [*copied, f"{v if copied else a}{key} = {value}"]


@idiom(4)
def alias_in_a_container(s: Scope) -> list[str]:
    a, v = s.pick(), s.fresh()
    holder = s.choose(
        f"[{a}, {a}]", f"({a}, {a} * 2)", f"dict(enumerate([{a}, {a}]))", f"[{a}] * 2", f"[{a}, {a}.copy()]"
    )
    return [f"held = {holder}", update(s, a), f"{v} = held[0] + held[1]"]


@idiom(3)
def entry_of_a_container(s: Scope) -> list[str]:
    a, v = s.pick(), s.fresh()
    b = s.like(a)
    operator = s.choose("+=", "*=", "-=")
    return s.random.choice((
        [f"held = [{a}, {b}]", f"held[0] {operator} {s.number()}", f"{v} = held[0] * held[1]"],
        [f"held = {{'p': {a}, 'q': {b}}}", f"held['p'] {operator} {b}", "held['q'] = held['p'] + 1", f"{v} = held['p'] - held['q'] * {a}"],
        [f"held = State({a}, {b})", f"held.a {operator} {s.number()}", f"{v} = held.a + held.b * {a}"],
        [f"held = Point({a}, {b})._replace(a={a} * 2)", f"{v} = held.a * held.b"],
        [f"held = [{a}]", f"held += [{b}]", f"held[-1] {operator} 0.5", f"{v} = held[0] + {b}"],
    ))  # fmt: skip


@idiom(3)
def out_argument(s: Scope) -> list[str]:
    a = s.pick(is_array)
    b, v = s.like(a), s.fresh()
    ufunc = s.choose("add", "multiply", "subtract", "maximum")
    return [
        f"{v} = {a}.copy()",
        f"np.{ufunc}({a}, {b}, out={v})",
        f"np.{s.choose('sin', 'tanh', 'square')}({v}, out={v})",
    ]


@idiom(1)
def writes_through_methods(s: Scope) -> list[str]:
    a, v = s.pick(is_vector), s.fresh()
    return [f"{v} = {a} * {s.number()}", s.choose(
        f"{v}.sort()", f"{v}.fill({a}[0])", f"np.copyto({v}, {a})", f"np.put({v}, [0], {s.number()})", f"np.fill_diagonal({v}[None], 0.5)",
        f"np.place({v}, {v} > 0, [0.5])", f"np.putmask({v}, {v} > 0, {a})", f"{v}.put(0, {a}[1])", f"np.add.at({v}, [0, 0], {a}[:2])",
        f"{v}.flat[0] = {a}[1]", f"{v}.partition(1)", f"{v}[...] = {a}", f"{v}.itemset(0, 1.0)", f"{v}.resize(2)",
        f"np.clip({v}, 0, 1, out={v})",
    )]  # fmt: skip


@idiom(3)
def swapped(s: Scope) -> list[str]:
    a = s.pick()
    b = s.like(a)
    v, u = s.fresh(), s.fresh()
    return [f"{v}, {u} = {b}, {a}", update(s, a), f"{v}, {u} = {u}, {v}"]
