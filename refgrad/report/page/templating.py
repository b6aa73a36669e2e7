"""The templates of pages: their environment with automatic escaping, their files, and hashes for the content-security policy."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import quote

from refgrad.errors import RefgradError
from refgrad.records import AGREE, DISAGREE, ERROR, IMPRECISE, KNOWN, UNDECIDED, UNSUPPORTED
from refgrad.report.analysis import text as words
from refgrad.report.analysis.findings import term

if TYPE_CHECKING:
    from jinja2 import Environment

SYMBOLS = {
    AGREE: "✓",
    DISAGREE: "✗",
    ERROR: "⚠",
    IMPRECISE: "≈",
    KNOWN: "≠",
    UNDECIDED: "?",
    UNSUPPORTED: "–",
}


def environment() -> Environment:
    """The environment of the templates. Raises RefgradError where jinja2 is not installed."""
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise RefgradError(
            'the HTML report needs jinja2, which is not installed: pip install "refgrad[conformance]"'
        ) from error
    return _environment()


@functools.cache
def _environment() -> Environment:
    """It keeps the templates that it has compiled, which takes longer than filling in those of a small run."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_finalize,
    )
    formatters = (
        words.short,
        words.exact,
        words.count,
        words.brief,
        words.several,
        words.place,
        words.cut,
        words.one_line,
    )
    made.filters |= {f.__name__: f for f in formatters} | {"query": query}
    made.globals |= {"percent": words.percent, "term": term, "symbols": SYMBOLS}
    return made


def _finalize(value: object) -> object:
    """Remove control characters from every text that a template prints. Markup, a subclass of str, is left as it is."""
    return words.plain(value) if type(value) is str else value


def query(value: str) -> str:
    """The fragment of a page's URL that selects rows of its table by a query."""
    return "#q=" + quote(value, safe=":")


def asset(name: str) -> str:
    """The text of a template, style sheet or script."""
    return (resources.files("refgrad.report.page") / "templates" / name).read_text(encoding="utf-8")


def policy_hash(content: str) -> str:
    """The hash by which the content-security policy of a page admits a style sheet or a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
