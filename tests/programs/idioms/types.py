"""Tests of types, shapes and values: the branch taken is NumPy's."""

from __future__ import annotations

from tests.programs.idioms.registry import idiom
from tests.programs.scope import Scope, is_array, is_scalar


@idiom(5)
def branch_on_the_type(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    test = s.choose(
        f"isinstance({a}, np.ndarray)", f"isinstance({a}, float)", f"isinstance({a}, np.generic)", f"np.isscalar({a})",
        f"isinstance({a}, np.floating)",
        f"{a}.dtype == np.float32", f"{a}.ndim == 0", f"np.ndim({a})", f"{a}.shape == ()", f"hasattr({a}, '__len__')",
        f"type({a}) is np.ndarray", f"type({a}) in (float, np.float64)",
        f"isinstance({a}, (int, float))", f"np.issubdtype({a}.dtype, np.floating)", f"isinstance({a}, (list, tuple))",
        f"np.iscomplexobj({a})", f"{a}.dtype.kind == 'f'", f"{a}.itemsize == 8", f"callable({a})",
        f"isinstance({a}, collections.abc.Iterable)",
        f"np.isrealobj({a})", f"{a}.flags.writeable", f"np.size({a}) > 2", f"len(np.shape({a}))", f"np.result_type({a}) == np.float64",
        f"np.can_cast({a}.dtype, np.float32)", f"isinstance({a}, collections.abc.Hashable)", f"isinstance({a}, object)", f"{a} is None",
    )  # fmt: skip
    return [f"{v} = {a} * {c} if {test} else {a} * {a} + 1"]


@idiom(3)
def branch_on_values(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    test = s.choose(
        f"np.all({a} > -1)", f"np.any({a} > {c})", f"({a} > 0).all()", f"np.max({a}) > 1", f"np.sum({a}) > 0", f"np.allclose({a}, {a})",
        f"{a}.max() > {a}.min()", f"np.isfinite({a}).all()", f"np.array_equal({a}, {a})", f"np.count_nonzero({a} > 0) > 1",
        f"np.argmax({a}) == 0",
        f"not np.any(np.isnan({a}))", f"bool(np.all({a} < {c}))", f"np.argsort({a}, axis=None)[0] == 0", f"np.sign({a}).sum() > 0",
    )  # fmt: skip
    return [f"if {test}:\n    {v} = {a} * {c}\nelse:\n    {v} = np.sin({a})"]


@idiom(2)
def scalar_as_a_value(s: Scope) -> list[str]:
    a, v, c = s.pick(is_scalar), s.fresh(), s.number()
    return [f"{v} = " + s.choose(
        f"{a} * 2 if {a} in [0.5, {a}] else {a} * 3", f"{a} * 2 if {a} in {{1.0, {c}}} else {a} * 3", f"{{{a}: 2.0}}[{a}] * {a}",
        f"{a} * len({{{a}, {a}, 1.0}})", f"{a} * hash({a} > 0)", f"{a} * 2 if {a} == {a} else {a}", f"{a} * [1, 2][int({a} > 0.5)]",
        f"{a} * 2 if 0 < {a} < {c} else -{a}", f"{a} and {a} * 2", f"{a} or 1.0",
        f"{a} * (int({a} * 0) + 1)", f"{a} * round(1.6)", f"{a} * {a}.ndim + {a}", f"{a} * {a}.size", f"{a} * int({a} >= 0)",
        f"{a} * np.sign({a})",
        f"{a} * (f'{{{a}:.1f}}' != '')", f"{a}.item() * 0 + {a}", f"{a} * complex({a}).imag + {a}" if s.choose("",
        "c") else f"{a}.real * 2",
    )]  # fmt: skip


@idiom(2)
def shape_in_an_expression(s: Scope) -> list[str]:
    a, v = s.pick(is_array), s.fresh()
    return [f"{v} = " + s.choose(
        f"{a} / {a}.size", f"{a} * len({a})", f"{a} * np.ones({a}.shape)", f"{a} + np.arange({a}.shape[-1])",
        f"{a} * np.eye({a}.shape[-1])[0]",
        f"{a}.reshape({a}.shape[0], -1)", f"{a} * {a}.shape[0]", f"np.zeros({a}.shape) + {a}",
        f"np.broadcast_to({a}, (2, *{a}.shape))[0] * 1",
        f"{a} * np.finfo({a}.dtype).bits / 64", f"{a} * {a}.dtype.type(2)", f"{a} * {a}.nbytes / 16", f"{a} * np.shape({a})[0]",
        f"{a} * np.zeros_like({a}, dtype=int) + {a}", f"{a} * np.ones_like({a}, shape=())", f"{a} * len({a}.strides)",
        f"{a} * np.indices({a}.shape)[0]",
    )]  # fmt: skip


@idiom(1)
def operators_of_another_class(s: Scope) -> list[str]:
    a, v, c = s.pick(), s.fresh(), s.number()
    body = s.choose("__array_ufunc__ = None\n    ", "__array_priority__ = 2000\n    ", "")
    name, sign = s.random.choice(
        (("__rmul__", "*"), ("__radd__", "+"), ("__rsub__", "-"), ("__rmatmul__", "@"), ("__rtruediv__", "/"))
    )
    return [
        f"class Unit:\n    {body}def {name}(self, t):\n        return t * {c}",
        f"{v} = {a} {sign} Unit()",
    ]
