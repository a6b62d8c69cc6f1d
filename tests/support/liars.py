"""The tricks of a clever operator, and the reason that each must be caught for.

`python -m tests.support.liars` plays them all and prints the table: trick, verdict, reason.
"""

import copy
import tempfile
from pathlib import Path

from evidence.report import Report, build_report
from tests.support.journal_maker import MS, JournalMaker, encode, whole_story, write_journal


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
    """A smaller fill than the venue had."""
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


def honest_story(trick) -> JournalMaker:
    """The journal that a trick is played on; it is OK as it stands."""
    if trick in {cloned_quiet_session, silenced_minutes}:
        return quiet_story()
    maker = whole_story(sessions=2, orders=30, seed=11)
    if trick is removed_incident_session:
        maker.run_start()
        maker.session(5)
        maker.run_stop()
    return maker


def played(trick, directory: Path) -> tuple[Report, Report]:
    """The report before and after a trick; every hash is made good again after it."""
    maker = honest_story(trick)
    honest, ledger = maker.save(directory)
    before = build_report([honest], ledger=ledger)
    trick(maker.records)
    rewritten = write_journal(directory / "rewritten", encode(maker.records))
    return before, build_report([rewritten], ledger=ledger)


def main() -> None:
    """Print the suite as a table."""
    print("| trick | verdict | reason |")
    print("|---|---|---|")
    for trick, expected in TRICKS:
        with tempfile.TemporaryDirectory() as directory:
            _, after = played(trick, Path(directory))
        reason = next((one for one in after.reasons if expected in one), "NOT CAUGHT")
        text = (trick.__doc__ or trick.__name__).strip().rstrip(".")
        print(f"| {text} | {after.verdict} | {reason} |")


if __name__ == "__main__":
    main()
