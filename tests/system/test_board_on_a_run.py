"""The Grafana board, on a real run: a real Prometheus has an answer to each of its queries.

Bots trade, a link breaks, a kill and a drill are played. What is drawn of it in the documents says
that our script drew it.
"""

from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.support.alerting import needs_monitoring
from tests.support.board_picture import BOARD, ROOT, TOLD, Answer, answers, draw, watched_run
from tests.support.browser import CHROMIUM

RUN_S = 10.0
DEADLINE_S = 60.0
LATER = {
    "seatrial_journal_bytes_per_day": "known after some minutes",
    "seatrial_journal_left_seconds": "known after some minutes",
    "seatrial_anchor_queued": "of a box with sinks",
    "seatrial_clock_round_trip_seconds_bucket": "the clock is compared at boot, then seldom",
}
PNG = b"\x89PNG\r\n\x1a\n"
BYTES_MAX = 700_000

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.xdist_group("alerts"),
    needs_monitoring,
]


def has_answer(one: Answer) -> bool:
    return bool(one.series) or any(name in one.expr for name in LATER)


def test_every_query_of_every_panel_is_answered_on_a_real_run(tmp_path: Path) -> None:
    with watched_run(tmp_path, seconds=RUN_S) as base:
        end = monotonic() + DEADLINE_S
        found = answers(base, seconds=DEADLINE_S)
        while monotonic() < end and not all(map(has_answer, found)):  # a rule lags behind a scrape
            sleep(0.5)
            found = answers(base, seconds=DEADLINE_S)
    assert len(found) == sum(len(panel.get("targets", ())) for panel in BOARD["panels"]) > 60
    silent = [f"{one.panel['title']}: {one.expr}" for one in found if not has_answer(one)]
    assert not silent, "no data:\n" + "\n".join(silent)
    with_data = {one.panel["title"] for one in found if one.series}
    assert with_data == {one.panel["title"] for one in found}, "a panel without any line"
    if CHROMIUM is not None:
        picture = tmp_path / "board.png"
        draw(found, picture)
        assert picture.read_bytes().startswith(PNG)


def test_the_picture_in_the_documents_says_who_drew_it() -> None:
    raw = (ROOT / "docs/images/grafana-board.png").read_bytes()
    assert raw.startswith(PNG)
    assert len(raw) < BYTES_MAX
    page = (ROOT / "docs/screens.md").read_text()
    assert TOLD in " ".join(page.split())
    assert "(images/grafana-board.png)" in page
