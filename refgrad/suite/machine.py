"""What the numbers of a run depend on: versions, libraries and hardware, for the header of the results file."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np

from refgrad.backends import Backend


def environment(backend: Backend) -> dict[str, str]:
    """Versions, libraries and hardware on which the numbers depend, by name."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numpy BLAS": _numpy_blas(),
        backend.name: backend.build.release,
        **backend.environment(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "processor": _processor(),
    }


def _numpy_blas() -> str:
    """The BLAS of NumPy, which computes the matrix products of the reference."""
    built = np.show_config(mode="dicts") or {}
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)) or "not told"


def _processor() -> str:
    """The name of the processor from /proc/cpuinfo; on other systems, the one that Python reports."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
