"""Plain arrays that a program fills, uses and changes again: buffers, schedules, indices, masks, random numbers."""

from __future__ import annotations

from tests.programs.idioms.registry import idiom
from tests.programs.scope import Scope, is_array, is_vector


@idiom(7)
def buffer_refilled(s: Scope) -> list[str]:
    a, v, w = s.pick(is_array), s.fresh(), s.fresh("w")
    term = s.choose(f"{a} * {w}", f"{a}**2 * {w}", f"np.sin({w} * {a})", f"np.maximum({a}, {w})", f"np.where({w} > 1, {a}, {w})",
        f"({a} + {w})**2",
                    f"{a} / ({w} + 1)", f"np.hypot({a}, {w})", f"{a} @ {w}.T", f"np.sum({a} * {w})")  # fmt: skip
    fill = s.choose(
        f"{w}[:] = k + 1",
        f"{w}[...] = 0.5 * k",
        f"{w} *= 0.5",
        f"{w} += k",
        f"{w}.fill(k)",
        f"{w}[0] = k",
        f"np.add({w}, 1, out={w})",
    )
    return [
        f"{w} = np.ones({a}.shape)",
        f"{v} = 0.0",
        f"for k in range(3):\n    {fill}\n    {v} = {v} + {term}",
    ]


@idiom(4)
def schedule_changed_after_use(s: Scope) -> list[str]:
    a, v, w = s.pick(is_array), s.fresh(), s.fresh("w")
    use = s.choose(f"{a} * {w}", f"{w} * {a}", f"{a} ** {w}" if s.choose("", "p") else f"{w} - {a} * {w}",
        f"np.einsum('...i,...i->...', {a}, {w})",
                   f"np.where({w} > 0.8, {a}, 0)", f"np.dot({w}, {a}.T)", f"{a} + {w} * {a}", f"np.multiply({a}, {w})",
                   f"{a} / {w}")  # fmt: skip
    change = s.choose(
        f"{w} *= 0.5",
        f"{w}[:] = 0",
        f"{w} += 1",
        f"{w}[0] = 9.0",
        f"np.negative({w}, out={w})",
        f"{w}.sort()",
        f"{w}[...] = {w}[::-1]",
    )
    return [f"{w} = np.linspace(0.5, 1.5, {a}.size).reshape({a}.shape)", f"{v} = {use}", change]


@idiom(4)
def index_changed_after_use(s: Scope) -> list[str]:
    a, v, i = s.pick(is_array), s.fresh(), s.fresh("i")
    use = s.choose(
        f"{a}[{i}]",
        f"np.take({a}, {i})",
        f"{a}[{i}] * {a}[{i}]",
        f"{a}[..., {i}]",
        f"np.take({a}, {i}, axis=0)",
        f"np.bincount({i}, {a}[:2])",
    )
    change = s.choose(f"{i}[:] = 0", f"{i} += 1", f"{i}[0] = 1", f"{i} -= {i}", f"{i}.sort()")
    return [f"{i} = np.array([1, 0])", f"{v} = {use}", change]


@idiom(4)
def mask_changed_after_use(s: Scope) -> list[str]:
    a, v, m = s.pick(is_array), s.fresh(), s.fresh("m")
    made = s.choose(
        f"{a} > 0.3",
        f"np.arange({a}.size).reshape({a}.shape) % 2 == 0",
        f"np.ones({a}.shape, bool)",
        f"np.logical_not({a} < 0.5)",
    )
    use = s.choose(f"np.where({m}, {a}, 0.5)", f"{a} * {m}", f"np.sum({a}, where={m})", f"np.where({m}, {a} * 2, {a}**2)",
        f"{a}[{m}].sum()",
                   f"np.select([{m}], [{a}], 0.0)", f"np.compress({m}.ravel(), {a})", f"np.mean({a} * {m})")  # fmt: skip
    change = s.choose(
        f"{m}[:] = False",
        f"{m}[...] = ~{m}",
        f"np.logical_not({m}, out={m})",
        f"{m}[0] = True",
        f"{m} &= False",
    )
    return [f"{m} = {made}", f"{v} = {use}", change]


@idiom(2)
def random_numbers_in_a_buffer(s: Scope) -> list[str]:
    a, v, w = s.pick(is_array), s.fresh(), s.fresh("w")
    return [
        f"{w}, rng = np.empty({a}.shape), np.random.default_rng(3)",
        f"{v} = 0.0\nfor _ in range(2):\n    {s.choose('rng.random', 'rng.standard_normal')}(out={w})\n    {v} = {v} + {a} * {w}",
    ]


@idiom(2)
def list_of_numbers_changed(s: Scope) -> list[str]:
    a, v = s.pick(is_vector), s.fresh()
    c = s.number()
    return s.random.choice((
        [f"numbers = [{c}] * len({a})", f"{v} = {a} * numbers", "numbers[0] = 7.0"],
        ["places = [0, 1]", f"{v} = {a}[places] * 2", "places[0] = 1"],
        ["pads = [1, 0]", f"{v} = np.pad({a}, pads)", "pads[0] = 0"],
        ["shape = [-1, 1]", f"{v} = {a}.reshape(shape)", "shape[0] = 9"],
        ["options = {'axis': 0}", f"{v} = np.sum({a}, **options)", "options.clear()"],
    ))  # fmt: skip


@idiom(2)
def constant_view(s: Scope) -> list[str]:
    a, v, w = s.pick(is_vector), s.fresh(), s.fresh("w")
    use = s.choose(
        f"{a} * {w}[1:]",
        f"{a} * {w}[::-1][1:]",
        f"{w}[1:] @ {a}",
        f"np.outer({a}, {w}[1:])[0]",
        f"{a} * {w}.T[1:]",
    )
    return [
        f"{w} = np.linspace(1, 2, len({a}) + 1)",
        f"{v} = {use}",
        f"{w} {s.choose('*=', '+=', '-=')} {s.number()}",
    ]


@idiom(1)
def fills_a_plain_buffer(s: Scope) -> list[str]:
    a, v, w = s.pick(is_vector), s.fresh(), s.fresh("w")
    write = s.choose(
        f"{w}[0] = {a}[0]",
        f"{w}[:] = {a}",
        f"np.multiply({a}, 2, out={w})",
        f"{w} += {a}",
        f"np.copyto({w}, {a})",
        f"{w}[{a} > 0] = {a}[0]",
    )
    return [
        f"{w} = np.zeros(len({a}))",
        s.choose(write, f"try:\n    {write}\nexcept (TypeError, ValueError):\n    {w}[0] = 0.0"),
        f"{v} = {w} * 2",
    ]


@idiom(2)
def made_like(s: Scope) -> list[str]:
    a, v = s.pick(is_array), s.fresh()
    made = s.choose(
        f"np.zeros_like({a})",
        f"np.empty_like({a})",
        f"np.ones_like({a})",
        f"np.full_like({a}, 0.5)",
        f"np.full_like({a}, {a}.ravel()[0])",
    )
    return [f"{v} = {made}", f"{v}[...] = {a} * {s.number()}", f"{v}[0] {s.choose('+=', '*=')} {s.number()}"]
