"""The operator's page in a real Chromium: scripts in texts stay texts, it reads at every width.

The judges are Chromium itself and axe-core (`axe-core/README.md`); the daemon is not needed.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.axe import serious_faults
from tests.support.browser import CHROMIUM, Browser
from tests.support.page_stage import SCRIPT, PageStage, feed_activity, served_page

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.xdist_group("chromium"),
]
ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/images"
PICTURES = {f"page-{width}-{scheme}.png": width for width in (1280, 768, 390)
            for scheme in ("light", "dark")}  # fmt: skip
IMAGE_BYTES_MAX = 300_000
DRAWN = "document.querySelectorAll('canvas').length === 4"
FILLED = (
    "document.querySelectorAll('#incidents li').length === 2 && "
    "document.querySelectorAll('#sessions tbody tr').length === 1"
)
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PWNED = "window.pwned !== undefined || document.querySelector('img, main script, header script')"
FOCUSED = """(e => e === document.body ? '' :
  e.getAttribute('aria-label') || e.textContent.trim())(document.activeElement)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStage]:
    with served_page(tmp_path_factory.mktemp("state")) as one:
        feed_activity(one.metrics)
        one.site.feed._frame_s = 0.2
        yield one


def shown(browser: Browser, stage: PageStage, *, width: int = 1280, scheme: str = "light") -> None:
    browser.open(f"http://127.0.0.1:{stage.port}/", width=width, scheme=scheme)
    browser.until(DRAWN)
    browser.until(FILLED)


def test_scripts_in_texts_are_shown_and_never_run(browser: Browser, stage: PageStage) -> None:
    shown(browser, stage)
    text = browser.run("document.body.textContent")
    assert text.count(SCRIPT) >= 20, "the texts of bots, strategies, venue and people are there"
    assert not browser.run(PWNED)
    assert browser.run("document.title").startswith("KILLED")
    assert browser.seen("Runtime.exceptionThrown") == []
    complaints = [one["entry"]["text"] for one in browser.seen("Log.entryAdded")]
    assert complaints == []


def test_it_asks_nobody_but_the_daemon(browser: Browser, stage: PageStage) -> None:
    shown(browser, stage)
    asked = {one["request"]["url"] for one in browser.seen("Network.requestWillBeSent")}
    assert all(url.startswith((f"http://127.0.0.1:{stage.port}/", "data:")) for url in asked), asked
    assert f"http://127.0.0.1:{stage.port}/page/live" in asked


@pytest.mark.parametrize("width", [1280, 768, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_hangs_out(
    browser: Browser, stage: PageStage, width: int, scheme: str
) -> None:
    shown(browser, stage, width=width, scheme=scheme)
    assert browser.run(WIDER) <= 0
    assert serious_faults(browser) == []


def test_the_keyboard_reaches_every_control_in_order(browser: Browser, stage: PageStage) -> None:
    shown(browser, stage)
    reached: list[str] = []
    for _ in range(60):
        for kind in ("keyDown", "keyUp"):
            browser.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab",
                        windowsVirtualKeyCode=9)  # fmt: skip
        name = browser.run(FOCUSED)
        if not name:
            break
        reached.append(name)
    wanted = ["Skip to the figures", "BTCUSDT", "The last fills as a table", "The other caps",
              "1 h", "24 h", "Open orders", "By strategy", "Sessions", "/metrics"]  # fmt: skip
    assert [one for one in reached if one in wanted] == wanted


def test_a_screen_reader_hears_the_state_and_names_of_the_drawings(
    browser: Browser, stage: PageStage
) -> None:
    shown(browser, stage)
    images = " ".join(browser.names("image"))
    for word in (
        "Equity over time, from",
        "Drawdown over time",
        "Price of BTCUSDT",
        "Denials in the last",
    ):
        assert word in images
    assert any(
        f"{SCRIPT} of " not in name and "used" in name for name in browser.names("progressbar")
    )
    assert "KILLED, gate READY" in browser.run("document.getElementById('spoken').textContent")


def test_a_silent_daemon_is_told_and_forgotten_when_it_speaks_again(
    browser: Browser, tmp_path: Path
) -> None:
    with served_page(tmp_path) as one:
        one.site.feed._frame_s = 0.2
        browser.open(f"http://127.0.0.1:{one.port}/")
        browser.until("document.getElementById('state').textContent === 'KILLED'")
        one.status["latched"] = False
        browser.until("document.getElementById('state').textContent === 'HALTED'")
        one.site.feed._frame_s = 3_600
        browser.until("document.getElementById('state').textContent === 'NO ANSWER'")
        assert "seatrial kill --direct" in browser.run(
            "document.getElementById('alarms').textContent"
        )


def test_a_daemon_that_is_gone_is_told_at_once(browser: Browser, tmp_path: Path) -> None:
    """By the connection that breaks: the page's own clock is stopped, so no wait can tell it."""
    with served_page(tmp_path) as one:
        browser.open(f"http://127.0.0.1:{one.port}/")
        browser.until("document.getElementById('state').textContent === 'KILLED'")
        browser.run("performance.now = () => seen.heard")
    browser.until("document.getElementById('state').textContent === 'NO ANSWER'")
    told = browser.run("document.getElementById('gate').textContent")
    assert told == "last heard: KILLED, gate READY"
    assert browser.run("document.title") == "NO ANSWER · seatrial"
    assert "what is shown is old" in browser.run("document.getElementById('alarms').textContent")


def test_on_a_phone_no_table_is_cut(browser: Browser, stage: PageStage) -> None:
    shown(browser, stage, width=390)
    cut = """[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)
      .map(e => e.getAttribute('aria-label')).join()"""
    assert browser.run(cut) == ""
    assert browser.run("document.querySelectorAll('#sessions td[data-name]').length") >= 6
    assert "session" in browser.names("columnheader")


def test_each_number_of_denials_says_of_when_it_is(browser: Browser, stage: PageStage) -> None:
    shown(browser, stage)
    tiles = browser.run("document.getElementById('tiles').textContent")
    assert "denied, this session4" in tiles
    total = browser.run("document.getElementById('denials-total').textContent")
    assert total == "60 in the last hour, all sessions"
    strategies = browser.run("document.getElementById('h-strategies').textContent")
    assert strategies == "By strategy since this boot"


def test_the_pictures_of_the_documents_are_there() -> None:
    for name, width in PICTURES.items():
        data = (IMAGES / name).read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">I", data[16:20])[0] == width
        assert len(data) <= IMAGE_BYTES_MAX, name
