"""The keywords of torch.autograd.gradcheck and gradgradcheck: the effect of each in refgrad, or the reason for its refusal."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch

from refgrad.arguments import kind
from refgrad.bounds.formats import DTYPES, FORMATS, judged
from refgrad.errors import ArgumentError, DtypeError

GRADCHECK, GRADGRADCHECK = "gradcheck", "gradgradcheck"
_BOTH = frozenset({GRADCHECK, GRADGRADCHECK})
_NOTHING = "means nothing here: each element has a bound of its own, derived from rounding"


@dataclass(frozen=True)
class Keyword:
    """A keyword of torch's checks. ``raise_exception`` is a parameter of refgrad's checks and therefore not among them.

    meaning   the effect in refgrad
    of        the checks that accept it
    number    whether its value is a non-negative number; otherwise True or False
    """

    meaning: str
    of: frozenset[str] = _BOTH
    number: bool = False


KEYWORDS: dict[str, Keyword] = {
    "eps": Keyword("means nothing here: no finite differences are taken", number=True),
    "atol": Keyword(_NOTHING, number=True),
    "rtol": Keyword(_NOTHING, number=True),
    "nondet_tol": Keyword("by how much two answers to the same question may differ", number=True),
    "check_undefined_grad": Keyword("asks with some cotangents left out (None)"),
    "check_grad_dtypes": Keyword("is always done: a derivative of another dtype than its array is wrong"),
    "check_batched_grad": Keyword(
        "asks for several cotangents at once, by vmap, and by vmap over the inputs"
    ),
    "check_batched_forward_grad": Keyword(
        "asks for several tangents at once, by vmap, and by vmap over the inputs", frozenset({GRADCHECK})
    ),
    "check_forward_ad": Keyword("False leaves forward mode out", frozenset({GRADCHECK})),
    "check_backward_ad": Keyword("False leaves reverse mode out", frozenset({GRADCHECK})),
    "check_fwd_over_rev": Keyword("False leaves forward over reverse out", frozenset({GRADGRADCHECK})),
    "check_rev_over_rev": Keyword("False leaves reverse over reverse out", frozenset({GRADGRADCHECK})),
    "gen_non_contig_grad_outputs": Keyword(
        "is always done: some cotangents are not contiguous in memory", frozenset({GRADGRADCHECK})
    ),
    "fast_mode": Keyword("True asks the fewest questions"),
    "masked": Keyword("is refused where it is True: refgrad judges dense tensors"),
}


@dataclass
class Keywords:
    """The settings that the keywords select. ``notes`` has a sentence for each keyword without effect, for the report."""

    batched: bool = False  # also several cotangents at once
    batched_forward: bool = False  # also several tangents at once
    undefined: bool = True  # also with some cotangents left out
    nondet_tol: float = 0.0
    fast: bool = False  # the fewest questions
    forward: bool = True
    reverse: bool = True
    forward_over_reverse: bool = True
    reverse_over_reverse: bool = True
    notes: list[str] = field(default_factory=list)


def read(keywords: Mapping[str, object], who: str = GRADCHECK, own: Collection[str] = ()) -> Keywords:
    """The settings that torch's keywords select, for ``gradcheck`` or for ``gradgradcheck``; ``own`` are refgrad's keywords of that check.

    Raises ArgumentError for an unknown keyword, for a value of the wrong kind, for ``masked=True``, and where nothing is left to check.
    """
    for name, value in keywords.items():
        _check_name(name, who, own)
        _check_value(name, value, who)
    if keywords.get("masked"):
        raise ArgumentError(
            f"{who}: masked=True is for sparse tensors whose gradient has the sparsity of the input; refgrad judges dense tensors. Pass "
            "x.to_dense(), and leave masked out"
        )
    nondet_tol = keywords.get("nondet_tol", 0.0)
    assert isinstance(nondet_tol, (int, float)), "_check_value accepts numbers alone"
    settings = Keywords(
        batched=bool(keywords.get("check_batched_grad", False)),
        batched_forward=bool(keywords.get("check_batched_forward_grad", False)),
        undefined=bool(keywords.get("check_undefined_grad", True)),
        nondet_tol=float(nondet_tol),
        fast=bool(keywords.get("fast_mode", False)),
        forward=bool(keywords.get("check_forward_ad", True)),
        reverse=bool(keywords.get("check_backward_ad", True)),
        forward_over_reverse=bool(keywords.get("check_fwd_over_rev", True)),
        reverse_over_reverse=bool(keywords.get("check_rev_over_rev", True)),
        notes=_notes_on_ignored(keywords),
    )
    if not settings.forward and not settings.reverse:
        raise ArgumentError(
            f"{who}: check_forward_ad and check_backward_ad are both False, and nothing is left to check; one is expected to be True"
        )
    return settings


def _check_name(name: str, who: str, own: Collection[str]) -> None:
    names = [known for known, keyword in KEYWORDS.items() if who in keyword.of]
    if name in names:
        return
    near = difflib.get_close_matches(name, [*own, *names], n=3)
    advice = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"its own keywords are {', '.join(own)}; torch's keywords here are {', '.join(names)}"
    )
    raise ArgumentError(f"{who} has no keyword {name}; {advice}")


def _check_value(name: str, value: object, who: str) -> None:
    if KEYWORDS[name].number:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            given = repr(value) if isinstance(value, (int, float)) else kind(value)
            raise ArgumentError(f"{who}: {name} is {given}; a finite number that is not negative is expected")
    elif not isinstance(value, bool) and not (name == "masked" and value is None):
        raise ArgumentError(f"{who}: {name} is {kind(value)}; True or False is expected")


def _notes_on_ignored(keywords: Mapping[str, object]) -> list[str]:
    given: dict[str, list[str]] = {}  # by meaning: atol and rtol share one
    for name in keywords:
        if KEYWORDS[name].meaning.startswith(("means nothing", "is always done")):
            given.setdefault(KEYWORDS[name].meaning, []).append(name)
    return [
        f"{' and '.join(names)} {meaning.replace('means', 'mean', 1) if len(names) > 1 else meaning}"
        for meaning, names in given.items()
    ]


# Names of storage formats by the names that torch gives them.
_STORED = {fmt.storage: name for name, fmt in FORMATS.items() if not fmt.computed}


def dtype_name(dtype: object) -> str:
    """The name of a judged format, given as a torch dtype or as a name. Raises DtypeError for other values."""
    name = str(dtype).removeprefix("torch.") if isinstance(dtype, torch.dtype) else dtype
    name = _STORED.get(name, name) if isinstance(name, str) else name
    if not isinstance(name, str) or name not in FORMATS:
        raise DtypeError(
            f"dtype {dtype!r} is not judged; a name or a torch dtype is expected, one of {list(DTYPES)}"
        )
    return judged(name).name
