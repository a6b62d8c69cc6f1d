"""The liar suite: a clever operator edits the journal and makes every hash good again.

Each trick must end in NO_GO or INSUFFICIENT, for the right reason. The operator rewrites the
journal and numbers and chains it anew, so only substance can give the trick away: the venue's
books, counts that no longer agree, ids that are missing, time that does not add up.
"""

import copy
import json

import pytest

from daemon.model.records import EventType
from evidence.report import build_report
from tests.support.journal_maker import MS, encode, whole_story, write_journal


def removed_reject(records):
    """The venue's no disappears."""
    where = next(i for i, r in enumerate(records) if r["event_type"] == "order_reject")
    del records[where]


def removed_rejected_order(records):
    """The refused order disappears altogether, and the stop line's count is made good."""
    cid = next(r["client_order_id"] for r in records if r["event_type"] == "order_reject")
    records[:] = [r for r in records if r.get("client_order_id") != cid]
    next(r for r in records if r["event_type"] == "session_stop")["orders"] -= 1


def removed_last_rejected_order(records):
    """The same with the last order of a run, which leaves no hole in the ids."""
    last = [r["client_order_id"] for r in records if r["event_type"] == "order_approved"][-1]
    records[:] = [r for r in records if r.get("client_order_id") != last]
    next(r for r in records if r["event_type"] == "session_stop")["orders"] -= 1


def altered_fill(records):
    """A fill at a better price."""
    fill = next(r for r in records if r["event_type"] == "fill" and r["side"] == "SELL")
    fill["price"] = "3100"
    fill["fee"] = fill["fee"]


def altered_fill_qty(records):
    """A smaller fill, with the position, the state and the stop line made good."""
    fill = next(r for r in records if r["event_type"] == "fill" and not r["partial"])
    fill["qty"] = "0.001"


def dropped_tail(records):
    """The night ends before the trouble."""
    del records[len(records) * 3 // 4 :]


def dropped_tail_at_a_quiet_place(records):
    """Cut where no order is open, with a stop line and a run stop written by hand."""
    stop, run_stop = records[-2], records[-1]
    kept = [r for r in records if r["ts_ns"] < records[len(records) // 2]["ts_ns"]]
    open_ids = {r["client_order_id"] for r in kept if r["event_type"] == "order_approved"}
    ended = {"FILLED", "CANCELED", "REJECTED"}
    open_ids -= {r["client_order_id"] for r in kept if r.get("new") in ended}
    kept = [r for r in kept if r.get("client_order_id") not in open_ids]
    count = {
        name: sum(r["event_type"] == kind for r in kept)
        for name, kind in (
            ("orders", "order_approved"), ("fills", "fill"), ("denied", "order_denied"),
        )
    }  # fmt: skip
    at = kept[-1]["ts_ns"]
    records[:] = [*kept, {**stop, **count, "ts_ns": at}, {**run_stop, "ts_ns": at}]


def cloned_quiet_session(records):
    """A good session twice: ids, times and numbers moved on."""
    start = next(i for i, r in enumerate(records) if r["event_type"] == "session_start")
    stop = next(i for i, r in enumerate(records) if r["event_type"] == "session_stop")
    copied = copy.deepcopy(records[start : stop + 1])
    shift = records[-1]["ts_ns"] - records[start]["ts_ns"] + 5 * MS
    for record in copied:
        record["ts_ns"] += shift
        record["session_id"] = "abc123-s9"
    copied = [r for r in copied if not r.get("client_order_id")]
    stop_line = copied[-1]
    stop_line.update(orders=0, fills=0)
    end = {**records[-1], "ts_ns": copied[-1]["ts_ns"]}
    records[:] = [*records[:-1], *copied, end]


def renamed_sim_session(records):
    """Only the mode is renamed."""
    for record in records:
        record["mode"] = "testnet"


def thoroughly_renamed_sim_session(records):
    """Mode, venue and environment are renamed; the venue's books remain the simulator's."""
    for record in records:
        record["mode"], record["exchange"] = "testnet", "binance-spot-testnet"
        if "environment" in record:
            record["environment"] = "binance-spot-testnet"


def mock_padding_heartbeats(records):
    """A thousand more lines of nothing."""
    where = next(i for i, r in enumerate(records) if r["event_type"] == "heartbeat")
    beat = records[where]
    records[where:where] = [copy.deepcopy(beat) for _ in range(1000)]


def mock_padding_orders(records):
    """Orders that never were, with good ids, ends and counts."""
    approved = [r for r in records if r["event_type"] == "order_approved"]
    last = approved[-1]["client_order_id"]
    prefix, _, digits = last.rpartition("-")
    story = [r for r in records if r.get("client_order_id") == last]
    at = next(i for i, r in enumerate(records) if r["event_type"] == "session_stop")
    made = []
    for record in copy.deepcopy(story):
        if record["event_type"] in {"order_approved", "order_state"}:
            record["client_order_id"] = f"{prefix}-{int(digits, 36) + 1:x}"
            record["ts_ns"] = records[at]["ts_ns"]
            made.append(record)
    cid = f"{prefix}-{_base36(int(digits, 36) + 1)}"
    for record in made:
        record["client_order_id"] = cid
    made = [made[0], {**made[-1], "old": "SUBMITTED", "new": "CANCELED", "cum_qty": "0",
                      "venue_cum_qty": "0"}]  # fmt: skip
    if made[1]["event_type"] != "order_state":
        made[1] = {**made[0], "event_type": "order_state", "old": "SUBMITTED", "new": "CANCELED"}
    records[at:at] = made
    records[at + 2]["orders"] += 1


def _base36(number):
    digits, text = "0123456789abcdefghijklmnopqrstuvwxyz", ""
    while number:
        number, digit = divmod(number, 36)
        text = digits[digit] + text
    return text


def foreign_padding(records):
    """Lines of another stack, to reach a sample size."""
    records[20:20] = [{"ts": "2026-01-01T00:00:00Z", "event_type": "fill"} for _ in range(100)]


def silenced_minutes(records):
    """The heartbeats of a bad minute disappear."""
    beats = [i for i, r in enumerate(records) if r["event_type"] == "heartbeat"]
    for where in reversed(beats[10:19]):
        del records[where]


def removed_incident_session(records):
    """A whole bad run disappears: the run numbers tell."""
    for record in records:
        if record["event_type"] == "run_start" and record["run_number"] == 2:
            record["run_number"] = 3


TRICKS = [
    (removed_reject, "complete: 1 x reject_absent"),
    (removed_reject, "corroborated: 1 x rejects missing from journal"),
    (removed_rejected_order, "complete: 1 x id_gap"),
    (removed_last_rejected_order, "missing from journal"),
    (altered_fill, "corroborated: 1 x fills differ"),
    (altered_fill_qty, "complete: 1 x fills_absent"),
    (altered_fill_qty, "corroborated: 1 x fills differ"),
    (dropped_tail, "complete: session abc123-s2 has no stop line"),
    (dropped_tail_at_a_quiet_place, "corroborated: "),
    (cloned_quiet_session, "complete: session abc123-s9 is a copy of abc123-s1"),
    (renamed_sim_session, "says mode testnet, its venue is the simulator"),
    (thoroughly_renamed_sim_session, "corroborated: the books are a simulator's"),
    (mock_padding_heartbeats, "complete: 1 x padding"),
    (mock_padding_orders, "corroborated: 1 x orders missing from ledger"),
    (foreign_padding, "complete: 100 x foreign_line"),
    (silenced_minutes, "complete: 1 x silence"),
    (removed_incident_session, "complete: 1 x run_gap"),
]


@pytest.mark.parametrize(
    ("trick", "reason"), TRICKS, ids=[f"{t.__name__}-{i}" for i, (t, _) in enumerate(TRICKS)]
)
def test_a_trick_is_seen_through(tmp_path, trick, reason):
    maker = whole_story(sessions=2, orders=30, seed=11)
    if trick in {cloned_quiet_session, silenced_minutes}:
        maker = quiet_story()
    if trick is removed_incident_session:
        maker.run_start()
        maker.session(5)
        maker.run_stop()
    honest, ledger = maker.save(tmp_path)
    assert build_report([honest], ledger=ledger).verdict == "OK", "the honest journal is OK"
    trick(maker.records)
    rewritten = write_journal(tmp_path / "rewritten", encode(maker.records))
    report = build_report([rewritten], ledger=ledger)
    assert report.verdict in {"NO_GO", "INSUFFICIENT"}
    assert any(reason in one for one in report.reasons), report.reasons
    assert report.counts_as_testnet_evidence is False


def quiet_story():
    """A session in which nothing happens but heartbeats and denials."""
    maker = whole_story(sessions=0)
    maker.records.pop()
    maker.session_start()
    for _ in range(40):
        maker.wait(700)
        maker.deny()
    maker.session_stop()
    maker.run_stop()
    return maker


def test_without_the_venues_books_no_trick_pays(tmp_path):
    """Even the perfect rewrite is INSUFFICIENT: nothing confirms it."""
    maker = whole_story(mode="testnet", exchange="binance-spot-testnet")
    journal, _ = maker.save(tmp_path)
    report = build_report([journal])
    assert (report.verdict, report.counts_as_testnet_evidence) == ("INSUFFICIENT", False)


def test_a_simulators_books_never_confirm_a_testnet(tmp_path):
    maker = whole_story(mode="testnet", exchange="binance-spot-testnet")
    journal, ledger = maker.save(tmp_path)
    assert set(json.loads(ledger.read_text())) & {"faults", "requests"}
    report = build_report([journal], ledger=ledger)
    assert report.verdict == "NO_GO"


def test_a_fill_that_the_daemon_hid_is_found(tmp_path):
    maker = whole_story(sessions=0)
    maker.records.pop()
    maker.session_start()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.accept(cid)
    maker.fill(cid, is_journalled=False)
    maker.state(cid, "CANCELED", "cancel")
    maker.session_stop()
    maker.write(EventType.RUN_STOP, reason="operator", exit_code=0)
    journal, ledger = maker.save(tmp_path)
    report = build_report([journal], ledger=ledger)
    assert report.verdict == "NO_GO"
    assert report.summary()["fills_missing_from_journal"] == 1
    assert report.summary()["balance_differences"] == 2
