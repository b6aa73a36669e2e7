"""Several backends in one command: how they are named, and the scope that they share, so that all judge the same cases."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from refgrad.backends import Backend
from refgrad.errors import ArgumentError, DtypeError
from refgrad.suite.scope import Scope, scope

DEFAULT = "torch"


def addresses(values: Sequence[str] | None) -> list[str]:
    """The backends that ``--backend`` names. Each value has one or several, separated by commas; a command with arguments stands alone.

    Raises ArgumentError where a name is empty or stands twice.
    """
    found: list[str] = []
    for value in values or [DEFAULT]:
        names = [name.strip() for name in value.split(",")]
        found += [value.strip()] if any(c.isspace() for name in names for c in name) else names
    if "" in found:
        raise ArgumentError(
            f"--backend {','.join(values or ())!r}: a name is empty; names are separated by single commas"
        )
    twice = sorted(address for address, times in Counter(found).items() if times > 1)
    if twice:
        raise ArgumentError(f"--backend: {', '.join(twice)} stands twice")
    return found


def labels(found: Sequence[Backend]) -> list[str]:
    """What reports call these backends: the name, with the release where several have one name.

    Raises ArgumentError where two have the same name and release.
    """
    names = Counter(b.name for b in found)
    made = [b.name if names[b.name] == 1 else str(b.build) for b in found]
    twice = sorted(label for label, times in Counter(made).items() if times > 1)
    if twice:
        raise ArgumentError(
            f"--backend: {', '.join(b.address for b in found)}: two of them are {twice[0]}, and reports could not tell them apart"
        )
    return made


def shared_scopes(args: argparse.Namespace, found: Sequence[Backend]) -> list[Scope]:
    """The scope of each backend. All have the same families, dtypes, devices and seed, and draw from the ops that every backend has.

    Raises ArgumentError for options that are for one backend alone, and as ``scope`` does; DtypeError where no dtype is common to all.
    """
    for name, given in (("--for", args.budget), ("--last-failed", args.last_failed)):
        if given:
            why = (
                "a time has room for more cases of one than of another"
                if name == "--for"
                else "each has failures of its own"
            )
            raise ArgumentError(
                f"{name} with several backends: they are to judge the same cases, and {why}. Name one backend"
            )
    if not args.device:
        args.device = _common([b.devices() for b in found], "device", found)
    first = scope(args, found[0])
    args.seed = first.seed  # the profile nightly draws one
    scopes = [first, *(scope(args, b) for b in found[1:])]
    families = _common([s.families for s in scopes], "family", found)
    try:
        dtypes = _common([s.dtypes for s in scopes], "dtype", found)
    except ArgumentError as error:
        raise DtypeError(str(error)) from error
    left_out = lacking(found)
    beside = tuple(labels(found))
    return [replace(s, families=families, dtypes=dtypes, left_out=left_out, beside=beside) for s in scopes]


def lacking(found: Sequence[Backend]) -> dict[str, str]:
    """By op that some of these backends have, and others lack, the labels of those that lack it."""
    ops = [frozenset(b.ops) for b in found]
    names = labels(found)
    return {
        op: ", ".join(label for label, mine in zip(names, ops, strict=True) if op not in mine)
        for op in sorted(frozenset().union(*ops) - frozenset.intersection(*ops))
    }


def _common(lists: Sequence[Sequence[str]], what: str, found: Sequence[Backend]) -> list[str]:
    """The names that stand in every list. Raises ArgumentError where there is none."""
    common = [name for name in lists[0] if all(name in names for names in lists)]
    if not common:
        theirs = "; ".join(f"{b.name}: {', '.join(names)}" for b, names in zip(found, lists, strict=True))
        raise ArgumentError(f"--backend: no {what} is common to all ({theirs})")
    return common
