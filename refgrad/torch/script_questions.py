"""How each mode is asked, as text of a script: the same questions that observe.py and modes.py put."""

from __future__ import annotations

from refgrad.testing.judging.end_to_end import WHOLE_FORWARD, WHOLE_REVERSE
from refgrad.testing.judging.modes import (
    AGREEMENT,
    CREATE_GRAPH,
    FUNC_JVP,
    FUNC_VJP,
    JVP_OF_VJP,
    PLAIN,
    PUSHED,
    REPEAT,
    REVERSE_OF_REVERSE,
    VJP_OF_JVP,
)
from refgrad.testing.judging.node_by_node import FORWARD, REVERSE, VALUE

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
ASK = {
    VALUE: "_, got = program(*xs)\n",
    REVERSE: "y, seen = program(*xs)\n(got,) = torch.autograd.grad(y, [seen], y_bar, allow_unused=True)\n",
    PLAIN: "got = torch.autograd.grad(f(*xs), xs, y_bar, allow_unused=True)[{place}]\n",
    FORWARD: _FORWARD,
    CREATE_GRAPH: "got = torch.autograd.grad(f(*xs), xs, y_bar, create_graph=True, allow_unused=True)[{place}]\n",
    FUNC_VJP: "_, pullback = torch.func.vjp(f, *[x.detach() for x in xs])\ngot = pullback(y_bar)[{place}]\n",
    FUNC_JVP: "with torch.no_grad():\n    _, got = torch.func.jvp(f, tuple(x.detach() for x in xs), tuple(x_dots))\n",
    PUSHED: _DOUBLE,
    REVERSE_OF_REVERSE: _DOUBLE,
    JVP_OF_VJP: (
        "def gradients(*xs):\n    return tuple(torch.func.vjp(f, *xs)[1](y_bar))\n\n\n"
        "got = torch.func.jvp(gradients, tuple(x.detach() for x in xs), tuple(x_dots))[1][{place}]\n"
    ),
    VJP_OF_JVP: (
        "def tangent(*xs):\n    return torch.func.jvp(f, xs, tuple(x_dots))[1]\n\n\n"
        "got = torch.func.vjp(tangent, *[x.detach() for x in xs])[1](y_bar)[{place}]\n"
    ),
}  # fmt: skip
_PAIRING = _FORWARD + "got = (y_bar.double() * got.double()).sum()\n"


def asked(mode: str, what: str = "") -> str:
    """The text that asks a mode. Raises KeyError where there is no such mode.

    ``what`` names what was found wrong; for the agreement of modes it says which of them is asked.
    """
    if mode == AGREEMENT:
        named = [m for m in (CREATE_GRAPH, FUNC_VJP) if what.startswith(m)]
        return ASK[named[0]] if named else _PAIRING
    return ASK[{WHOLE_REVERSE: REVERSE, WHOLE_FORWARD: FORWARD, REPEAT: PLAIN}.get(mode, mode)]
