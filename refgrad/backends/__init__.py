"""Backends: the contract between a framework and the judge, frameworks in processes of their own, and the registry by name."""

from __future__ import annotations

from refgrad.backends.contract import Backend, Build
from refgrad.backends.registry import installed, known, load, register, table
from refgrad.backends.worker import WorkerBackend
from refgrad.bounds.profiles import Profile

__all__ = ["Backend", "Build", "Profile", "WorkerBackend", "installed", "known", "load", "register", "table"]
