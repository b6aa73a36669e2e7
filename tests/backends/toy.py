"""The backend of docs/extend/backend.md: its file, and its class without the bug that the page finds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from refgrad.backends import Backend

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extend" / "backend.md").read_text(encoding="utf-8")
FILE = re.findall(r"```\{run\}\n(.*?)```", PAGE, re.DOTALL)[0]
MENDED = FILE.replace("1 - y),  # the bug: y is not squared", "1 / np.cosh(x) ** 2),")


def toy_class() -> type[Backend]:
    """The class without its bug."""
    names: dict[str, Any] = {}
    exec(MENDED, names)  # noqa: S102 - the text of a page of the documentation
    made: type[Backend] = names["Toy"]
    return made
