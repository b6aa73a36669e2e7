"""Hypothesis strategies of cases, under the name that the documentation gives them. Importing this needs hypothesis."""

from __future__ import annotations

from refgrad.testing.cases.strategies import cases

__all__ = ["cases"]
