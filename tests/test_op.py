"""The record of one op: what registration refuses, what rules may ask for, how calls are bound."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refgrad import bounds, ops
from refgrad.errors import NoRuleError, RegistrationError
from refgrad.op import BY_FUNCTION, REGISTRY, Op, Traced, apply, new_level, register, shape_of


def op(forward: Any = lambda x, scale=1.0: scale * x, **fields: Any) -> Op:
    """An op that is not in the registry."""
    record = {"jvp": lambda x_dot: x_dot, "vjp": lambda y_bar: y_bar, "rounding": bounds.same} | fields
    return Op(name="probe", forward=forward, **record)


# --- registration ------------------------------------------------------------------------------------------------------


def two(x1: Any, x2: Any) -> Any:
    return x1 + x2


REFUSED = {
    "a variadic op takes \\*xs alone": {"forward": lambda a, *xs: a},
    "give both jvp and vjp, or neither": {"vjp": None},
    "a rounding rule is required .* got None": {"rounding": None},
    "jvp needs one rule for each of \\('x1', 'x2'\\), got a single one": {"forward": two},
    "vjp has a rule for \\['z'\\], but the operands are \\('x',\\)": {"vjp": {"z": lambda y_bar: y_bar}},
    "the first parameter of the jvp rule for 'x' is 'x_dot', got \\['t'\\]": {"jvp": lambda t: t},
    "the first parameter of the vjp rule for 'x' is 'y_bar', got \\[\\]": {"vjp": lambda: 0.0},
    "a jvp rule asks for 'axis'; it may ask for operands \\('x',\\), y, .* parameters \\['scale'\\]": {
        "jvp": lambda x_dot, axis: x_dot
    },
    "a vjp rule asks for 'z_shape'": {"vjp": lambda y_bar, z_shape: y_bar},
    "a vjp rule asks for 'active'": {"vjp": lambda y_bar, active: y_bar},
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_record_that_contradicts_itself_is_refused(message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        op(**REFUSED[message])


def test_a_sound_record_is_accepted() -> None:
    assert op().signature.operands == ("x",)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(RegistrationError, match="op 'add' is registered twice"):
        register("add", lambda x: x, jvp=None, vjp=None, rounding=bounds.same)


def test_a_numpy_function_leads_to_one_op_and_a_refusal_leaves_no_trace() -> None:
    def fresh(x: Any) -> Any:
        return x

    with pytest.raises(RegistrationError, match="op 'probe': <ufunc 'add'> already leads to op 'add'"):
        register("probe", lambda x: x, jvp=None, vjp=None, rounding=bounds.same, numpy=(fresh, np.add))
    assert "probe" not in REGISTRY
    assert fresh not in BY_FUNCTION


def test_the_registry_is_consistent() -> None:
    calls = [
        call
        for path in Path(ops.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "register"
    ]
    named = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
    assert sorted(named) == sorted(REGISTRY)  # a record that no import reaches is missing here
    assert all(record.name == name for name, record in REGISTRY.items())
    assert {id(o) for o in BY_FUNCTION.values()} <= {id(o) for o in REGISTRY.values()}


# --- what rules ask for ------------------------------------------------------------------------------------------------


def test_a_rule_receives_what_it_names() -> None:
    seen: list[Any] = []

    def rule(y_bar: Any, x_shape: Any, y: Any, scale: Any, x: Any) -> Any:
        seen.append((x_shape, y, scale, x))
        return y_bar

    needs = op(vjp=rule).signature.vjp[0]
    assert needs is not None
    x, y = np.ones(3), np.zeros(2)
    needs.rule(1.0, *needs.collect((x,), y, {"scale": 7.0}, (True,)))
    assert seen[0][0] == (3,)
    assert seen[0][1] is y
    assert seen[0][2] == 7.0
    assert seen[0][3] is x


def test_a_variadic_rule_receives_all_operands_their_shapes_and_who_is_active() -> None:
    record = op(
        forward=lambda *xs: sum(xs), jvp=lambda xs_dot: xs_dot[0], vjp=lambda y_bar, xs, xs_shape, active: ()
    )
    needs = record.signature.vjp[0]
    assert needs is not None
    xs = (np.ones(2), 3.0)
    assert needs.collect(xs, None, {}, (True, False)) == (xs, ((2,), ()), (True, False))


def test_an_operand_without_a_rule_has_none() -> None:
    record = op(forward=two, jvp={"x1": lambda x1_dot: x1_dot}, vjp={"x1": lambda y_bar: y_bar})
    assert record.signature.vjp[1] is None
    assert record.signature.jvp[1] is None


def test_an_op_without_rules_is_not_differentiable() -> None:
    assert not op(jvp=None, vjp=None).signature.differentiable
    assert op().signature.differentiable


@pytest.mark.parametrize(("x", "shape"), [(2.0, ()), (np.float32(1), ()), (np.ones((2, 3)), (2, 3))])
def test_shape_of(x: Any, shape: tuple[int, ...]) -> None:
    assert shape_of(x) == shape


# --- calls -------------------------------------------------------------------------------------------------------------


def weighted(x1: Any, x2: Any, scale: float = 1.0, shift: float = 0.0) -> Any:
    return scale * (x1 - x2) + shift


WEIGHTED = op(
    forward=weighted,
    jvp={"x1": lambda x1_dot, scale: scale * x1_dot, "x2": lambda x2_dot, scale: -scale * x2_dot},
    vjp={"x1": lambda y_bar, scale: scale * y_bar, "x2": lambda y_bar, scale: -scale * y_bar},
)


def test_calls_bind_as_python_binds_forward() -> None:
    assert WEIGHTED(5.0, 3.0) == 2.0
    assert WEIGHTED(5.0, 3.0, 10.0) == 20.0
    assert WEIGHTED(5.0, 3.0, 10.0, 1.0) == 21.0
    assert WEIGHTED(5.0, x2=3.0, shift=1.0) == 3.0
    assert WEIGHTED(x2=3.0, x1=5.0) == 2.0


def test_a_missing_operand_is_named() -> None:
    with pytest.raises(TypeError, match="missing operand 'x2': expected operands \\('x1', 'x2'\\), got 1"):
        WEIGHTED(5.0)


def test_an_unknown_argument_is_never_passed_over() -> None:
    with pytest.raises(
        NoRuleError, match="argument \\['where'\\] is not supported; refgrad knows \\('scale', 'shift'\\)"
    ):
        WEIGHTED(5.0, 3.0, where=True)
    with pytest.raises(NoRuleError, match="argument 5 is not supported"):
        WEIGHTED(5.0, 3.0, 1.0, 0.0, 9.0)


def test_an_argument_given_twice_is_refused() -> None:
    with pytest.raises(TypeError, match="'scale' is given twice"):
        WEIGHTED(5.0, 3.0, 2.0, scale=3.0)


def test_the_highest_level_interprets() -> None:
    class Probe(Traced):
        def __init__(self, level: int) -> None:
            self._level = level

        @classmethod
        def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Any, top: Any) -> Any:
            return op, operands, params, top

    inner, outer = Probe(new_level()), Probe(new_level())
    record = op(forward=two, jvp=None, vjp=None)
    for operands in ((inner, outer), (outer, inner)):
        assert apply(record, operands, {"p": 1}) == (record, operands, {"p": 1}, outer)


def test_levels_rise() -> None:
    assert 0 < new_level() < new_level()
