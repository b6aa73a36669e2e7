"""Special functions, by the names and parameters of torch.special.

All take NumPy arrays (or traced ones) of float16, float32, float64 or long double and keep the dtype; integers become float64. They are
ordinary functions: apply them to plain arrays, or differentiate code that calls them with grad, jvp, vjp and the rest.
"""

from __future__ import annotations

from refgrad.special.bessel_functions import i0, i0e, i1, i1e
from refgrad.special.error_functions import erf, erfc, erfcx, erfinv, log_ndtr, ndtr, ndtri
from refgrad.special.gamma_functions import digamma, gammaln, multigammaln, polygamma, psi
from refgrad.special.logarithms import (
    entr,
    exp2,
    expit,
    expm1,
    log1p,
    log_softmax,
    logit,
    logsumexp,
    sinc,
    softmax,
    xlog1py,
    xlogy,
)
from refgrad.special.zeta_function import zeta

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
    "zeta",
]
