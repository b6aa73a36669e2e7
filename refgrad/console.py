"""Output of commands: terminals of any encoding, closed pipes, and text from untrusted sources."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

# ASCII substitutes of mathematical signs, for terminals that cannot encode them.
_SUBSTITUTES = {"−": "-", "–": "-", "±": "+-", "…": "~", "·": "|", "∞": "inf", "×": "x", "²": "^2", "\u202f": ",", "≤": "<="}  # fmt: skip


def _substituted(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SUBSTITUTES.get(c, "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error("refgrad.plain", _substituted)


def use_substitutes() -> None:
    """Replace characters that the encoding of standard output or standard error lacks by ASCII substitutes."""
    for stream in (sys.stdout, sys.stderr):
        # A stream may be closed, or of a class without reconfigure.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="refgrad.plain")  # type: ignore[union-attr]


def open_streams() -> None:
    """Connect each standard stream that is closed, as by ``2>&-`` or a service manager, to the null device.

    Otherwise the next file that is opened takes its number, and what a library or a worker prints goes into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)  # inheritable, also where it is the same number
            if nowhere == number:
                os.set_inheritable(number, True)
            else:
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  as long as the process


@contextlib.contextmanager
def kept_streams() -> Iterator[None]:
    """Afterwards standard output and standard error are as before, whatever was done to the streams and to the files behind them."""
    streams, copies = (sys.stdout, sys.stderr), {number: os.dup(number) for number in (1, 2)}
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        for number, copy in copies.items():
            os.dup2(copy, number)
            os.close(copy)


class _Forgiving(io.FileIO):
    """A file that takes what it cannot write."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def forgive_standard_error() -> None:
    """Drop messages that standard error does not take, because its reader has gone or its disk is full. No outcome depends on them."""
    stream = sys.stderr
    raw = getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None))
    if type(stream) is io.TextIOWrapper and type(raw) is io.FileIO:
        # not one that a test or a notebook puts in its place
        buffered = io.BufferedWriter(_Forgiving(raw.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(buffered, stream.encoding, stream.errors, line_buffering=True)


def print_text(text: str) -> str:
    """Print a text. Returns "", or the reason why standard output cannot be written.

    A closed pipe is no error, as in ``refgrad ... | head``: further output is discarded.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        discard_output()
    except (OSError, ValueError) as error:
        discard_output()
        return str(getattr(error, "strerror", None) or error)
    return ""


def flush(code: int) -> int:
    """Flush standard output and return the exit code. Raises BrokenPipeError where the reader has closed the pipe."""
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def discard_output() -> None:
    """Discard all further output, including what Python writes at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # a stream without a file descriptor
        sys.stdout = None
    finally:
        os.close(nowhere)


def printable(text: object) -> str:
    """Text that is safe to print: each control character other than a line break, and each direction mark, becomes a space."""
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in str(text).splitlines())


def printable_line(text: object) -> str:
    """The text in one line, safe to print."""
    return " ".join(printable(text).split("\n"))
