"""Dropout is the identity, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import NoRuleError


def test_dropout_is_the_identity_or_refused():
    x = np.ones(3)
    assert nn.dropout(x, training=False) is x
    with pytest.raises(NoRuleError, match=r"dropout: p=0\.5 would be random"):
        nn.dropout(x)
