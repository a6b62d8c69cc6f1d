"""The tricks of a clever operator, and the reason that each must be caught for.

`python -m tests.support.liars` plays them all and prints the table: trick, verdict, reason.
"""

import copy
import tempfile
from pathlib import Path

from evidence.report.report import Report, build_report
from tests.support.journal_maker import (
    DRILLED,
    MS,
    JournalMaker,
    encode,
    whole_story,
    write_journal,
)


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


def removed_denials(records):
    """Every wish that the caps refused disappears, and the stop line counts none."""
    records[:] = [r for r in records if r["event_type"] != "order_denied"]
    for record in records:
        if record["event_type"] == "session_stop":
            record["denied"] = 0


def removed_denials_after_the_last_approval(records):
    """The same with those at the end alone, which no later decision counts."""
    last = max(i for i, r in enumerate(records) if r["event_type"] == "order_approved")
    gone = [r for r in records[last:] if r["event_type"] == "order_denied"]
    records[:] = [r for r in records if not any(r is one for one in gone)]
    stops = [r for r in records if r["event_type"] == "session_stop"]
    stops[-1]["denied"] -= len(gone)


def invented_denials(records):
    """Refusals that never were, to show a cap at work; the stop line counts them."""
    where, denied = next((i, r) for i, r in enumerate(records) if r["event_type"] == "order_denied")
    records.insert(where, copy.deepcopy(denied))
    next(r for r in records[where:] if r["event_type"] == "session_stop")["denied"] += 1


def removed_incident(records):
    """The incident of a real run is taken out with its resolution."""
    name = next(r["incident_id"] for r in records if r["event_type"] == "incident_opened")
    records[:] = [r for r in records if r.get("incident_id") != name]


def removed_last_incident(records):
    """The same with a run's last one, which leaves no hole in the ids."""
    name = [r["incident_id"] for r in records if r["event_type"] == "incident_opened"][-1]
    records[:] = [r for r in records if r.get("incident_id") != name]


def removed_incident_that_ended_the_session(records):
    """The same with the counts of every heartbeat made good; the session ended by it."""
    removed_last_incident(records)
    for record in records:
        if record["event_type"] == "heartbeat":
            record["counts"][3] = min(record["counts"][3], 1)


def drill_with_orders_left(records):
    """A drill says passed; what it found were seven open orders."""
    drill = next(r for r in records if r["event_type"] == "drill")
    drill["drill"] = "kill-switch"
    drill["detail"] = {**DRILLED["kill-switch"], "orders_approved": 0, "venue_open_orders": 7}


def drill_that_failed(records):
    """A failed drill is called passed; its problem stands beside."""
    drill = next(r for r in records if r["event_type"] == "drill")
    drill["detail"]["problem"] = "price: '' instead of 'price_collar'"


def removed_first_run(records):
    """The record begins with its second run: the first one went badly."""
    at = [i for i, r in enumerate(records) if r["event_type"] == "run_start"][1]
    del records[:at]


def removed_session_of_a_run(records):
    """One session of a run disappears: the session numbers tell."""
    start = next(i for i, r in enumerate(records) if r["event_type"] == "session_start")
    stop = next(i for i, r in enumerate(records) if r["event_type"] == "session_stop")
    del records[start : stop + 1]


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
    (removed_denials, "x total_differs"),
    (removed_denials_after_the_last_approval, "x total_differs"),
    (invented_denials, "x total_differs"),
    (removed_incident, "complete: 1 x incident_gap"),
    (removed_last_incident, "x total_differs"),
    (removed_incident_that_ended_the_session, "complete: 1 x incident_absent"),
    (drill_with_orders_left, "complete: 1 x drill_false"),
    (drill_that_failed, "complete: 1 x drill_false"),
    (removed_first_run, "complete: it begins with run 2"),
    (removed_session_of_a_run, "complete: 1 x session_gap"),
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


def story_that_ends_in_denials():
    """Orders, and then nothing but refusals for some seconds."""
    maker = whole_story(sessions=0)
    maker.records.pop()
    maker.session_start()
    maker.trade(10)
    for _ in range(6):
        maker.deny()
        maker.wait(700)
    maker.session_stop()
    maker.run_stop()
    return maker


def story_with_incidents():
    """Two incidents, both resolved; the second one ends its session."""
    maker = whole_story(sessions=0)
    maker.records.pop()
    for why in ("done", "incident"):
        maker.session_start()
        maker.trade(10)
        name = maker.incident()
        maker.wait(2500)
        maker.session_stop("done" if why == "done" else f"incident: {name} reject_storm")
        maker.resolve(name)
    maker.run_stop()
    return maker


def honest_story(trick) -> JournalMaker:
    """The journal that a trick is played on; it is OK as it stands."""
    if trick in {cloned_quiet_session, silenced_minutes}:
        return quiet_story()
    if "incident" in trick.__name__ and trick is not removed_incident_session:
        return story_with_incidents()
    if trick is removed_denials_after_the_last_approval:
        return story_that_ends_in_denials()
    maker = whole_story(sessions=2, orders=30, seed=11)
    if trick in {removed_incident_session, removed_first_run}:
        maker.run_start()
        maker.session(5)
        maker.run_stop()
        return maker
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
