"""Special functions, by the names and parameters of torch.special.

All take NumPy arrays (or traced ones) of float16, float32, float64 or long double and keep the dtype; integers become float64. They are
ordinary functions: apply them to plain arrays, or differentiate code that calls them with grad, jvp, vjp and the rest.
"""

from __future__ import annotations

from refgrad.special.bessel_functions import (
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    i0,
    i0e,
    i1,
    i1e,
    modified_bessel_i0,
    modified_bessel_i1,
    modified_bessel_k0,
    modified_bessel_k1,
    scaled_modified_bessel_k0,
    scaled_modified_bessel_k1,
    spherical_bessel_j0,
)
from refgrad.special.error_functions import erf, erfc, erfcx, erfinv, log_ndtr, ndtr, ndtri
from refgrad.special.gamma_functions import digamma, gammaln, multigammaln, polygamma, psi
from refgrad.special.incomplete_gamma import gammainc, gammaincc
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
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammainc",
    "gammaincc",
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
    "modified_bessel_i0",
    "modified_bessel_i1",
    "modified_bessel_k0",
    "modified_bessel_k1",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "scaled_modified_bessel_k0",
    "scaled_modified_bessel_k1",
    "sinc",
    "softmax",
    "spherical_bessel_j0",
    "xlog1py",
    "xlogy",
    "zeta",
]
