"""Views, which see later writes and pass theirs on, and copies, which do not."""

from __future__ import annotations

from tests.programs.idioms.registry import idiom
from tests.programs.idioms.writing import update
from tests.programs.scope import Scope, is_array, is_matrix, is_real, is_vector


def view_of(s: Scope, a: str) -> str:
    """An expression of a view of an array, or of what may be the array itself."""
    return s.choose(
        f"{a}[1:]", f"{a}[::-1]", f"{a}[...]", f"{a}[:]", f"{a}.T", f"{a}.reshape(-1)", f"{a}.ravel()", f"{a}.real", f"{a}[None]",
        f"np.real({a})",
        f"{a}[..., :2]", f"{a}[::2]", f"{a}.reshape({a}.shape)", f"np.transpose({a})", f"{a}.swapaxes(0, -1)", f"np.squeeze({a})",
        f"np.split({a}, [1])[1]", f"np.ravel({a})", f"np.reshape({a}, -1)", f"np.atleast_2d({a})", f"np.expand_dims({a}, 0)",
        f"{a}.squeeze()",
        f"np.moveaxis({a}, 0, -1)", f"{a}[1]", f"{a}[0]", f"{a}[:, 0]", f"np.flip({a})", f"np.array_split({a}, 2)[0]",
        f"np.swapaxes({a}, 0, 0)",
        f"{a}.view()", f"{a}[..., None]", f"{a}[-1:]", f"{a}.mT",
    )  # fmt: skip


def copy_of(s: Scope, a: str) -> str:
    """An expression of a copy of an array."""
    return s.choose(
        f"{a}.copy()", f"np.copy({a})", f"{a}[[0, 1]]", f"{a}[{a} > -9]", f"np.take({a}, [0, 1])", f"{a}.flatten()", f"copy.deepcopy({a})",
        f"copy.copy({a})", f"{a} + 0", f"{a}.astype({a}.dtype)", f"{a}[np.array([0])]", f"{a}.take([1, 0])", f"{a}[0] * 1",
        f"np.repeat({a}, 1)", f"np.concatenate([{a}])", f"{a}[np.ones(len({a}), bool)]", f"np.positive({a})",
        f"pickle.loads(pickle.dumps({a}))", f"np.roll({a}, 0)",
    )  # fmt: skip


@idiom(8)
def view_then_write(s: Scope) -> list[str]:
    a, v = s.pick(is_array), s.fresh()
    later = s.choose("", f"{s.fresh()} = {v} * {s.number()}")
    return [f"{v} = {view_of(s, a)}", update(s, a), *([later] if later else [])]


@idiom(8)
def write_through_a_view(s: Scope) -> list[str]:
    a, v = s.pick(is_array), s.fresh()
    key = s.choose("[...]", "[0]", "[:1]", "", "[-1:]")
    operator = s.choose("+=", "*=", "-=", "=") if key else s.choose("+=", "*=", "-=")
    return [f"{v} = {view_of(s, a)}", f"{v}{key} {operator} {s.number()}"]


@idiom(4)
def view_of_a_view(s: Scope) -> list[str]:
    a, v, u = s.pick(is_array), s.fresh(), s.fresh()
    s.values[v] = s.value(a)
    return [f"{v} = {view_of(s, a)}", f"{u} = {view_of(s, v)}", f"{s.choose(a, v, u)} *= {s.number()}"]


@idiom(6)
def copy_then_write(s: Scope) -> list[str]:
    a, v = s.pick(is_array), s.fresh()
    return [f"{v} = {copy_of(s, a)}", f"{s.choose(a, v)} {s.choose('+=', '*=', '-=')} {s.number()}"]


@idiom(5)
def element_then_write(s: Scope) -> list[str]:
    a, v = s.pick(is_vector), s.fresh()
    return [f"{v} = {a}[{s.choose('0', '-1', '1')}]", update(s, a), f"{s.fresh()} = {v} * {a}[0]"]


@idiom(3)
def maybe_a_copy(s: Scope) -> list[str]:
    a, v = s.pick(), s.fresh()
    made = s.choose(
        f"{a}.astype({a}.dtype, copy=False)", f"{a}.astype(np.float64, copy=False)", f"np.real({a})", f"{a}.reshape(-1)",
        f"{a}.T.reshape(-1)",
        f"{a}.ravel()", f"{a}.T.ravel()", f"np.nan_to_num({a}, copy=False)",
        f"np.real_if_close({a})", f"np.broadcast_to({a}, {a}.shape) * 1", f"{a}.conj()",
    )  # fmt: skip
    return [f"{v} = {made}", update(s, a)]


@idiom(4)
def rows_written_in_a_loop(s: Scope) -> list[str]:
    a, v = s.pick(is_array), s.fresh()
    body = s.choose(
        "row += 1",
        f"row *= {s.number()}",
        "row[...] = 0.5",
        f"row[0] = {a}[0, 1]",
        "row -= row.mean()",
        f"row += {a}[0]",
    )
    over = s.choose(v, f"list({v})", f"{v}.T", f"{v}[::-1]", f"np.split({v}, len({v}))")
    return [f"{v} = {a} * {s.number()}", f"for row in {over}:\n    {body}"]


@idiom(3)
def elements_written_in_a_loop(s: Scope) -> list[str]:
    a, v = s.pick(is_vector), s.fresh()
    body = s.choose(
        f"{v}[k] = {v}[k - 1] * {s.number()}", f"{v}[k] += {a}[-k]", f"{v}[k] = t * {v}[0]", f"{v}[k:] -= t"
    )
    return [f"{v} = {a}.copy()", f"for k, t in enumerate({a}):\n    {body}"]


@idiom(2)
def diagonal_or_axis(s: Scope) -> list[str]:
    a, v, c = s.pick(is_matrix), s.fresh(), s.number()
    return [f"{v} = " + s.choose(
        f"np.diagonal({a}) * {c}", f"np.diag({a})", f"{a}.diagonal()", f"{a}[:, ::-1][0]", f"{a}.T[0]", f"{a}[:, 1]", f"np.diag({a}[0])[1]",
    ), update(s, a)]  # fmt: skip


@idiom(2)
def read_only(s: Scope) -> list[str]:
    a, v, u = s.pick(is_real), s.fresh(), s.fresh()
    return [
        f"{v} = np.broadcast_to({a}, (2, *{a}.shape))",
        f"try:\n    {v} += 1\nexcept ValueError:\n    pass", f"{u} = {v}[0] * {v}[1]",
    ]  # fmt: skip


@idiom(1)
def converted(s: Scope) -> list[str]:
    a, v = s.pick(is_array), s.fresh()
    return [f"{v} = " + s.choose(
        f"np.array({a})", f"np.asarray({a})", f"np.ascontiguousarray({a})", f"np.array({a}, copy=None)",
        f"np.asarray({a}, dtype=np.float64)",
        f"np.array([t * 2 for t in {a}])", f"np.require({a})", f"np.asanyarray({a})", f"sum(t * k[0] for k, t in np.ndenumerate({a}))",
        f"np.array([{a}, {a}])[0]",
    ), update(s, a)]  # fmt: skip
