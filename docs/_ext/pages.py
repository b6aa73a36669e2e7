"""What the pages need of Sphinx: blocks that run, the table of ops, formulas as MathML, docstrings with columns."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from typing import Any, ClassVar

from blocks import execute, registry_kept
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

COLUMNS = re.compile(r"(\w[\w, ]*?)  +(\S.*)")


class Run(SphinxDirective):
    """``{run}``: Python, executed in the namespace of its page. ``:hide:`` shows the result alone."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"hide": directives.flag}

    def run(self) -> list[nodes.Node]:
        code = "\n".join(self.content)
        names = self.env.temp_data.setdefault("refgrad_names", {"__name__": "__page__"})
        printed, value = execute(code, names, str(self.env.doc2path(self.env.docname)), self.lineno)
        shown: list[nodes.Node] = []
        if "hide" not in self.options:
            shown.append(nodes.literal_block(code, code, language="python"))
        if printed:
            shown.append(nodes.literal_block(printed, printed, language="text", classes=["printed"]))
        if isinstance(value, str) and value.startswith(("<svg", "<figure")):
            frame = value if value.startswith("<figure") else f'<div class="drawing">{value}</div>'
            shown.append(nodes.raw("", frame, format="html"))
        elif value is not None:
            shown.append(nodes.literal_block(repr(value), repr(value), language="text", classes=["printed"]))
        return shown


class Ops(SphinxDirective):
    """``{ops}``: every op of the registry, by the file that its record stands in, with the measured error of its derivative."""

    def run(self) -> list[nodes.Node]:
        import refgrad.ops  # noqa: F401 - fills the registry
        from benchmarks.slopes.table import worst_points
        from refgrad.op import REGISTRY

        errors = worst_points(count=200)

        files: dict[str, list[Any]] = {}
        for name in sorted(REGISTRY):
            files.setdefault(REGISTRY[name].home, []).append(REGISTRY[name])
        lines: list[str] = []
        for module in sorted(files):
            title = (sys.modules[module].__doc__ or "").splitlines()[0]
            lines += [f"## {module.rpartition('.')[2]}", "", title, ""]
            lines += [
                "| op | NumPy | operands | parameters | derivative | torch | largest error |",
                "|---|---|---|---|---|---|---|",
            ]
            for op in files[module]:
                sig = op.signature
                lines.append(
                    f"| `{op.name}` | {', '.join(f'`{f.__name__}`' for f in op.numpy)} | "
                    f"`{'*' if sig.variadic else ''}{', '.join(sig.operands)}` | {', '.join(f'`{p}`' for p in sig.defaults)} | "
                    f"{'both modes' if sig.differentiable else '0 where it exists'} | {'yes' if op.torch else ''} | "
                    f"{errors.get(op.name, '')} |"
                )
            lines.append("")
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def docstring(_app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Docstrings are plain text: signs that reStructuredText would read are escaped, columns of arguments become fields."""
    paragraphs = _escaped("\n".join(lines).rstrip()).split("\n\n")
    lines[:] = [*"\n\n".join(_fields(p) for p in paragraphs).split("\n"), ""]


def _escaped(text: str) -> str:
    """Bars (of absolute values) and stars (of *args) outside literals are themselves."""
    pieces = re.split(r"(``.*?``|:\w+:`.*?`)", text, flags=re.DOTALL)
    return "".join(p if i % 2 else re.sub(r"([|*])", r"\\\1", p) for i, p in enumerate(pieces))


def _fields(paragraph: str) -> str:
    """``name   what it is`` in columns, with continuation lines, as fields; any other paragraph as it is."""
    rows = paragraph.split("\n")
    start = next((n for n, row in enumerate(rows) if COLUMNS.match(row)), None)
    if start is None:
        return paragraph
    column = COLUMNS.match(rows[start]).start(2)  # type: ignore[union-attr]
    fields: list[str] = []
    for row in rows[start:]:
        name, text = row[:column].strip(), row[column:]
        if not re.fullmatch(r"(\w[\w, ]*)?", name) or row[column - 1 : column] != " " or not (name or fields):
            return paragraph
        if name:
            fields.append(f":{name}: {text}")
        else:
            fields[-1] += " " + text
    return "\n".join([*rows[:start], *([""] if start else []), *fields])


def opened(app: Sphinx, _docname: str, _source: list[str]) -> None:
    """A page begins: what it registers is forgotten at its end."""
    app.env.temp_data["refgrad_registry"] = stack = ExitStack()
    stack.enter_context(registry_kept())


def closed(app: Sphinx, _doctree: nodes.document) -> None:
    """A page ends."""
    app.env.temp_data.pop("refgrad_registry", ExitStack()).close()


def _inline(self: Any, node: Any) -> None:
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(self: Any, node: Any) -> None:
    self.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of it."""
    app.add_directive("run", Run)
    app.add_directive("ops", Ops)
    app.add_lexer("output", TextLexer)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("source-read", opened)
    app.connect("doctree-read", closed)
    app.connect("autodoc-process-docstring", docstring)
    return {"version": "1", "parallel_read_safe": True}
