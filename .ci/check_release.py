"""Check that a tag may be released: ``python3 .ci/check_release.py v1.2.3``.

The tag names the version of the package, CHANGELOG.md has a section for that version, and no changelog fragment is left. The script
exits with 1 and names each condition that does not hold. It needs the standard library alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def version(root: Path) -> str:
    """The version of the package, as ``refgrad/__init__.py`` states it. Raises ValueError where it states none."""
    text = (root / "refgrad" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError('refgrad/__init__.py has no line __version__ = "..."')
    return found[1]


def fragments(root: Path) -> list[str]:
    """The names of the changelog fragments in ``changes/``."""
    return sorted(p.name for p in (root / "changes").glob("*.md") if p.name != "README.md")


def problems(root: Path, tag: str) -> list[str]:
    """Why ``tag`` may not be released, one sentence each. An empty list means that it may."""
    stated = version(root)
    found = []
    if tag != f"v{stated}":
        found.append(
            f"the tag is {tag!r}, but the version in refgrad/__init__.py is {stated!r}; expected the tag 'v{stated}'"
        )
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## {re.escape(stated)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section '## {stated} (date)'; run `nox -s changelog -- --yes`")
    if left := fragments(root):
        found.append(f"changes/ still holds {', '.join(left)}; run `nox -s changelog -- --yes`")
    return found


def main(arguments: list[str]) -> int:
    """Print the problems of the tag in ``arguments``. Return 1 if there are any, else 0, and 2 on wrong use."""
    if len(arguments) != 1:
        print("usage: check_release.py TAG", file=sys.stderr)
        return 2
    found = problems(ROOT, arguments[0])
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
