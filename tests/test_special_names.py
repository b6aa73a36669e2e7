"""Every name of torch.special is in refgrad.special, or is listed with the reason why it is not."""

from __future__ import annotations

import types
from typing import Any

import pytest

from refgrad import special

torch = pytest.importorskip("torch")

POLYNOMIALS = (
    "an orthogonal polynomial by its degree: np.polynomial has series of them, which refgrad differentiates; torch takes degrees that are "
    "no integers by truncation, and has a derivative for none"
)
# By name, the reason.
WITHOUT = {
    **dict.fromkeys(
        (
            *(f"{kind}chebyshev_polynomial_{letter}" for kind in ("", "shifted_") for letter in "tuvw"),
            "hermite_polynomial_h",
            "hermite_polynomial_he",
            "laguerre_polynomial_l",
            "legendre_polynomial_p",
        ),
        POLYNOMIALS,
    ),
    "airy_ai": "not written: left of 0 its phase grows as |x|^(3/2), and has no digits from 1e10 on; torch has a value and no derivative",
    "round": "np.round, whose derivative is 0",
}


def functions(module: Any) -> set[str]:
    """The public functions of a module, without what it imports for itself."""
    return {
        name
        for name in dir(module)
        if not name.startswith("_")
        and callable(f := getattr(module, name))
        and isinstance(f, types.BuiltinFunctionType)
    }


def missing(names: set[str]) -> set[str]:
    """The names that are neither in refgrad.special nor listed."""
    return {name for name in names if not hasattr(special, name)} - set(WITHOUT)


def test_every_name_is_there_or_has_a_reason() -> None:
    names = functions(torch.special)
    assert len(names) > 50
    assert not missing(names)


def test_the_list_names_what_is_missing_and_no_more() -> None:
    assert set(WITHOUT) <= functions(torch.special)
    assert not [name for name in WITHOUT if hasattr(special, name)]


def derivatives(name: str) -> list[Any]:
    """What torch says of the derivatives of a function of one argument, or of an argument and a degree: in reverse, and forward."""
    function = getattr(torch.special, name)
    x = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    degree = () if name in {"airy_ai", "round"} else (torch.tensor([3.0], dtype=torch.float64),)
    y = function(x, *degree)
    forward = torch.autograd.forward_ad
    with forward.dual_level():
        tangent = forward.unpack_dual(
            function(forward.make_dual(x.detach(), torch.ones_like(x)), *degree)
        ).tangent
    return [torch.autograd.grad(y.sum(), x)[0] if y.requires_grad else None, tangent]


@pytest.mark.parametrize("name", WITHOUT)
def test_torch_has_no_derivative_of_what_is_not_written(name: str) -> None:
    """So there is no gradient to judge. A torch that has one fails here, and the function is due."""
    assert derivatives(name) == ([0.0, 0.0] if name == "round" else [None, None])


def test_a_derivative_is_noticed() -> None:
    assert None not in derivatives("round")


def test_a_new_name_is_noticed() -> None:
    assert missing({*functions(torch.special), "new_function"}) == {"new_function"}
