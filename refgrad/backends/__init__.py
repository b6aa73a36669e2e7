"""Backends: the contract between a framework and the judge, and the registry of backends by name."""

from __future__ import annotations

from refgrad.backends.contract import Backend, Build
from refgrad.backends.registry import known, load, register
from refgrad.bounds.profiles import Profile

__all__ = ["Backend", "Build", "Profile", "known", "load", "register"]
