"""Several backends in one command: how they are named, and the scope that they share, so that all judge the same cases."""

from __future__ import annotations

import argparse
import functools
import operator
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from refgrad.backends import Backend
from refgrad.bounds.formats import DTYPES
from refgrad.errors import ArgumentError, DtypeError
from refgrad.suite.scope import Scope, drawn_ops, scope
from refgrad.testing.cases.vocabulary import Shared

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
    devices = dict.fromkeys([*args.device, *(args.require_device or ())])
    own = [
        {(device, dtype): b.vocabulary(dtype, device) for device in devices for dtype in DTYPES}
        for b in found
    ]
    shared = {at: functools.reduce(operator.and_, (mine[at] for mine in own)) for at in own[0]}
    first = scope(args, found[0], shared)
    args.seed = first.seed  # the profile nightly draws one
    scopes = [first, *(scope(args, b, shared) for b in found[1:])]
    families = _common([s.families for s in scopes], "family", found)
    try:
        dtypes = _common([s.dtypes for s in scopes], "dtype", found)
    except ArgumentError as error:
        raise DtypeError(str(error)) from error
    names = labels(found)
    judged = [(device, dtype) for device, dtype in shared if dtype in dtypes]
    lacking = lacking_ops(
        {label: {at: mine[at] for at in judged} for label, mine in zip(names, own, strict=True)}, drawn_ops()
    )
    return [
        replace(s, families=families, dtypes=dtypes, beside=tuple(names), lacking=lacking) for s in scopes
    ]


def lacking_ops(own: Mapping[str, Shared], drawn: Collection[str]) -> dict[str, str]:
    """By op that the families draw and not all backends have, the labels of those that lack it, joined by ", ".

    ``own`` are the vocabularies of each backend, by label. A backend that has an op in some dtypes alone stands with those where it lacks
    it. A parameter that a backend lacks stands as "parameter sum.where". What all lack is left out.
    """
    found: dict[str, list[str]] = {}
    for label, mine in own.items():
        for op in sorted(drawn):
            without = list(dict.fromkeys(dtype for (_, dtype), v in mine.items() if op not in v.ops))
            everywhere = len(without) == len({dtype for _, dtype in mine})
            if without:
                found.setdefault(op, []).append(label if everywhere else f"{label} in {' '.join(without)}")
        for name in sorted(frozenset().union(*(v.fixed for v in mine.values()))):
            found.setdefault(f"parameter {name}", []).append(label)
    ops = {op: ", ".join(labels) for op, labels in sorted(found.items())}
    return {op: labels for op, labels in ops.items() if labels != ", ".join(own)}


def _common(lists: Sequence[Sequence[str]], what: str, found: Sequence[Backend]) -> list[str]:
    """The names that stand in every list. Raises ArgumentError where there is none."""
    common = [name for name in lists[0] if all(name in names for names in lists)]
    if not common:
        theirs = "; ".join(f"{b.name}: {', '.join(names)}" for b, names in zip(found, lists, strict=True))
        raise ArgumentError(f"--backend: no {what} is common to all ({theirs})")
    return common
