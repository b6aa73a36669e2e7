"""Writes a script for a failure that needs refgrad: the script contains the case and runs ``refgrad repro``."""

from __future__ import annotations

from collections.abc import Sequence

_BODY = """\
import tempfile
from pathlib import Path

{imports}from refgrad.cli import main

CASE = {case}

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "case.json")
    path.write_text(CASE, encoding="utf-8")
    raise SystemExit(main(["repro", str(path){options}]))
"""


def fallback(
    case_id: str, content: str, about: str, why: str, imports: Sequence[str] = (), backend: str = "torch"
) -> str:
    """The script of a case.

    case_id, content  the id of the case, and the case as JSON text
    about             the mode, dtype and device
    why               the reason why there is no script without refgrad
    imports           third-party modules whose code took part in the run
    backend           the name of the framework to judge
    """
    lines = [
        f"refgrad case {_plain(case_id)}: {_plain(about)}.",
        f"A script without refgrad cannot be written: {_plain(why)[:300]}.",
        "This one needs refgrad. It does what `refgrad repro` does with the case, and exits with 1 while it fails.",
    ]
    lines += ["Code of these modules took part in the run; they have to be importable."] if imports else []
    loaded = "".join(f"import {name}\n" for name in imports)
    return "".join(f"# {line}\n" for line in lines) + _BODY.format(
        imports=f"{loaded}\n" if loaded else "",
        case=_quoted(content),
        options="" if backend == "torch" else f', "--backend", {backend!a}',
    )


def _plain(text: str) -> str:
    """The text with all whitespace, line ends included, replaced by single spaces."""
    return " ".join(text.split())


def _quoted(text: str) -> str:
    """A string as Python source, split into lines of 100 characters."""
    pieces = [text[k : k + 100] for k in range(0, len(text), 100)] or [""]
    return "(\n" + "".join(f"    {piece!a}\n" for piece in pieces) + ")"
