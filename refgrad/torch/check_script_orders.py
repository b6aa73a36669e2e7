"""The calls by which a script computes a second derivative, in each order of nesting.

The seeds of the evidence are four groups in a row: cotangents of the outputs that have a gradient, tangents of the differentiated inputs,
tangents of the cotangents, tangents of a second forward pass. None stands for a seed that was not given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refgrad.testing.checks.array_verdict import Evidence
from refgrad.testing.checks.function_source import UnwritableError
from refgrad.testing.checks.seeds import AFTER_NEGATED, WITHOUT_GRADIENT

_CALLED = """\
    def called(*xs):
        some = list(inputs)
        for k, x in zip(active, xs):
            some[k] = x
        outputs = {expression}(*some)
        return tuple(y for y in (outputs if isinstance(outputs, (tuple, list)) else (outputs,)) if y is not None)
"""
_REVERSE_OVER_REVERSE = """\
    leaves = {k: inputs[k].detach().requires_grad_() for k in active}
    cotangents = {k: c.requires_grad_() for k, c in cotangents.items()}
    outputs = called(*leaves.values())
    first = torch.autograd.grad(
        [outputs[k] for k in cotangents], list(leaves.values()), list(cotangents.values()), create_graph=True, allow_unused=True
    )
    pairs = [(g, tangents[k]) for k, g in zip(active, first) if k in tangents and g is not None and g.requires_grad]
    wanted = leaves if of_input else cotangents
    return _grad(pairs, wanted[index])
"""
_NEGATED = """\
    torch.autograd.grad([g for g, _ in pairs], [wanted[index]], [-w for _, w in pairs], retain_graph=True, allow_unused=True)
"""
_FORWARD_OVER_REVERSE = """\
    with forward_ad.dual_level():
        leaves = {k: inputs[k].detach().requires_grad_() for k in active}
        leaves = {k: forward_ad.make_dual(x, tangents[k]) if k in tangents else x for k, x in leaves.items()}
        moved = [forward_ad.make_dual(c, more[k]) if k in more else c for k, c in cotangents.items()]
        outputs = called(*leaves.values())
        found = torch.autograd.grad([outputs[k] for k in cotangents], leaves[index], moved, create_graph=True, allow_unused=True)[0]
        return None if found is None else forward_ad.unpack_dual(found).tangent
"""
_REVERSE_OVER_FORWARD = """\
    with forward_ad.dual_level():
        leaves = {k: inputs[k].detach().requires_grad_() for k in active}
        tangents = {k: t.requires_grad_() for k, t in tangents.items()}
        outputs = called(*[forward_ad.make_dual(x, tangents[k]) if k in tangents else x for k, x in leaves.items()])
        along = {k: forward_ad.unpack_dual(outputs[k]).tangent for k in cotangents}
        pairs = [(y, cotangents[k]) for k, y in along.items() if y is not None and y.requires_grad]
        wanted = tangents if of_tangent else leaves
        return _grad(pairs, wanted[index])
"""
_FORWARD_OVER_FORWARD = """\
    def moved(those, f):
        def of_those(*some):
            full = dict(zip(active, xs))
            full.update(zip(those, some))
            return f(*full.values())

        return of_those

    xs = [inputs[k] for k in active]

    def inner(*given):
        nonlocal xs
        before, xs = xs, list(given)
        found = torch.func.jvp(moved(tangents, called), tuple(dict(zip(active, xs))[k] for k in tangents), tuple(tangents.values()))[1]
        xs = before
        return found

    return torch.func.jvp(moved(again, inner), tuple(inputs[k] for k in again), tuple(again.values()))[1][index]
"""
_GRAD = """\
def _grad(pairs, wanted):
    if not pairs:
        return None
    return torch.autograd.grad([y for y, _ in pairs], [wanted], [w for _, w in pairs], allow_unused=True)[0]


"""
ORDERS = {
    "reverse over reverse": _REVERSE_OVER_REVERSE,
    "forward over reverse": _FORWARD_OVER_REVERSE,
    "reverse over forward": _REVERSE_OVER_FORWARD,
    "forward over forward": _FORWARD_OVER_FORWARD,
}


def asking(e: Evidence, what: str, mode: str, expression: str, tensor: Callable[[int], str]) -> list[str]:
    """The lines that follow the inputs.

    what    the name of the array, which says whether it belongs to a cotangent, a tangent or an input
    tensor  gives the expression of the seed at a position

    Raises UnwritableError where the number of seeds is not that of the order.
    """
    active = list(e.question.active)
    outputs = (len(e.seeds) - 2 * len(active)) // 2
    if not active or outputs < 1 or len(e.seeds) != 2 * (outputs + len(active)):
        raise UnwritableError(f"the seeds of the mode {mode} are not known")
    starts = (0, outputs, outputs + len(active), 2 * outputs + len(active))
    given = [k for k in range(outputs) if e.seeds[k] is not None]
    names = (
        dict(zip(given, e.question.used, strict=True))
        if len(given) == len(e.question.used)
        else {k: k for k in given}
    )

    def group(name: str, start: int, places: dict[int, int], dtypes: Sequence[str] = ()) -> list[str]:
        cast = {p: f".to(torch.{dtype})" if dtype else "" for p, dtype in enumerate(dtypes)}
        rows = [
            f"        {p}: {tensor(start + k)}{cast.get(p, '')},"
            for k, p in places.items()
            if e.seeds[start + k] is not None
        ]
        return [f"    {name} = {{", *rows, "    }"]

    inputs = dict(enumerate(active))
    text = ORDERS[mode].rstrip()
    if e.question.draw == WITHOUT_GRADIENT:
        text = text.replace("c.requires_grad_()", "c")
    if e.question.draw == AFTER_NEGATED:
        text = text.replace("    return _grad", f"{_NEGATED}    return _grad")
    return [
        f"    active, index, of_input, of_tangent = {active}, {e.index}, {'cotangent' not in what}, {'the tangent of' in what}",
        *group("cotangents", starts[0], names),
        *group("tangents", starts[1], inputs, e.dtypes),
        *group("more", starts[2], names),
        *group("again", starts[3], inputs, e.dtypes),
        "",
        _CALLED.format(expression=expression),
        text,
    ]


def helpers(mode: str) -> str:
    """The functions that the calls of this order use."""
    return _GRAD if mode.startswith("reverse") else ""
