"""``python -m refgrad``: the command ``refgrad``."""

from __future__ import annotations

from refgrad.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
