"""Fractional pooling is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import NoRuleError


def test_random_windows_are_refused():
    with pytest.raises(NoRuleError, match=r"kernel_size=2.*write adaptive_max_pool2d"):
        nn.fractional_max_pool2d(np.ones((1, 4, 4)), 2, 2)
