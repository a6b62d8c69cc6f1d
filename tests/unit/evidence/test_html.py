"""The page: same figures as the JSON, nothing from elsewhere, safe with hostile journals."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from daemon.model.records import EventType
from evidence.report.html_report import HTML_NAME, html_of
from evidence.report.report import build_report, write_report
from evidence.report.svg import round_steps, span_text
from tests.support.journal_maker import whole_story, write_journal

VOID = {"meta", "link", "br", "line", "rect", "path", "img", "hr", "input"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """Collects what the tests ask for, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"href", "src", "action"}]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("page")
    maker = whole_story(orders=40, sessions=2)
    journal, ledger = maker.save(directory)
    write_report(build_report([journal], ledger=ledger), directory / "out")
    return directory / "out"


def test_the_page_is_whole_and_asks_for_nothing_from_elsewhere(made):
    text = (made / HTML_NAME).read_text()
    page = Page(text)
    assert page.stack == []
    assert page.tags.count("h1") == 1
    assert {"iframe", "form", "object"} & set(page.tags) == set()
    assert page.links[:2] == ["data:,", "#why"]
    ids = set(re.findall(r' id="([^"]+)"', text))
    assert {link.removeprefix("#") for link in page.links[1:]} <= ids, "a figure leads nowhere"
    assert {"#section-orders-1", "#section-denied-1"} <= set(page.links)
    assert not re.search(r"https?:|@import|url\(", text)
    assert "default-src 'none'" in text


def test_the_one_script_is_named_by_its_hash_and_no_other_may_run(made):
    text = (made / HTML_NAME).read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.endswith(f"; script-src 'sha256-{digest}'")


def test_the_hash_to_sign_is_that_of_the_json_beside_it(made):
    digest = hashlib.sha256((made / "evidence_report.json").read_bytes()).hexdigest()
    words = " ".join(Page((made / HTML_NAME).read_text()).text)
    assert digest in words
    for name in ("Name", "Date", "Decision", "Signature"):
        assert name in words


def test_an_order_is_listed_with_the_numbers_of_its_lines(made):
    plain = json.loads((made / "evidence_report.json").read_text())
    (journal,) = plain["journals"]
    activity = journal["activity"]
    lines = {
        record["seq"]: record
        for path in (made.parent / "journal").glob("*.jsonl")
        for record in map(json.loads, path.read_text().splitlines())
    }
    assert len(activity["orders"]) == journal["orders"]["approved"]
    for order in activity["orders"]:
        found = [lines[number] for number in order["lines"]]
        assert found[0]["event_type"] == "order_approved"
        assert {one["client_order_id"] for one in found} == {order["client_order_id"]}
        filled = sum(Decimal(one["qty"]) for one in found if one["event_type"] == "fill")
        assert Decimal(order["filled"]) == filled
    owners = activity["owners"].values()
    assert sum(one["fills"] for one in owners) == journal["orders"]["fills"]
    assert sum(one["denied"] for one in owners) == journal["orders"]["denied"]
    by_reason = {
        reason: sum(count for _, count in one["points"])
        for reason, one in activity["denials"].items()
    }
    assert by_reason == journal["orders"]["denials_by_reason"]
    for denied in activity["denied"]:
        assert lines[denied["seq"]]["deny_reason"] == denied["reason"]


def test_the_page_speaks_to_those_who_do_not_see(made):
    text = (made / HTML_NAME).read_text()
    assert '<html lang="en">' in text
    drawings = re.findall(r"<svg [^>]*>", text)
    assert len(drawings) == 8  # two symbols' fills, and denials, among them
    assert all('role="img"' in one and 'aria-label="' in one for one in drawings)
    assert text.count("<title>") >= 1 + len(drawings)
    assert text.count("<table>") == text.count("<caption>") > 5
    assert text.count('tabindex="0"') == text.count("<table>")


def test_the_page_holds_the_figures_of_the_json(made):
    plain = json.loads((made / "evidence_report.json").read_text())
    words = " ".join(Page((made / HTML_NAME).read_text()).text)
    journal = plain["journals"][0]
    for figure in (
        plain["verdict"].replace("_", " "),
        journal["integrity"]["head"],
        f"{journal['decisions']['agreed']} of {journal['decisions']['checked']}",
        journal["positions"]["symbols"]["BTCUSDT"]["profit_quote"],
        journal["sessions"]["sessions"][1]["session_id"],
        *journal["orders"]["denials_by_reason"],
    ):
        assert str(figure) in words


def test_a_hostile_journal_writes_no_markup(tmp_path):
    maker = whole_story()
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    maker.records[-1]["reason"] = evil
    maker.session_start()
    maker.write(
        EventType.INCIDENT_OPENED, incident_id=evil, trigger=evil, msg=evil, symbol=evil, context={}
    )
    maker.deny(evil)
    maker.write(EventType.TRADING_STATE, old="ACTIVE", new=evil, why=evil, by=evil, latched=False)
    journal, _ = maker.save(tmp_path)
    text = html_of(build_report([journal]).to_json())
    page = Page(text)
    assert page.stack == []
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert "&lt;script&gt;alert(1)" in text


def test_an_empty_report_is_a_page_too():
    plain = {
        "verdict": "INSUFFICIENT", "reasons": ["nothing"], "modes": [], "limits": [],
        "counts_as_testnet_evidence": False, "journals": [], "foreign": [],
    }  # fmt: skip
    assert Page(html_of(plain)).stack == []


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0, 110, [0, 25, 50, 75, 100]), (-2, 0.1, [-2, -1.5])],
)
def test_axes_have_round_values(low, high, steps):
    found = round_steps(low, high)
    assert found[: len(steps)] == pytest.approx(steps)
    assert 3 <= len(found) <= 6


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [(850, "850 ns"), (1.5e3, "1.5 µs"), (12.5e6, "12.5 ms"), (3.2e9, "3.2 s"), (5.4e12, "1.5 h")],
)
def test_durations_read_well(duration_ns, text):
    assert span_text(duration_ns) == text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_real_browser_shows_it_without_a_complaint_or_a_request(made, tmp_path):
    log = tmp_path / "net.json"
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
            "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
            f"--screenshot={tmp_path / 'page.png'}", "--window-size=1100,1400",
            (made / HTML_NAME).as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    assert (tmp_path / "page.png").stat().st_size > 20_000
    asked = re.findall(r'"url":"(https?://[^"]+)"', log.read_text())
    own = re.compile(r"https?://[a-z0-9.]*(google|googleapis|gvt1)\.com/")
    assert [url for url in asked if not own.match(url)] == [], "beyond the browser's own wishes"


def test_sessions_stand_side_by_side_and_differences_are_said(tmp_path):
    journal, ledger = whole_story(sessions=2).save(tmp_path)
    page = html_of(build_report([journal], ledger=ledger).to_json())
    assert "Sessions side by side" in page
    assert "<strong>the same</strong> in all" in page
    single, books = whole_story().save(tmp_path / "single")
    assert "Sessions side by side" not in html_of(build_report([single], ledger=books).to_json())


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_journal_of_a_daemon_that_ended_at_once_makes_a_page(tmp_path, lines):
    """A port in use, say: a run's start, and no state was ever reached."""
    write_journal(tmp_path / "journal", whole_story(sessions=0).lines()[:lines])
    text = html_of(build_report([tmp_path / "journal"]).to_json())
    assert Page(text).stack == []
