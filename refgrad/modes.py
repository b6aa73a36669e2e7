"""The modes that are judged: how a framework is asked for the value or a derivative of a program. A new mode is one entry here.

The names are the field's, not a framework's. What a backend calls each of them, and which of them it has, its ``modes`` tell.
"""

from __future__ import annotations

from dataclasses import dataclass

# What an answer in a mode consists of.
VALUES, GRADIENTS, TANGENT = "values", "gradients", "tangent"
SECOND_DERIVATIVES, COMPARISON = "second derivatives", "comparison"


@dataclass(frozen=True, slots=True)
class Mode:
    """One mode.

    name      what results, deviations and reports call it
    group     under which heading reports show it
    gives     what an answer in it consists of: the values; a gradient of each input; the tangent of the output; the gradient of each
              input of the pairing of gradients and tangents; or a comparison of answers in other modes
    repeats   the mode whose finding covers this one, because both give the same derivative; empty: none
    further   whether it is asked of cases of order 2 alone, which consist of one op
    formerly  its former name, which results and deviation files may still have
    """

    name: str
    group: str
    gives: str
    repeats: str = ""
    further: bool = False
    formerly: str = ""


VALUE, REVERSE, FORWARD = "value", "reverse", "forward"
REVERSE_END_TO_END, FORWARD_END_TO_END = "reverse end to end", "forward end to end"
RECORDED_REVERSE, FUNCTIONAL_REVERSE, FUNCTIONAL_FORWARD = (
    "recorded reverse",
    "functional reverse",
    "functional forward",
)
TRANSPOSED_REVERSE = "transposed reverse"  # the tangent, as the gradient of <x_dot, x_bar> in the cotangent
REVERSE_OVER_REVERSE, FORWARD_OVER_REVERSE = "reverse over reverse", "forward over reverse"
REVERSE_OVER_FORWARD = "reverse over forward"
AGREEMENT, REPEATED_REVERSE = "agreement of modes", "repeated reverse"
PLAIN_REVERSE = "plain reverse"  # what other modes are compared with; ``REVERSE`` judges the same answer

_REVERSE, _FORWARD, _WHOLE, _SECOND, _CONSISTENCY = (
    "reverse",
    "forward",
    "end to end",
    "second order",
    "consistency",
)

# In the order in which they are judged.
MODES: tuple[Mode, ...] = (
    Mode(VALUE, "value", VALUES),
    Mode(REVERSE, _REVERSE, GRADIENTS),
    Mode(FORWARD, _FORWARD, TANGENT),
    Mode(REVERSE_END_TO_END, _WHOLE, GRADIENTS, repeats=REVERSE),
    Mode(FORWARD_END_TO_END, _WHOLE, TANGENT, repeats=FORWARD),
    Mode(RECORDED_REVERSE, _REVERSE, GRADIENTS, REVERSE, further=True, formerly="create_graph backward"),
    Mode(FUNCTIONAL_REVERSE, _REVERSE, GRADIENTS, REVERSE, further=True, formerly="func.vjp"),
    Mode(FUNCTIONAL_FORWARD, _FORWARD, TANGENT, FORWARD, further=True, formerly="func.jvp"),
    Mode(
        TRANSPOSED_REVERSE,
        _SECOND,
        TANGENT,
        REVERSE,
        further=True,
        formerly="double backward in the cotangent",
    ),
    Mode(AGREEMENT, _CONSISTENCY, COMPARISON, further=True),
    Mode(REVERSE_OVER_REVERSE, _SECOND, SECOND_DERIVATIVES, further=True, formerly="double backward"),
    Mode(FORWARD_OVER_REVERSE, _SECOND, SECOND_DERIVATIVES, further=True, formerly="jvp of vjp"),
    Mode(REVERSE_OVER_FORWARD, _SECOND, SECOND_DERIVATIVES, further=True, formerly="vjp of jvp"),
    Mode(REPEATED_REVERSE, _CONSISTENCY, COMPARISON, further=True, formerly="second run"),
)  # fmt: skip - a table

NAMES = tuple(mode.name for mode in MODES)
FURTHER = tuple(mode.name for mode in MODES if mode.further)
GROUPS = {
    group: tuple(mode.name for mode in MODES if mode.group == group)
    for group in ("value", _REVERSE, _FORWARD, _WHOLE, _SECOND, _CONSISTENCY)
}
SECOND = tuple(mode.name for mode in MODES if mode.gives == SECOND_DERIVATIVES)
REPEATS = {mode.name: mode.repeats for mode in MODES if mode.repeats}
_CURRENT = {mode.formerly: mode.name for mode in MODES if mode.formerly}
_IN_TEXTS = {**_CURRENT, "plain backward": PLAIN_REVERSE}


def giving(what: str) -> tuple[str, ...]:
    """The names of the modes whose answers consist of ``what``: VALUES, GRADIENTS, TANGENT, SECOND_DERIVATIVES or COMPARISON."""
    return tuple(mode.name for mode in MODES if mode.gives == what)


def current(name: str) -> str:
    """The name of a mode, whether it is given by that or by its former name. A name that no mode has is returned as it is."""
    return _CURRENT.get(name, name)


def current_in_text(what: str) -> str:
    """The description of an array, such as "func.vjp against plain backward, gradient of 'x'", with the names that modes have now."""
    first, against, second = what.partition(" against ")
    mode, comma, rest = second.partition(",")
    if not against or first not in _CURRENT:
        return what
    return f"{current(first)} against {_IN_TEXTS.get(mode, mode)}{comma}{rest}"
