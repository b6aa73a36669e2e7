"""Complex programs beside torch: gradients equal those of torch.autograd, and gradcheck judges complex tensors within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd.function import once_differentiable  # noqa: E402

import refgrad as rg  # noqa: E402
from refgrad.errors import ArgumentError, DtypeError, GradientMismatch, NoRuleError  # noqa: E402
from refgrad.torch import gradcheck, gradgradcheck  # noqa: E402

RNG = np.random.default_rng(11)
Z, W, S = (RNG.standard_normal((3, 3)) + 1j * RNG.standard_normal((3, 3)) for _ in range(3))
X = RNG.uniform(0.3, 1.5, (3, 3))

# Each with NumPy and with torch: functions of complex and of real arrays.
SAME: dict[str, Callable[..., Any]] = {
    **{name: lambda n, z, name=name: getattr(n, name)(z) for name in (
        "exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh",
        "arcsinh", "arccosh", "arctanh", "square", "reciprocal", "abs", "angle", "real", "imag", "sum", "mean", "prod",
    )},
    "powers": lambda n, z: z**3 + z**0.5 + z ** (1 - 2j), "a power of two": lambda n, z: 2**z, "conj": lambda n, z: z.conj() * z * z,
    "sign": lambda n, z: n.sign(z) if n is np else n.sgn(z), "quotient": lambda n, z: (z + 2j) / (z * z - 1),
    "det": lambda n, z: n.linalg.det(z), "inv": lambda n, z: n.linalg.inv(z), "solve": lambda n, z: n.linalg.solve(z, z @ z + 1j),
    "norm": lambda n, z: n.linalg.norm(z), "einsum": lambda n, z: n.einsum("ij,jk,ik->i", z, z.conj(), z),
    "vdot": lambda n, z: n.vdot(z[0], z[1] * 1j), "real programs": lambda n, z: n.exp(1j * z.real) * z.imag + z.real,
    "var": lambda n, z: n.var(z) if n is np else n.var(z, correction=0), "cumsum": lambda n, z: n.cumsum(z, 1),
    "cumprod": lambda n, z: n.cumprod(z, 0), "where": lambda n, z: n.where(z.real > 0, z * z, 1j * z.imag),
    "cholesky": lambda n, z: n.linalg.cholesky(z @ z.conj().T + n.eye(3)) if n is np
    else n.linalg.cholesky(z @ z.conj().T + n.eye(3, dtype=z.dtype)),
    **{f"fft.{name}": lambda n, z, name=name: getattr(n.fft, name)(z) for name in (
        "fft", "ifft", "irfft", "hfft", "fft2", "ifft2", "irfft2", "fftn", "ifftn", "irfftn", "fftshift", "ifftshift",
    )},
    **{f"fft.{name} of real": lambda n, z, name=name: getattr(n.fft, name)(z.real) for name in (
        "fft", "rfft", "ihfft", "rfft2", "rfftn", "fftn",
    )},
    "fft with a length": lambda n, z: n.fft.fft(z, 5, norm="ortho") * n.fft.irfft(z, 5, norm="forward"),
}  # fmt: skip


def both(name: str, z: Any) -> tuple[Any, Any]:
    """The gradients of one loss by refgrad and by torch."""

    def loss(n: Any, z: Any) -> Any:
        y = SAME[name](n, z)
        return (y.real * 1.5).sum() + (n.imag(y) ** 2).sum() if n is np or y.is_complex() else (y * 1.5).sum()

    tensor = torch.tensor(z, requires_grad=True)
    (due,) = torch.autograd.grad(loss(torch, tensor), tensor)
    return rg.grad(lambda z: loss(np, z))(z), due.resolve_conj().numpy()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", SAME)
def test_gradients_are_those_of_autograd(name: str, dtype: str) -> None:
    got, due = both(name, Z.astype(dtype))
    assert got.dtype == due.dtype == dtype
    np.testing.assert_allclose(got, due, rtol=0, atol=np.finfo(dtype).eps * 400 * np.max(np.abs(due)))


@pytest.mark.parametrize(
    "name", ["powers", "conj", "quotient", "abs", "tanh", "inv", "fft.irfft", "real programs"]
)
def test_second_derivatives_are_those_of_autograd(name: str) -> None:
    def loss(n: Any, z: Any) -> Any:
        y = SAME[name](n, z)
        return (n.abs(y) ** 3).sum()

    tensor, direction = torch.tensor(Z, requires_grad=True), torch.tensor(W)
    (g,) = torch.autograd.grad(loss(torch, tensor), tensor, create_graph=True)
    (due,) = torch.autograd.grad(g, tensor, direction)
    gradient = rg.grad(lambda z: loss(np, z))
    for got in (rg.vjp(gradient, Z)[1](W)[0], rg.jvp(gradient, (Z,), (W,))[1]):
        np.testing.assert_allclose(
            got, due.resolve_conj().numpy(), rtol=1e-9, atol=1e-9 * float(due.abs().max())
        )


def test_cotangents_and_tangents_are_those_of_torch() -> None:
    def f(n: Any, z: Any) -> Any:
        return n.exp(z) * z.conj() + z.real

    _, due = torch.func.vjp(lambda z: f(torch, z), torch.tensor(Z))
    np.testing.assert_allclose(
        rg.vjp(lambda z: f(np, z), Z)[1](W)[0], due(torch.tensor(W))[0].resolve_conj().numpy(), rtol=1e-12
    )
    _, moved = torch.func.jvp(lambda z: f(torch, z), (torch.tensor(Z),), (torch.tensor(W),))
    np.testing.assert_allclose(
        rg.jvp(lambda z: f(np, z), (Z,), (W,))[1], moved.resolve_conj().numpy(), rtol=1e-12
    )


# --- programs judged within bounds --------------------------------------------------------------------------------------------


def convolution(n: Any, x: Any, w: Any) -> Any:
    return n.fft.irfft(n.fft.rfft(x) * n.fft.rfft(w), x.shape[-1])


def heat(n: Any, u: Any, c: Any) -> Any:
    """One step of the heat equation on a ring, in its Fourier modes."""
    k = n.fft.fftfreq(12) if n is np else n.fft.fftfreq(12, dtype=u.dtype)
    return n.fft.ifft(n.fft.fft(u) * n.exp(-c * (6.0 * k) ** 2)).real


def features(n: Any, x: Any, w: Any) -> Any:
    """Fourier features, as cosines and sines of one complex exponential."""
    y = n.exp(1j * (x[:, None] * w))
    return n.stack([y.real, y.imag])


def magnitudes(n: Any, x: Any, w: Any) -> Any:
    """The loss of phase retrieval: magnitudes of a spectrum against measured ones."""
    return ((n.abs(n.fft.fft(x)) ** 2 - w * w) ** 2).sum()


def circuit(n: Any, x: Any, w: Any) -> Any:
    """Rotations of one qubit about two axes: the probability of each outcome."""
    state = n.stack([x[0] * 0 + 1, x[0] * 0]) + 0j
    for k in range(3):
        c, s, phase = n.cos(x[k] / 2), n.sin(x[k] / 2), n.exp(1j * w[k])
        turn = n.stack([n.stack([c + 0j, -1j * s * phase]), n.stack([-1j * s / phase, c + 0j])])
        state = turn @ state
    return n.abs(state) ** 2


PROGRAMS = {
    "convolution": convolution,
    "heat": heat,
    "features": features,
    "magnitudes": magnitudes,
    "circuit": circuit,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_real_program_with_complex_numbers_inside(name: str) -> None:
    x, w = (torch.tensor(RNG.uniform(0.2, 1.5, 12)) for _ in range(2))
    f = PROGRAMS[name]
    report = gradcheck(lambda x, w: f(torch, x, w), (x, w), reference=lambda x, w: f(np, x, w))
    assert report
    assert {v.status for _, v in report.verdicts} == {"agree"}


def test_a_second_derivative_through_a_spectrum() -> None:
    x, w = (torch.tensor(RNG.uniform(0.2, 1.5, 6)) for _ in range(2))
    assert gradgradcheck(
        lambda x, w: convolution(torch, x, w), (x, w), reference=lambda x, w: convolution(np, x, w)
    )


COMPLEX = {
    "abs": lambda n, z: n.abs(z), "products": lambda n, z: z * z.conj() + z, "spectrum": lambda n, z: n.fft.fft(z) * z,
    "quotient": lambda n, z: z / (z + 3), "matrices": lambda n, z: z.reshape(2, 3) @ z.reshape(3, 2),
    "functions": lambda n, z: n.exp(z) * n.sin(z) + n.cos(z), "log": lambda n, z: n.log(z) / z, "angle": lambda n, z: n.angle(z),
    "root": lambda n, z: n.sqrt(z), "tangents": lambda n, z: n.tanh(z) - n.tan(z), "hyperbolic": lambda n, z: n.sinh(z) / n.cosh(z),
    "powers": lambda n, z: z**3 + z**-1.5 + z**z, "prod": lambda n, z: n.prod(z), "where zero": lambda n, z: n.where(z == 0, 1j, z) * z,
    "det": lambda n, z: n.linalg.det(z[:4].reshape(2, 2) + n.eye(2)), "inv": lambda n, z: n.linalg.inv(z[:4].reshape(2, 2) + n.eye(2)),
    "solve": lambda n, z: n.linalg.solve(z[:4].reshape(2, 2) + n.eye(2), z[4:].reshape(2, 1)),
    "several results": lambda n, z: (n.abs(z), z * 1j), "einsum": lambda n, z: n.einsum("i,j->ij", z, z.conj()),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_tensors_are_judged(name: str) -> None:
    z = torch.tensor(RNG.standard_normal(6) + 1j * RNG.standard_normal(6), requires_grad=True)
    f = COMPLEX[name]
    report = gradcheck(lambda z: f(torch, z), z, reference=lambda z: f(np, z))
    assert report.verdicts
    assert any("input 0 is complex" in note for note in report.notes)


def test_second_derivatives_of_complex_tensors_are_judged() -> None:
    z = torch.tensor(Z[0], requires_grad=True)
    assert gradgradcheck(
        lambda z: (z.abs() ** 2 * z.real).sum(), z, reference=lambda z: np.sum(np.abs(z) ** 2 * z.real)
    )


class Forgotten(torch.autograd.Function):
    """A square whose backward forgets a conjugate."""

    @staticmethod
    def forward(ctx: Any, z: Any) -> Any:
        ctx.save_for_backward(z)
        return z * z

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (z,) = ctx.saved_tensors
        return g * 2 * z


def test_a_forgotten_conjugate_is_found() -> None:
    z = torch.tensor(Z[0], requires_grad=True)
    with pytest.raises(GradientMismatch, match=r"gradcheck\(Forgotten\).*disagree") as found:
        gradcheck(Forgotten.apply, z, reference=np.square, check_forward=False)
    assert "gradient of input 0" in str(found.value)


class BitBlind(Forgotten):
    """A square whose kernels read memory, and forget that a bit conjugates or negates its numbers."""

    @staticmethod
    def raw(z: Any, bit: str) -> Any:
        if bit == "conjugated":
            return z.conj() if z.is_conj() else z
        return torch._neg_view(z) if z.is_neg() else z

    @staticmethod
    def forward(ctx: Any, z: Any, of_input: str = "", of_cotangent: str = "") -> Any:
        z = BitBlind.raw(z, of_input) if of_input else z
        ctx.save_for_backward(z)
        ctx.bit = of_cotangent
        return z * z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Any) -> Any:
        (z,) = ctx.saved_tensors
        return 2 * (BitBlind.raw(g, ctx.bit) if ctx.bit else g) * z.conj(), None, None


@pytest.mark.parametrize("bit", ["conjugated", "negated"])
@pytest.mark.parametrize("place", ["input", "cotangent"])
def test_lazily_conjugated_and_negated_tensors_are_asked(bit: str, place: str) -> None:
    bits = (bit, "") if place == "input" else ("", bit)
    z = torch.tensor(Z[0], requires_grad=True)
    options = {
        "reference": np.square,
        "check_forward": False,
        "dtypes": ("float64",),
        "raise_exception": False,
    }
    report = gradcheck(lambda z: BitBlind.apply(z, *bits), z, **options)
    wrong = {q.layout for _, _, p in report.parts() for q in p.wrong_in}
    if (bit, place) == ("negated", "input"):  # its square has no sign: the gradient alone is wrong
        assert [v.status for _, v in report.verdicts] == ["agree", "disagree"]
    assert wrong == {f"lazily {bit}"}
    assert gradcheck(BitBlind.apply, z, **options).status == "agree"


@pytest.mark.parametrize("inverse", [False, True])
def test_a_transform_in_the_wrong_direction_is_found(inverse: bool) -> None:
    transform = torch.fft.ifft if inverse else torch.fft.fft
    x = torch.tensor(RNG.standard_normal(8))

    def wrong(x: Any) -> Any:
        return torch.view_as_real(transform(x.conj() + 0j).conj() * (1 if inverse else 1.000001))

    with pytest.raises(GradientMismatch):
        gradcheck(
            wrong,
            x,
            reference=lambda x: np.stack(
                [(y := np.fft.ifft(x) if inverse else np.fft.fft(x)).real, y.imag], -1
            ),
        )


def test_what_is_not_judged_says_so() -> None:
    x, z = torch.tensor([0.5, 1.5]), torch.tensor([0.5 + 1j, 1.5j])
    with pytest.raises(DtypeError, match="output 0 of reference is complex, and no input is"):
        gradcheck(lambda x: torch.exp(1j * x), x, reference=lambda x: np.exp(1j * x))
    with pytest.raises(
        NoRuleError, match="op 'arcsin' met complex operands, for which refgrad has no error bound"
    ):
        gradcheck(torch.arcsin, z, reference=np.arcsin)
    with pytest.raises(ArgumentError, match="needs reference="):
        gradcheck(torch.sqrt, z)
