"""The page of a hundred thousand results in a real browser: search, deep links, copying, dark mode, accessibility, silence.

`nox -s browser` runs it. It wants Playwright and axe-core from PyPI, and the system's Chromium (or the one REFGRAD_BROWSER names).
"""

import json
import os
import re
import shutil
import sys
import time

import pytest

from refgrad.report import compare_with_baseline, write
from refgrad.report.storage.load import load

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: `nox -s browser` brings it"
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-core is not installed: `nox -s browser` brings it"
)

BROWSER = os.environ.get("REFGRAD_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium was found; REFGRAD_BROWSER names one")


def until(page, holds: str, seconds: float = 30) -> None:
    """Wait until an expression is true. Playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(holds):
        assert time.monotonic() < end, holds
        page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def synthetic(request):
    """The generator of runs in conftest.py, which has no name to import it by."""
    [plugin] = [
        p
        for p in request.config.pluginmanager.get_plugins()
        if getattr(p, "HOSTILE", None) and hasattr(p, "synthetic")
    ]
    return plugin.synthetic


@pytest.fixture(scope="module")
def address(tmp_path_factory, synthetic):
    folder = tmp_path_factory.mktemp("page")
    results = folder / "results.jsonl"
    with results.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in synthetic(100_000, modes=("reverse",)))
    run = load(results)
    assert run.tally.results == 100_000
    write(run, folder / "report.html", compare_with_baseline(run, run))
    assert (folder / "report.html").stat().st_size < 1_000_000
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def graph_address(tmp_path_factory, synthetic):
    """The address of a page with one failing case: a chain of 90 nodes, whose wrong one is the 45th."""
    helpers = sys.modules[synthetic.__module__]
    case = helpers.case("tanh", 3)
    nodes = [{"op": "tanh" if k == 44 else "sin", "of": [k], "with": {}} for k in range(89)]
    case["graph"] |= {"nodes": [{"input": "x"}, *nodes], "outputs": [89]}
    line = helpers.wrong("ab" * 8, mode="forward", case=case, first_wrong={"node": 45, "op": "tanh"})
    folder = tmp_path_factory.mktemp("graph")
    results = folder / "results.jsonl"
    lines = [helpers.header(), *helpers.apart(line)]
    results.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    write(load(results), folder / "report.html")
    return (folder / "report.html").as_uri()


@pytest.fixture(params=["light", "dark"])
def page(request, browser, address):
    """A page that may say nothing on the console and ask nothing of the network."""
    context = browser.new_context(
        color_scheme=request.param, permissions=["clipboard-read", "clipboard-write"]
    )
    opened = context.new_page()
    said, asked = [], []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda wanted: asked.append(wanted.url))
    opened.goto(address)
    until(opened, "document.querySelectorAll('.rows tbody tr').length > 0")
    yield opened
    assert not said
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()


def found(page) -> str:
    return page.locator("#found").inner_text()


def test_searching_filters_the_rows_and_keeps_the_address(page):
    assert "100,000 results" in found(page)
    page.fill("#query", "op:svd status:disagree")
    until(page, "location.hash.includes('svd')")
    assert "#q=op:svd%20status:disagree" in page.url
    rows = page.locator(".rows tbody tr")
    assert 0 < rows.count() <= 200
    assert all("svd" in text and "disagree" in text for text in rows.all_inner_texts())
    page.fill("#query", "op:nothing-of-this-name")
    until(page, "document.getElementById('found').textContent.includes('nothing matches')")
    assert rows.count() == 0


def test_a_link_with_a_query_opens_on_its_rows(page, address):
    page.goto("about:blank")
    page.goto(address + "#q=dtype:float32%20status:error")
    until(page, "document.querySelectorAll('.rows tbody tr').length > 0")
    assert page.input_value("#query") == "dtype:float32 status:error"
    assert all(
        "float32" in text and "error" in text for text in page.locator(".rows tbody tr").all_inner_texts()
    )
    page.locator("a[href^='#q=']").first.click()
    until(page, "document.getElementById('query').value !== 'dtype:float32 status:error'")


def test_the_buttons_copy_what_stands_beside_them(page):
    for kind in ("repro", "script"):
        button = page.locator(f"button.copy[data-copy^='{kind}-']").first
        wanted = button.get_attribute("data-copy")
        button.evaluate(
            "b => { for (let d = b.closest('details'); d; d = d.parentElement.closest('details')) d.open = true; }"
        )
        button.click()
        until(page, "document.getElementById('said').textContent.startsWith('Copied')")
        text = page.evaluate("navigator.clipboard.readText()")
        assert text == page.locator(f"#{wanted}").evaluate("e => e.textContent")
        assert text.startswith("refgrad repro" if kind == "repro" else "import torch")
        until(page, "document.getElementById('said').textContent === ''")


def test_the_scheme_follows_the_reader(page):
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    paper = page.evaluate(
        "getComputedStyle(document.documentElement).backgroundColor + getComputedStyle(document.body).backgroundColor"
    )
    light = sum(map(int, re.findall(r"\d+", paper.split("rgb")[-1])[:3])) > 3 * 128
    assert light != dark


@pytest.mark.parametrize("width", [1300, 400])
def test_a_drawing_is_sized_by_buttons_and_keys_and_shows_the_wrong_node(browser, graph_address, width):
    context = browser.new_context(viewport={"width": width, "height": 800})
    opened = context.new_page()
    opened.goto(graph_address)
    svg = opened.locator(".paper svg").first

    def size():
        return float(svg.get_attribute("width"))

    whole = float(svg.get_attribute("viewBox").split()[2])
    before = size()
    opened.get_by_role("button", name="Larger").first.click()
    assert size() == pytest.approx(1.25 * before)
    pane = opened.locator(".paper").first
    pane.focus()
    opened.keyboard.press("-")
    assert size() == pytest.approx(before)
    opened.keyboard.press("1")
    assert size() == pytest.approx(whole)
    wrong, room = opened.locator(".suspect rect").first.bounding_box(), pane.bounding_box()
    assert room["x"] <= wrong["x"] + wrong["width"] / 2 <= room["x"] + room["width"]
    assert room["y"] <= wrong["y"] + wrong["height"] / 2 <= room["y"] + room["height"]
    opened.keyboard.press("0")
    assert pane.evaluate("p => p.scrollWidth <= p.clientWidth && p.scrollHeight <= p.clientHeight + 1")
    details = opened.locator("details:has(.view)").first
    details.locator("summary").first.click()  # the whole graph begins when it is opened
    opened.wait_for_timeout(100)
    assert details.locator(".zoom").is_visible()
    assert details.locator(".suspect").is_visible()
    context.close()


def test_without_javascript_a_drawing_scrolls(browser, graph_address):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 400, "height": 800})
    opened = context.new_page()
    opened.goto(graph_address)
    assert not opened.locator(".zoom").first.is_visible()
    assert opened.locator(".paper").first.evaluate("p => getComputedStyle(p).overflow") == "auto"
    assert opened.locator(".suspect").first.is_visible()
    context.close()


def test_an_address_opens_the_case_that_it_names(browser, graph_address):
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(graph_address)
    opened.evaluate(
        "document.querySelector('.case').before(Object.assign(document.createElement('details'), { id: 'folded' }))"
    )
    opened.evaluate("document.getElementById('folded').append(document.querySelector('.case'))")
    assert not opened.locator(".case").is_visible()
    opened.evaluate("location.hash = '#case-abababababababab-forward'")
    opened.wait_for_timeout(100)
    assert opened.locator(".case").is_visible()
    assert opened.evaluate("Math.abs(document.querySelector('.case').getBoundingClientRect().top) < 60")
    link = opened.locator(".rows tbody a").first
    assert link.get_attribute("href") == "#case-abababababababab-forward"
    context.close()


def test_axe_finds_nothing(page):
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    report = axe.Axe().run(page)
    assert report.violations_count == 0, report.generate_report()


def test_a_caption_is_not_squeezed_to_a_small_table(page):
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    widths = page.evaluate(
        "[...document.querySelectorAll('caption:not(.unseen)')].map(c => c.getBoundingClientRect().width)"
    )
    assert min(widths) > 300, widths


def test_the_keyboard_reaches_the_table(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    page.focus("#query")
    page.keyboard.type("gelu")
    until(page, "location.hash.includes('gelu')")
