"""The templates' environment: what a template prints is escaped and free of control characters; the policy admits one script."""

from __future__ import annotations

import base64
import hashlib
import sys

import pytest

from refgrad.errors import RefgradError
from refgrad.report.page.templating import asset, environment, policy_hash, query

pytest.importorskip("jinja2")


def test_printed_text_is_escaped_and_has_no_control_characters() -> None:
    made = environment().from_string("{{ x }}|{{ y | cut(3) }}").render(x="<b>\x1b[31m\u202e", y="<script>")
    assert made == "&lt;b&gt; [31m|&lt;s…"


def test_a_name_that_nobody_gave_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        environment().from_string("{{ nobody }}").render()


def test_templates_are_compiled_once_and_jinja2_may_still_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    template = environment().get_template("page.html.j2")
    assert environment().get_template("page.html.j2") is template
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(RefgradError, match="needs jinja2"):
        environment()


def test_a_query_and_a_hash_are_what_a_browser_expects() -> None:
    assert query('op:"a b"') == "#q=op:%22a%20b%22"
    digest = base64.b64decode(policy_hash(asset("page.js")).removeprefix("sha256-"))
    assert digest == hashlib.sha256(asset("page.js").encode()).digest()
