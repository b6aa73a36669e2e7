"""What the tests of elementwise ops share: the ops, operands drawn from their domains, and what differences are good for."""

import numpy as np

import refgrad.ops  # noqa: F401 - fills the registry
from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY

# Where operands differ in shape they broadcast; the sum of a fan-in takes any number of operands of one shape.
OPS = [op for _, op in sorted(REGISTRY.items()) if op.elementwise and not op.signature.variadic]
DIFFERENTIABLE = [op for op in OPS if op.signature.differentiable]
STEPS = [op for op in OPS if not op.signature.differentiable]
FLOAT64 = FORMATS["float64"]
WIDE = np.longdouble
SEEDS = range(12)


def by_name(op):
    return op.name


def drawn(op, seed):
    """Operands from the op's domain, the op as a function of the real ones that it has rules for, and those. A step has no rules."""
    rng = np.random.default_rng([seed, *op.name.encode()])
    operands, params = op.domain.sample(rng, len(op.signature.operands))
    operands = [np.asarray(x) for x in operands]
    rules = op.signature.jvp if op.signature.differentiable else [True] * len(operands)
    real = [k for k, x in enumerate(operands) if x.dtype.kind == "f" and rules[k]]

    def f(*xs):
        full = [x.astype(xs[0].dtype) if x.dtype.kind == "f" else x for x in operands]
        for k, x in zip(real, xs, strict=True):
            full[k] = x
        return op(*full, **params)

    return rng, f, tuple(operands[k] for k in real)


def units(y):
    """Float64's unit roundoff of y: what long double must reach."""
    return FLOAT64.u * np.abs(y) + FLOAT64.eta


def noise(y):
    """What cancels in the last of the extrapolated differences: long double's rounding of y over their smallest step."""
    return np.finfo(WIDE).eps * 2.0**12 * np.max(np.abs(y), initial=1.0)
