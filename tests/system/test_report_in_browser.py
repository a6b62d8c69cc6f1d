"""The HTML report in a real Chromium: fetches nothing, says nothing, reads in light and dark."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.report.html_report import HTML_NAME
from evidence.report.report import build_report, write_report
from tests.support.axe import serious_faults
from tests.support.browser import CHROMIUM, PICTURE_SIZE, PICTURES, Browser
from tests.support.journal_maker import whole_story

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/evidence"
IMAGES = ROOT / "docs/images"
IMAGE_BYTES_MAX = 300_000
CONTRAST_MIN = 4.5
"""WCAG 2 AA for text of ordinary size."""
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
pytestmark = pytest.mark.xdist_group("chromium")

CONTRASTS = """
(() => {
  const rgb = text => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(
    c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const ink = light(rgb(e instanceof SVGElement ? style.fill : style.color));
    const paper = light(behind(e));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    found.push([ratio, e.tagName + ' ' + e.textContent.trim().slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]).slice(0, 5);
})()
"""
WIDER_THAN_THE_WINDOW = "document.documentElement.scrollWidth - window.innerWidth"
PAPER = "getComputedStyle(document.body).backgroundColor"
TABS = """
[...document.querySelectorAll('a[href],button,input,[tabindex="0"]')].map(
  e => e.getAttribute('aria-label') || e.textContent.trim())
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A clean report, a troubled one, and one of several sessions."""
    out = tmp_path_factory.mktemp("pages")
    journal, ledger = whole_story(orders=40, sessions=3).save(out)
    write_report(build_report([journal], ledger=ledger), out)
    stored = {name: GOLDEN / name / HTML_NAME for name in ("clean", "troubled")}
    return {**stored, "sessions": out / HTML_NAME}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


def assert_silent(browser: Browser, page: Path) -> None:
    """It has asked for itself and inline data, and there is nothing in the console."""
    asked = [one["request"]["url"] for one in browser.seen("Network.requestWillBeSent")]
    beyond = [url for url in asked if url != page.as_uri() and not url.startswith("data:")]
    assert beyond == []
    assert page.as_uri() in asked
    assert browser.seen("Log.entryAdded") == []
    assert browser.seen("Runtime.consoleAPICalled") == []
    assert browser.seen("Runtime.exceptionThrown") == []


@needs_chromium
@pytest.mark.parametrize("name", ["clean", "troubled", "sessions"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_silent_readable_and_in_the_scheme_that_was_asked_for(browser, pages, name, scheme):
    browser.open(pages[name], scheme=scheme)
    assert_silent(browser, pages[name])
    worst = browser.run(CONTRASTS)
    assert worst[0][0] >= CONTRAST_MIN, worst
    paper = [int(part) for part in re.findall(r"\d+", browser.run(PAPER))]
    assert (sum(paper) > 600) == (scheme == "light")


@needs_chromium
@pytest.mark.parametrize("width", [360, 390, 768, 1100])
def test_no_sideways_scrolling_at_any_width(browser, pages, width):
    browser.open(pages["troubled"], width=width)
    assert browser.run(WIDER_THAN_THE_WINDOW) <= 0


@needs_chromium
def test_on_paper_it_is_ink_on_white(browser, pages):
    browser.open(pages["troubled"], scheme="dark", media="print")
    assert browser.run(PAPER) == "rgb(255, 255, 255)"
    assert browser.run(CONTRASTS)[0][0] >= CONTRAST_MIN


@needs_chromium
def test_a_screen_reader_hears_verdict_reasons_drawings_and_tables(browser, pages):
    browser.open(pages["troubled"])
    order = browser.run("[...document.querySelectorAll('h1,h2')].map(e => e.textContent)")
    assert order[:2] == ["NO GO", "Why"], "the verdict first, then why"
    assert set(order) <= set(browser.names("heading"))
    tables = browser.names("table")
    assert len(tables) >= 8
    assert all(tables), "every table has a name"
    drawings = browser.names("image")
    assert len(drawings) >= 4
    assert all(drawings), "every drawing has words"
    assert {"banner", "main", "contentinfo"} <= {
        role for role in ("banner", "main", "contentinfo") if browser.names(role)
    }


@needs_chromium
def test_the_keyboard_reaches_every_table_that_scrolls(browser, pages):
    browser.open(pages["troubled"], width=390)
    stops = browser.run(TABS)
    assert stops[0] == "Skip to the reasons"
    assert set(browser.names("table")) <= set(stops)
    browser.ask("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab",
                windowsVirtualKeyCode=9)  # fmt: skip
    assert browser.run("document.activeElement.textContent") == "Skip to the reasons"


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, pages, scheme):
    browser.open(pages["troubled"], scheme=scheme)
    assert serious_faults(browser) == []


@needs_chromium
def test_the_orders_are_searched_on_the_page(browser, pages):
    browser.open(pages["clean"])
    browser.run(
        "(field => { field.value = 'filled buy'; field.dispatchEvent(new Event('input')); })"
        "(document.querySelector('input[type=search]'))"
    )
    assert browser.run("document.querySelector('input[type=search]').checkVisibility()")
    shown = browser.run(
        "[...document.querySelectorAll('#section-orders-1 tbody tr')]"
        ".filter(row => row.checkVisibility()).map(row => row.textContent)"
    )
    every = browser.run("document.querySelectorAll('#section-orders-1 tbody tr').length")
    assert 0 < len(shown) < every
    assert all("BUY" in row and "FILLED" in row for row in shown)
    said = browser.run("document.getElementById('section-orders-1-said').textContent")
    assert said == f"{len(shown)} of {every} shown"
    assert_silent(browser, pages["clean"])


@pytest.mark.parametrize("name", PICTURES.values())
def test_the_pictures_of_the_readme_are_small_and_of_one_size(name: str) -> None:
    raw = (IMAGES / name).read_bytes()
    assert raw.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", raw[16:24]) == PICTURE_SIZE
    assert len(raw) < IMAGE_BYTES_MAX
