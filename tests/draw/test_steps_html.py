"""Step by step: every number belongs to a step, in the order in which it becomes known."""

import re
import xml.etree.ElementTree as ET
from html import unescape

import numpy as np
import pytest

import refgrad as rg
from refgrad.draw import steps
from refgrad.errors import GraphError


def words(html):
    return [unescape(w) for w in re.findall("<li>(.*?)</li>", html)]


def test_the_words_of_the_first_example():
    assert words(steps(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)) == [
        "the values of the inputs",
        "forward, +: from −2 and 5 comes 3",
        "forward, ×: from 3 and −4 comes −12",
        "backward, output: it starts with 1",
        "backward, ×: 1 comes back, and 1 × −4 = −4 and 1 × 3 = 3 is sent on",
        "backward, +: −4 comes back, and −4 × 1 = −4 and −4 × 1 = −4 is sent on",
    ]


def test_numbers_appear_when_they_are_known():
    html = steps(lambda x: np.exp(x) * x, 2.0)
    svg = ET.fromstring(re.search("<svg.*</svg>", html, flags=re.DOTALL)[0])  # noqa: S314  our own text
    texts = [
        (t.text, t.get("class"), t.get("data-step")) for t in svg.iter("{http://www.w3.org/2000/svg}text")
    ]
    at = {(text, kind): int(step) for text, kind, step in texts if step is not None}
    assert at["2", "value"] == 0
    assert at["7.39", "value"] == 1
    assert at["14.8", "value"] == 2
    assert at["1", "gradient"] == 3
    assert at["2", "gradient"] == 4
    assert at["14.8", "gradient"] == 5
    assert at["Σ 22.2", "gradient"] == 5  # a sum waits for its last part
    assert len(words(html)) == 6


def test_where_copies_meet_they_add():
    def f(x):
        y = x + 1
        return y * y

    assert "backward, +1: 2 + 2 = 4 comes back, and 4 × 1 = 4 is sent on" in words(steps(f, 1.0))


def test_without_javascript_all_is_there():
    html = steps(np.sin, 1.0)
    # Nothing is hidden until the script runs.
    assert "ahead" not in html.split("<script>")[0].replace(".ahead{", "")
    assert '<div class="bar" hidden>' in html  # but its buttons are
    assert html.count("<button") == 4
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")


def test_the_same_bytes_every_time():
    assert steps(np.sin, 1.0) == steps(np.sin, 1.0)


def test_a_graph_without_numbers_has_no_steps():
    g = rg.Graph()
    g.output(np.sin(g.input("a")))
    with pytest.raises(GraphError, match="no steps"):
        steps(g)
