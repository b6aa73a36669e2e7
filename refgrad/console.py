"""What a command prints to: terminals of any encoding, pipes that are closed too early, and text that comes from anywhere."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys

# Mathematical signs where a terminal has none of them: a question mark in a number would say something else.
_PLAIN = {"−": "-", "–": "-", "±": "+-", "…": "~", "·": "|", "∞": "inf", "×": "x", "²": "^2", "\u202f": ",", "≤": "<="}  # fmt: skip


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error("refgrad.plain", _in_plain_letters)


def prepare() -> None:
    """Let whatever is printed be printable: what the encoding of standard output lacks is written in plain letters."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # closed, or somebody's own stream
            stream.reconfigure(errors="refgrad.plain")  # type: ignore[union-attr]


def say(text: str) -> str:
    """Print; returns why that was not possible. A reader who has left is no fault: `refgrad ... | head` is ordinary use."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence()
    except (OSError, ValueError) as error:
        silence()
        return str(getattr(error, "strerror", None) or error)
    return ""


def flushed(code: int) -> int:
    """The exit code, once everything printed has gone out. Raises BrokenPipeError where nobody takes it any more."""
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def silence() -> None:
    """Nobody reads standard output any more: what is still to come, also at the end of the process, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # not a stream of the system
        sys.stdout = None
    finally:
        os.close(nowhere)


def shown(text: object) -> str:
    """Text that a terminal shows and does not obey: lines stay, other control characters and direction marks do not."""
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in str(text).splitlines())


def told(text: object) -> str:
    """The same in a single line, for a message of a command."""
    return " ".join(shown(text).split("\n"))
