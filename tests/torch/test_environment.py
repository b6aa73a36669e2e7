from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from refgrad.torch.environment import THREADS, _blas, environment, settle


def test_the_settings_are_those_that_are_told() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(THREADS + 1)
        settle()
        assert torch.get_num_threads() == THREADS
        assert environment()["threads"].startswith(f"torch {THREADS} in each process that judges")
    finally:
        torch.set_num_threads(before)


def test_threads_set_from_outside_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert "OMP_NUM_THREADS 7, MKL_NUM_THREADS not set" in environment()["threads"]


def test_the_commit_is_that_of_the_release() -> None:
    assert environment()["torch commit"] == torch.version.git_version


@pytest.mark.parametrize(
    ("build", "blas"),
    [
        ("Math Kernel Library Version 2024.2-Product Build\nBLAS_INFO=mkl, LAPACK_INFO=mkl", "mkl 2024.2-Product, LAPACK mkl"),
        ("Build settings: BLAS_INFO=open, LAPACK_INFO=open, ", "open, LAPACK open"),
        ("nothing of the kind", "not told, LAPACK not told"),
    ],
)  # fmt: skip
def test_blas_is_read_from_the_account_of_the_build(build: str, blas: str) -> None:
    assert _blas(build) == blas


def test_the_header_of_a_run_names_what_numbers_depend_on() -> None:
    from refgrad import backends
    from refgrad.suite.runner import environment as of_run

    found = of_run(backends.load("torch"))
    assert found.keys() >= {
        "torch",
        "torch commit",
        "torch BLAS",
        "numpy",
        "numpy BLAS",
        "threads",
        "CPU capability",
        "processor",
    }
    assert all(isinstance(text, str) and text for text in found.values())
