"""The settings of torch for a run, and the libraries and instruction sets on which its numbers depend."""

from __future__ import annotations

import os
import re

import torch

from refgrad.torch.devices import plain_arithmetic

THREADS = 1  # of torch, in every process that judges
_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def settle() -> None:
    """Set the number of threads, and the arithmetic that the bounds cover, in a process that judges."""
    torch.set_num_threads(THREADS)
    plain_arithmetic()


def environment() -> dict[str, str]:
    """What the numbers of torch depend on, by name, for the header of a run."""
    return {
        "torch commit": str(torch.version.git_version or "unknown"),
        "torch BLAS": _blas(torch.__config__.show()),
        "torch accelerator": _accelerator(),
        "CPU capability": torch.backends.cpu.get_cpu_capability(),
        "threads": f"torch {THREADS} in each process that judges; {_limits()}",
    }


def _blas(build: str) -> str:
    """BLAS and LAPACK from torch's build configuration, with the release of MKL."""
    named = dict(re.findall(r"\b(BLAS_INFO|LAPACK_INFO)=([^,\s]*)", build))
    release = (
        re.search(r"Math Kernel Library Version (\S+)", build)
        if "mkl" in named.get("BLAS_INFO", "")
        else None
    )
    blas = named.get("BLAS_INFO") or "not told"
    return f"{blas}{f' {release[1]}' if release else ''}, LAPACK {named.get('LAPACK_INFO') or 'not told'}"


def _accelerator() -> str:
    """The accelerator for which torch was built."""
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version() or 'none'}"
    hip = getattr(torch.version, "hip", None)
    return f"ROCm {hip}" if hip else "none in this build"


def _limits() -> str:
    """The environment variables that limit the threads of BLAS libraries."""
    return ", ".join(f"{name} {os.environ.get(name, 'not set')}" for name in _LIMITS)
