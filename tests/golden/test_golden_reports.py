"""Stored journals give stored reports, byte for byte.

A wanted change of the report: `UPDATE_GOLDEN=1 pytest tests/golden`, then read the diff. The stored
journals stay what they are; `UPDATE_GOLDEN=journals` writes them anew as well.
"""

import os
from pathlib import Path

import pytest

from daemon.model.records import EventType
from evidence.report.report import JSON_NAME, MARKDOWN_NAME, build_report, write_report
from tests.support.journal_maker import JournalMaker, encode, whole_story, write_journal

GOLDEN = Path(__file__).parent / "evidence"
UPDATE = os.environ.get("UPDATE_GOLDEN", "")


def clean() -> tuple[list[bytes], JournalMaker]:
    maker = whole_story(orders=10, sessions=2)
    return maker.lines(), maker


def troubled() -> tuple[list[bytes], JournalMaker]:
    """A crash, an unknown order, storms, an incident, a breach, and damaged lines."""
    maker = JournalMaker(3)
    maker.run_start()
    maker.session_start()
    maker.trade(6)
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "2999")
    names = {"client_order_id": cid, "symbol": "BTCUSDT", "instrument_id": "BTCUSDT@sim"}
    maker.write(EventType.TIMEOUT, **names, request="place", msg="deadline")
    maker.state(cid, "UNKNOWN", "silence")
    maker.write(EventType.DISCONNECTED, link="order", msg="reset by peer")
    maker.wait(2500)
    maker.write(EventType.RECONNECT, link="order", outage_ms=2400)
    maker.write(EventType.RATE_LIMIT, status=429, code=-1003, scope="weight", until_ns=0, msg="!")
    maker.write(
        EventType.INCIDENT_OPENED, incident_id="i1", trigger="reconnect_storm", msg="3 in 10 s",
        symbol="", context={},
    )  # fmt: skip
    maker.session_id = ""
    maker.run_start()
    maker.write(EventType.RECOVERY, records=40, from_seq=1, torn_bytes=12, torn_sha256="00")
    maker.state(cid, "REJECTED", "not found")
    maker.write(EventType.ORDER_RESOLVED, **names, outcome="absent", proof="not found")
    for order in list(maker.open):
        maker.cancel(order)
    maker.write(
        EventType.INCIDENT_RESOLVED, incident_id="i1", by="tester", root_cause="switch",
        remediation="moved", follow_up="none",
    )  # fmt: skip
    maker.session_start()
    approved = maker.approve("BTCUSDT", "BUY", "0.2", "2999")
    maker.accept(approved)
    maker.fill(approved)
    maker.session_stop()
    maker.run_stop()
    lines = encode(maker.records)
    lines[12] = b'{"seq":13,"garbled'
    del lines[20]
    return lines, maker


STORIES = {"clean": clean, "troubled": troubled}


@pytest.mark.parametrize("name", STORIES)
def test_a_stored_journal_gives_the_stored_report(tmp_path, name):
    home = GOLDEN / name
    if UPDATE == "journals":
        lines, maker = STORIES[name]()
        write_journal(home / "journal", lines, segment_lines=60)
        maker.save(tmp_path)
        (home / "ledger.json").write_bytes((tmp_path / "ledger.json").read_bytes() + b"\n")
    report = build_report([home / "journal"], ledger=home / "ledger.json")
    if UPDATE:
        write_report(report, home)
    for made in write_report(report, tmp_path / "out"):
        assert made.read_bytes() == (home / made.name).read_bytes(), made.name


def test_the_stored_reports_say_what_they_must():
    clean_text = (GOLDEN / "clean" / MARKDOWN_NAME).read_text()
    assert clean_text.startswith("# Evidence report: OK")
    text = (GOLDEN / "troubled" / JSON_NAME).read_text()
    for word in ('"NO_GO"', "malformed", "gap", "order_qty_base_max BTCUSDT: 0.2 of 0.1"):
        assert word in text
