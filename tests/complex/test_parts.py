"""Functions of complex numbers by their parts: NumPy's values, the formats of the family, mistakes of kernels that are seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import refgrad.complex
from conformance.families import FAMILIES, SINGLE, can_draw, family
from conformance.families.functions import functions_in
from refgrad.op import FUNCTIONS
from refgrad.testing.cases.sequence import CaseSequence
from refgrad.testing.cases.source import Seeded
from refgrad.testing.judging.verdict import DISAGREE, ERROR
from refgrad.testing.runs.item import examine
from refgrad.torch.observe import observe

NAMES = functions_in("float32", (), "complex")
Z = np.array([[0.6 + 0.9j, -1.3 + 0.4j], [0.2 - 0.7j, 1.1 - 0.3j]])
W = np.array([[1.4 - 0.2j, 0.3 + 0.8j], [-0.9 + 0.5j, 0.7 + 1.1j]])


def parted(y: Any) -> Any:
    return np.stack([y.real, y.imag], -1) if np.iscomplexobj(y) else y


def test_every_function_is_declared_and_drawn() -> None:
    assert (
        {f"complex.{name}" for name in refgrad.complex.__all__}
        == {*NAMES}
        == {n for n, f in SINGLE.items() if f == "complex"}
    )
    sequence = CaseSequence(FAMILIES["complex"], "complex", "float64", "cpu", 0)
    assert {str(sequence.case(k).graph.nodes[-1]) for k in range(20 * len(NAMES))} == {*NAMES}


def test_the_formats_are_those_of_complex_dtypes() -> None:
    assert [
        dtype for dtype in ("float64", "float32", "bfloat16", "float16") if can_draw("complex", None, dtype)
    ] == ["float64", "float32"]
    assert can_draw("functions", None, "float16")
    assert not functions_in("float16", NAMES)
    assert not set(functions_in("float32", (), "functions")) & {*NAMES}


def test_values_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    for name in (n.partition(".")[2] for n in NAMES):
        f, spectrum = getattr(refgrad.complex, name), getattr(np.fft, name, None)
        if name in ("multiply", "divide", "matmul", "solve"):
            due = (np.linalg.solve if name == "solve" else getattr(np, name))(Z, W)
            got = f(Z.real, Z.imag, W.real, W.imag)
        elif name == "power":
            due, got = Z ** (1.5 - 2j), f(Z.real, Z.imag, np.full((2, 2), 1.5), np.full((2, 2), -2.0))
        elif name == "einsum":
            due, got = np.einsum("ij,kj->ik", Z, W), f("ij,kj->ik", Z.real, Z.imag, W.real, W.imag)
        elif name == "prod":
            due, got = np.prod(Z, axis=1), f(Z.real, Z.imag, 1)
        elif name == "polar":
            due, got = Z, f(np.abs(Z), np.angle(Z))
        elif name in ("rfft", "ihfft", "rfft2", "rfftn"):
            x = rng.standard_normal((3, 4))
            due, got = spectrum(x), f(x)
        elif spectrum is not None:
            due, got = (
                spectrum(Z, norm="ortho"),
                f(Z.real, Z.imag, norm="ortho", **({"dim": (-2, -1)} if name.endswith("2") else {})),
            )
        else:
            due, got = getattr(np, name, getattr(np.linalg, name, None))(Z), f(Z.real, Z.imag)
        np.testing.assert_allclose(got, parted(due), rtol=1e-13, atol=1e-15, err_msg=name)


WRONG: dict[str, tuple[str, Any]] = {
    "no conjugate in the gradient": ("complex.exp", lambda torch, y: y + (y.conj() - y.detach().conj()) * 1j),
    "the other direction": ("complex.fft", lambda torch, y: y.conj()),
    "another scale": ("complex.irfft", lambda torch, y: y * (1 + 2.0**-14)),
    "a sign of the imaginary part": ("complex.sqrt", lambda torch, y: torch.complex(y.real, -y.imag)),
    "a rounded part": ("complex.tanh", lambda torch, y: y * (1 + 2.0**-17)),
    "a lost part of the gradient": ("complex.power", lambda torch, y: torch.complex(y.real, y.imag.detach())),
    "a missing factor": ("complex.matmul", lambda torch, y: y * (1 + 2.0**-12)),
    "another determinant": ("complex.det", lambda torch, y: y.conj()),
    "an inverse of few digits": ("complex.inv", lambda torch, y: y * (1 + 2.0**-12)),
    "a solution of few digits": ("complex.solve", lambda torch, y: y * (1 + 2.0**-12)),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_seen(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, spoiled = WRONG[mistake]
    right = FUNCTIONS[name].torch
    assert right is not None

    def wrong(torch: Any, *xs: Any, **params: Any) -> Any:
        y = right(torch, *xs, **params)
        if y.ndim and y.shape[-1] == 2 and not name.endswith("irfft"):
            return torch.view_as_real(spoiled(torch, torch.view_as_complex(y.contiguous())).resolve_conj())
        return spoiled(torch, y)

    monkeypatch.setitem(FUNCTIONS, name, replace(FUNCTIONS[name], torch=wrong))
    count: Counter[str] = Counter()
    for seed in range(2):
        found = [v.status for v in examine(family("complex", (name,))(Seeded((seed,)), "float32"), observe)]
        count.update({DISAGREE} & {*found} or {"none"})
        assert ERROR not in found
    assert count[DISAGREE], count
