"""The configuration of Sphinx; ``python3 -m nox -s docs`` builds the documentation. Building and reading it need no network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import refgrad  # noqa: E402 - found through the line above

project = "refgrad"
copyright = "the refgrad developers"  # noqa: A001 - Sphinx' name for it
version = release = refgrad.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "pages"]
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

autodoc_mock_imports = ["torch", "hypothesis"]  # the build has neither
autodoc_typehints = "none"  # the docstrings state types in words
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"refgrad {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sphinx = False
