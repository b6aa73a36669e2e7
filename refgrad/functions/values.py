"""Functions without a derivative: applied to the plain values below the tracing."""

from __future__ import annotations

import numpy as np

from refgrad.dispatch import implements, on_values

for _function in (
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj, np.may_share_memory, np.shares_memory,
    np.argmax, np.argmin, np.argsort, np.argpartition, np.lexsort, np.nonzero, np.flatnonzero, np.argwhere, np.searchsorted, np.digitize,
    np.count_nonzero, np.all, np.any, np.allclose, np.isclose, np.array_equal, np.array_equiv, np.isin,
    np.nanargmax, np.nanargmin, np.isreal, np.iscomplex, np.array2string, np.array_repr, np.array_str,
    np.tril_indices_from, np.triu_indices_from, np.diag_indices_from,
):  # fmt: skip
    implements(_function)(on_values(_function))
