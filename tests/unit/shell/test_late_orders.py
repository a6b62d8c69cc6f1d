"""Which orders can still arrive: from records as they come, and from a journal's torn end."""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from daemon.model.records import EventType
from daemon.shell.stop.late_orders import MARGIN_NS, LateOrders, late_orders_of_journal

MS = 1_000_000
NOW = 1_700_000_000_000 * MS
WINDOW_NS = 3_000 * MS + MARGIN_NS


def sent(late: LateOrders, cid: str, ts_ns: int = NOW) -> None:
    late.on_record(EventType.ORDER_APPROVED, {"client_order_id": cid}, ts_ns)


def test_an_order_is_late_until_it_is_answered_or_too_old() -> None:
    late = LateOrders(3_000)
    assert late.until_ns(NOW) == 0
    sent(late, "a")
    sent(late, "b", NOW + 10 * MS)
    assert late.until_ns(NOW + 20 * MS) == NOW + 10 * MS + WINDOW_NS
    assert late.count(NOW + 20 * MS) == 2
    late.on_record(
        EventType.ORDER_STATE, {"client_order_id": "b", "new": "ACCEPTED", "order_id": "7"}, NOW
    )
    assert late.until_ns(NOW + 20 * MS) == NOW + WINDOW_NS
    assert late.until_ns(NOW + WINDOW_NS) == 0


@pytest.mark.parametrize(
    ("kind", "fields", "answers"),
    [
        (EventType.ORDER_STATE, {"new": "UNKNOWN"}, False),
        (EventType.ORDER_STATE, {"new": "PENDING_CANCEL", "order_id": None}, False),
        (EventType.ORDER_STATE, {"new": "PENDING_CANCEL", "order_id": "7"}, True),
        (EventType.ORDER_STATE, {"new": "REJECTED"}, True),
        (EventType.ORDER_STATE, {"new": "FILLED", "order_id": "7"}, True),
        (EventType.ORDER_REJECT, {}, True),
        (EventType.ORDER_RESOLVED, {"outcome": "not_sent"}, True),
        (EventType.CANCEL_REQUESTED, {}, False),
        (EventType.ORDER_STATE, {"client_order_id": "other", "new": "ACCEPTED"}, False),
    ],
)
def test_only_the_venues_word_is_an_answer(
    kind: EventType, fields: dict[str, Any], answers: bool
) -> None:
    late = LateOrders(3_000)
    sent(late, "a")
    if kind in late.hears:
        late.on_record(kind, {"client_order_id": "a"} | fields, NOW)
    assert (late.until_ns(NOW + MS) == 0) is answers


def test_old_orders_are_forgotten() -> None:
    late = LateOrders(3_000)
    for number in range(10_000):
        sent(late, f"o{number}", NOW + number * MS)
    assert len(late._sent_ns) < 5_000
    assert late.until_ns(NOW + 10_000 * MS) == NOW + 9_999 * MS + WINDOW_NS


def test_a_second_process_reads_it_from_the_journal(tmp_path: Path) -> None:
    rows = [
        {"event_type": "order_approved", "client_order_id": "a", "ts_ns": NOW},
        {"event_type": "order_state", "client_order_id": "a", "ts_ns": NOW, "new": "ACCEPTED"},
        {"event_type": "order_approved", "client_order_id": "b", "ts_ns": NOW + MS},
        {"event_type": "order_of_the_future", "client_order_id": "b", "ts_ns": NOW + MS},
        {"event_type": "order_state", "client_order_id": "b"},
    ]
    data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    (tmp_path / "journal-000001.jsonl").write_bytes(data)
    (tmp_path / "journal-000002.jsonl").write_bytes(b'{"event_type":"order_app')
    for path in tmp_path.iterdir():
        os.utime(path, ns=(NOW + MS, NOW + MS))
    at = NOW + 2 * MS
    found = late_orders_of_journal(tmp_path, 3_000, now_ns=at)
    assert found.until_ns(at) == NOW + MS + WINDOW_NS
    assert late_orders_of_journal(tmp_path / "absent", 3_000, now_ns=at).until_ns(NOW) == 0


@pytest.mark.parametrize("ahead_ns", [3_600_000 * MS, -3_600_000 * MS])
def test_an_order_of_a_daemon_whose_clock_was_wrong_is_waited_for_as_long_as_any(
    tmp_path: Path, ahead_ns: int
) -> None:
    row = {"event_type": "order_approved", "client_order_id": "a", "ts_ns": NOW + ahead_ns}
    path = tmp_path / "journal-000001.jsonl"
    path.write_bytes(orjson.dumps(row) + b"\n")
    os.utime(path, ns=(NOW, NOW))
    at = NOW + 5 * MS
    until = late_orders_of_journal(tmp_path, 3_000, now_ns=at).until_ns(at)
    assert NOW + WINDOW_NS <= until <= at + WINDOW_NS
