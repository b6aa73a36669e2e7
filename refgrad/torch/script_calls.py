"""The calls of torch in each mode, as text of a script. observe.py and further_modes.py make the same calls."""

from __future__ import annotations

from refgrad.modes import (
    AGREEMENT,
    FORWARD,
    FORWARD_END_TO_END,
    FORWARD_OVER_REVERSE,
    FUNCTIONAL_FORWARD,
    FUNCTIONAL_REVERSE,
    PLAIN_REVERSE,
    RECORDED_REVERSE,
    REPEATED_REVERSE,
    REVERSE,
    REVERSE_END_TO_END,
    REVERSE_OVER_FORWARD,
    REVERSE_OVER_REVERSE,
    TRANSPOSED_REVERSE,
    VALUE,
)

_FORWARD = """\
with torch.no_grad(), torch.autograd.forward_ad.dual_level():
    duals = [torch.autograd.forward_ad.make_dual(x.detach(), t) for x, t in zip(xs, x_dots)]
    _, seen = program(*duals)
    got = torch.autograd.forward_ad.unpack_dual(seen).tangent
"""
_DOUBLE = """\
y_bar.requires_grad_()
x_bars = torch.autograd.grad(f(*xs), xs, y_bar, create_graph=True, allow_unused=True)
pairs = [(g, t) for g, t in zip(x_bars, x_dots) if g is not None and g.requires_grad]
got = torch.autograd.grad([g for g, _ in pairs], [*xs, y_bar], [t for _, t in pairs], allow_unused=True)[{place}]
"""
# {place}: which input.
CALLS = {
    VALUE: "_, got = program(*xs)\n",
    REVERSE: "y, seen = program(*xs)\n(got,) = torch.autograd.grad(y, [seen], y_bar, allow_unused=True)\n",
    PLAIN_REVERSE: "got = torch.autograd.grad(f(*xs), xs, y_bar, allow_unused=True)[{place}]\n",
    FORWARD: _FORWARD,
    RECORDED_REVERSE: "got = torch.autograd.grad(f(*xs), xs, y_bar, create_graph=True, allow_unused=True)[{place}]\n",
    FUNCTIONAL_REVERSE: "_, pullback = torch.func.vjp(f, *[x.detach() for x in xs])\ngot = pullback(y_bar)[{place}]\n",
    FUNCTIONAL_FORWARD: "with torch.no_grad():\n    _, got = torch.func.jvp(f, tuple(x.detach() for x in xs), tuple(x_dots))\n",
    TRANSPOSED_REVERSE: _DOUBLE,
    REVERSE_OVER_REVERSE: _DOUBLE,
    FORWARD_OVER_REVERSE: (
        "def gradients(*xs):\n    return tuple(torch.func.vjp(f, *xs)[1](y_bar))\n\n\n"
        "got = torch.func.jvp(gradients, tuple(x.detach() for x in xs), tuple(x_dots))[1][{place}]\n"
    ),
    REVERSE_OVER_FORWARD: (
        "def tangent(*xs):\n    return torch.func.jvp(f, xs, tuple(x_dots))[1]\n\n\n"
        "got = torch.func.vjp(tangent, *[x.detach() for x in xs])[1](y_bar)[{place}]\n"
    ),
}
_PAIRING = _FORWARD + "got = (y_bar.double() * got.double()).sum()\ndtype = got.dtype\n"
_SUM = """\
along = [{along}]
x_bars = torch.autograd.grad(f(*xs), xs, y_bar, allow_unused=True)
got = sum((x_bar.double() * v).sum() for x_bar, v in zip(x_bars, along) if x_bar is not None)
dtype = got.dtype
"""


def sum_along(along: str) -> str:
    """The calls, as text, that pair the gradients of the inputs with directions, whose expressions ``along`` lists."""
    return _SUM.format(along=along)


def calls_of(mode: str, what: str = "") -> str:
    """The calls of a mode as text. Raises KeyError for an unknown mode.

    ``what`` names the array that is wrong. For the agreement of modes, it names the mode whose calls are written.
    """
    if mode == AGREEMENT:
        named = [m for m in (RECORDED_REVERSE, FUNCTIONAL_REVERSE) if what.startswith(m)]
        return CALLS[named[0]] if named else _PAIRING
    return CALLS[
        {REVERSE_END_TO_END: REVERSE, FORWARD_END_TO_END: FORWARD, REPEATED_REVERSE: PLAIN_REVERSE}.get(
            mode, mode
        )
    ]
