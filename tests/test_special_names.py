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


def test_a_new_name_is_noticed() -> None:
    assert missing({*functions(torch.special), "new_function"}) == {"new_function"}
