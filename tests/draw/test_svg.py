"""The SVG is well-formed, says what it shows, stands on light and dark paper, and no two of its texts overlap."""

import itertools
import random
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import refgrad as rg
from conformance.families import FAMILIES
from refgrad.draw.numbers import columns
from refgrad.draw.svg import ADVANCE, STYLE
from refgrad.testing.cases.source import Seeded

NS = {"s": "http://www.w3.org/2000/svg"}


def gates(x, y, z):
    return (x + y) * z


def read(svg):
    return ET.fromstring(svg)  # noqa: S314  our own text


OPS = (np.add, np.multiply, np.subtract, np.logaddexp, lambda a, _: np.tanh(a))


def some_function(seed, n):
    def f(*xs):
        rng, v = random.Random(seed), list(xs)
        while len(v) < n - 2:
            v.append(rng.choice(OPS)(rng.choice(v[-9:]), rng.choice(v[-9:])))
        return v[-1] + v[-2]

    return f


def test_it_says_what_it_is():
    svg = read(rg.draw(gates, -2.0, 5.0, -4.0))
    assert svg.get("role") == "img"
    assert svg.find("s:title", NS).text == "Computational graph of gates"
    assert "Result: −12." in svg.find("s:desc", NS).text
    values = [t.text for t in svg.iterfind(".//s:text[@class='value']", NS)]
    gradients = [t.text for t in svg.iterfind(".//s:text[@class='gradient']", NS)]
    assert values == ["−2", "5", "3", "−4", "−12"]
    assert gradients == ["−4", "−4", "−4", "3", "1"]


def check_texts(svg):
    """No two texts overlap, and all are inside; returns how many there are."""
    boxes = []
    for t in svg.iterfind(".//s:text", NS):
        height = 14 if t.get("class") == "name" else 12
        wide, x, y = columns(t.text) * height * ADVANCE, float(t.get("x")), float(t.get("y"))
        boxes.append((x - wide / 2, y - 0.75 * height, x + wide / 2, y + 0.2 * height, t.text))
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
    width, height = float(svg.get("width")), float(svg.get("height"))
    assert all(x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height for x0, y0, x1, y1, _ in boxes)
    return len(boxes)


@pytest.mark.parametrize("seed", range(12))
def test_no_two_texts_overlap(seed):
    size = random.Random(seed).randint(10, 60)
    args = np.random.default_rng(seed).normal(size=3)
    assert check_texts(read(rg.draw(some_function(seed, size), *args, local=seed % 2 == 0))) > size


@pytest.mark.parametrize("family", FAMILIES)
def test_whatever_the_suite_generates_can_be_drawn(family):
    # Empty arrays, steps, infinities, ops with parameters, several users: each with a node written out, or all local derivatives.
    for seed in range(30):
        case = FAMILIES[family](Seeded(seed), "float64")
        node = case.graph.order()[-1] if seed % 3 == 0 else None
        assert (
            check_texts(read(rg.draw(case.graph, *case.inputs.values(), local=seed % 2 == 0, node=node))) > 2
        )


def test_names_are_escaped():
    g = rg.Graph()
    x = g.input('<script>&"\x07')
    g.output(x + 1)
    svg = rg.draw(g)
    assert "<script>" not in svg
    assert (
        read(svg).find(".//s:g[@class='gate input']/s:text", NS).text == '<script>&"\N{REPLACEMENT CHARACTER}'
    )


def test_the_same_bytes_every_time():
    args = np.random.default_rng(0).normal(size=3)
    assert rg.draw(some_function(3, 40), *args) == rg.draw(some_function(3, 40), *args)


def test_ink_is_the_pages_own():
    assert "id=" not in rg.draw(gates, 1.0, 2.0, 3.0)  # drawings on one page cannot clash
    assert "prefers-color-scheme:dark" in STYLE
    assert "fill:currentColor" in STYLE
    rules = [r for r in STYLE.split("}") if "{" in r and not r.startswith("@media")]
    assert all(".refgrad-graph" in r for r in rules)  # and leave the page as it is


def test_a_chosen_node_is_marked():
    svg = read(rg.draw(gates, -2.0, 5.0, -4.0, node="multiply"))
    assert svg.find(".//s:g[@class='gate op marked']/s:text", NS).text == "×"
    assert "1 × −4 = −4" in [t.text for t in svg.iterfind(".//s:text", NS)]
