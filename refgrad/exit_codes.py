"""The exit codes of the command ``refgrad``. All commands, reports and comparisons end with one of them."""

from __future__ import annotations

PASS = 0
FAIL = 1  # a disagreement, an error or a crash
USAGE = 2
PROVED_NOTHING = 3  # no verdict: nothing was compared, or a part is missing
