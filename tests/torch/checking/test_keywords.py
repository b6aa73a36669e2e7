"""torch's keywords: none is unknown, each does what it promises or is refused with a reason."""

from __future__ import annotations

import inspect

import pytest

torch = pytest.importorskip("torch")

from refgrad.errors import ArgumentError, DtypeError  # noqa: E402
from refgrad.torch.checking.keywords import KEYWORDS, Keywords, dtype_name, read  # noqa: E402

CHECKS = {"gradcheck": torch.autograd.gradcheck, "gradgradcheck": torch.autograd.gradgradcheck}
POSITIONS = {"func", "inputs", "grad_outputs"}


@pytest.mark.parametrize("who", list(CHECKS))
def test_every_keyword_of_torch_is_read(who: str) -> None:
    parameters = inspect.signature(CHECKS[who]).parameters
    theirs = set(parameters) - POSITIONS - {"raise_exception"}
    ours = {name for name, keyword in KEYWORDS.items() if who in keyword.of}
    assert theirs <= ours, f"torch {torch.__version__} has keywords that are not read: {theirs - ours}"
    assert {p for p in parameters if p in POSITIONS} == (
        {"func", "inputs"} if who == "gradcheck" else POSITIONS
    )


@pytest.mark.parametrize("who", list(CHECKS))
def test_the_defaults_of_torch_are_accepted(who: str) -> None:
    parameters = inspect.signature(CHECKS[who]).parameters
    given = {n: p.default for n, p in parameters.items() if n not in POSITIONS | {"raise_exception"}}
    settings = read(given, who)
    assert settings.notes
    assert settings.undefined
    assert not settings.fast


def test_nothing_given() -> None:
    assert read({}) == Keywords()


def test_what_each_keyword_does() -> None:
    read_first = read({"check_batched_grad": True, "check_batched_forward_grad": True, "check_undefined_grad": False, "nondet_tol": 1e-3,
                       "fast_mode": True, "check_forward_ad": False})  # fmt: skip
    assert read_first == Keywords(
        batched=True, batched_forward=True, undefined=False, nondet_tol=1e-3, fast=True, forward=False
    )
    assert not read({"check_backward_ad": False}).reverse
    second = read({"check_fwd_over_rev": False, "check_rev_over_rev": False}, "gradgradcheck")
    assert not second.forward_over_reverse
    assert not second.reverse_over_reverse
    assert read({"masked": None}).notes == []


def test_what_means_nothing_is_said_once() -> None:
    notes = read({"eps": 1e-6, "atol": 1e-5, "rtol": 0, "check_grad_dtypes": True}).notes
    assert len(notes) == 3
    assert notes[0].startswith("eps means nothing here")
    assert notes[1].startswith("atol and rtol mean nothing here")
    assert notes[2].startswith("check_grad_dtypes is always done")


@pytest.mark.parametrize(
    ("keywords", "who", "words"),
    [
        ({"atoll": 1}, "gradcheck", "did you mean atol"),
        ({"colour": 1}, "gradcheck", "keywords here are eps"),
        ({"dtype": "float32"}, "gradcheck", "has no keyword dtype; did you mean dtypes"),
        ({"colour": 1}, "gradcheck", "its own keywords are reference, dtypes; torch's"),
        ({"check_fwd_over_rev": True}, "gradcheck", "gradcheck has no keyword check_fwd_over_rev"),
        ({"check_forward_ad": True}, "gradgradcheck", "gradgradcheck has no keyword check_forward_ad"),
        ({"masked": True}, "gradcheck", "judges dense tensors"),
        ({"fast_mode": 1}, "gradcheck", "fast_mode is an int; True or False is expected"),
        ({"nondet_tol": -1.0}, "gradcheck", "nondet_tol is -1.0; a finite number that is not negative"),
        ({"nondet_tol": float("nan")}, "gradcheck", "nondet_tol is nan"),
        ({"eps": "small"}, "gradcheck", "eps is 'small'"),
        ({"atol": True}, "gradcheck", "atol is True"),
        ({"check_forward_ad": False, "check_backward_ad": False}, "gradcheck", "nothing is left to check"),
    ],
)
def test_what_is_refused(keywords: dict, who: str, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        read(keywords, who, ("reference", "dtypes"))


def test_dtypes_by_name_or_as_torch_has_them() -> None:
    assert [dtype_name(d) for d in (torch.float64, torch.float32, torch.bfloat16, torch.half, "float32", "tf32")] == [
        "float64", "float32", "bfloat16", "float16", "float32", "tf32",
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, "torch.float32", "double", None, 32])
def test_other_dtypes(dtype: object) -> None:
    with pytest.raises(DtypeError, match="is not judged; a name or a torch dtype"):
        dtype_name(dtype)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, "float8_e4m3", "float8_e4m3fn"])
def test_a_storage_format_is_refused_with_what_is_judged_of_it(dtype: object) -> None:
    with pytest.raises(
        DtypeError, match=r"'float8_e\dm\d' is a storage format.*The family casts judges casts"
    ):
        dtype_name(dtype)
