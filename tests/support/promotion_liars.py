"""Tricks for a promotion that was not earned, each with the decision and reason that must come.

The honest campaign is READY; every trick starts from it. Journals are re-numbered and re-chained
after the edit, so that the hash chain alone does not give the trick away.
"""

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from evidence.gates.gates_now import GateLight, LaunchGateState
from evidence.pack.evidence_pack import find_inputs
from evidence.promotion.campaign import CampaignJournal, campaign_of
from evidence.promotion.policy import Policy
from evidence.promotion.promotion_decision import Judgement, decide
from evidence.read.build_digest import installed
from evidence.report.outside_anchors import witness_source
from evidence.report.report import Report, build_report
from tests.support.journal_maker import START_NS, JournalMaker, encode, write_journal
from tests.support.witnessed import Witnessed

NOW = datetime.fromtimestamp(START_NS / 10**9, UTC) + timedelta(hours=1)
POLICY = Policy(
    sessions_min=3,
    session_minutes_min=0,
    session_orders_min=10,
    session_fills_min=1,
    campaign_orders_min=60,
    campaign_minutes_min=0,
    drills_required=["cap-rejection"],
    cap_regions_percent_min={"order_notional_quote_max": 5},
    anomalies_per_session_max={"order_reject": 20},
)
GREEN = [LaunchGateState("stability_gate", GateLight.GREEN, 1.0, "")]


def campaign(*, mode: str = "testnet", sessions: int = 3, seed: int = 5) -> JournalMaker:
    exchange = "binance-spot-testnet" if mode == "testnet" else "sim"
    maker = JournalMaker(seed, mode=mode, exchange=exchange)
    maker.run_start()
    for _ in range(sessions):
        maker.session(30)
    maker.run_stop()
    return maker


def save(maker: JournalMaker, folder: Path, *, books: dict | None = None) -> list[CampaignJournal]:
    """Write journal and books, and re-derive the campaign from them."""
    write_journal(folder / "journal", encode(maker.records), is_anchored=True)
    kept = copy.deepcopy(maker.books() if books is None else books)
    if maker.mode == "testnet" and books is None:
        kept = {key: value for key, value in kept.items() if key not in {"requests", "faults"}}
    (folder / "ledger.json").write_text(json.dumps(kept))
    return campaign_of(_report_of(folder), folder.name)


def _report_of(folder: Path) -> Report:
    """What a verifier makes of a folder, with what a witness has countersigned of its journal."""
    inputs, lines = find_inputs(folder), []
    for segment in inputs.segments:
        lines += segment.read_bytes().splitlines()
    with TemporaryDirectory() as place:
        witnessed = Witnessed(Path(place))
        out = witnessed.export(lines, (len(lines),), Path(place) / "w.jsonl")
        source = witness_source(str(out), witnessed.witness_pub)
    return build_report(inputs.segments, ledger=inputs.ledger, outside=[source])


def verdict_of(*journals: CampaignJournal, gates=None, policy: Policy = POLICY) -> Judgement:
    return decide(journals, GREEN if gates is None else gates, policy, NOW)


# ------------------------------------------------------------------ edits of the record
def first(maker: JournalMaker, event_type: str) -> dict:
    return next(one for one in maker.records if one["event_type"] == event_type)


def remove_a_reject(maker: JournalMaker) -> None:
    """The venue's no is taken out."""
    maker.records.remove(first(maker, "order_reject"))


def remove_every_trace_of_an_order(maker: JournalMaker) -> None:
    """A refused order is taken out with every line that names it."""
    cid = first(maker, "order_reject")["client_order_id"]
    maker.records = [one for one in maker.records if one.get("client_order_id") != cid]


def alter_a_fill(maker: JournalMaker) -> None:
    """A fill is given a better price."""
    first(maker, "fill")["price"] = "2990"


def remove_a_fill(maker: JournalMaker) -> None:
    """A fill is taken out."""
    maker.records.remove(first(maker, "fill"))


def drop_the_tail(maker: JournalMaker) -> None:
    """The last eighth of the night is cut off."""
    del maker.records[-len(maker.records) // 8 :]


def clone_a_session(maker: JournalMaker) -> None:
    """A good session is copied, with another id and later times."""
    start = next(i for i, r in enumerate(maker.records) if r["event_type"] == "session_start")
    stop = next(i for i, r in enumerate(maker.records) if r["event_type"] == "session_stop")
    copied = copy.deepcopy(maker.records[start : stop + 1])
    shift = maker.records[-1]["ts_ns"] - copied[0]["ts_ns"] + 1_000_000
    for record in copied:
        record["ts_ns"] += shift
        record["session_id"] = "abc123-s9"
    maker.records[-1:-1] = copied
    maker.records[-1]["ts_ns"] = copied[-1]["ts_ns"] + 1


def pad_with_heartbeats(maker: JournalMaker) -> None:
    """Five hundred heartbeats are copied in, to reach a sample size."""
    beat = first(maker, "heartbeat")
    place = maker.records.index(beat)
    maker.records[place:place] = [copy.deepcopy(beat) for _ in range(500)]


def silence_the_middle(maker: JournalMaker) -> None:
    """The heartbeats of a bad minute are taken out."""
    beats = [one for one in maker.records if one["event_type"] == "heartbeat"]
    for beat in beats[1:-1]:
        maker.records.remove(beat)
    for record in maker.records[len(maker.records) // 2 :]:
        record["ts_ns"] += 60 * 10**9


def remove_the_first_session(maker: JournalMaker) -> None:
    """A whole bad session is taken out."""
    stop = next(i for i, r in enumerate(maker.records) if r["event_type"] == "session_stop")
    start = next(i for i, r in enumerate(maker.records) if r["event_type"] == "session_start")
    del maker.records[start : stop + 1]


def call_the_simulator_a_testnet(maker: JournalMaker) -> None:
    """A simulated session is put among the testnet's."""
    for record in maker.records:
        if record["mode"] == "testnet" and record["session_id"].endswith("s1"):
            record["exchange"] = "sim"
        if record["event_type"] == "session_start" and record["session_id"].endswith("s1"):
            record["environment"] = "sim"


def remove_the_drill(maker: JournalMaker) -> None:
    """A control is never tried."""
    maker.records = [one for one in maker.records if one["event_type"] != "drill"]


def fail_the_last_drill(maker: JournalMaker) -> None:
    """A control did not work when it was tried last."""
    [one for one in maker.records if one["event_type"] == "drill"][-1]["passed"] = False


def unflag_an_error(maker: JournalMaker) -> None:
    """An error whose flag and level say that it is nothing: its type still says it."""
    place = next(i for i, r in enumerate(maker.records) if r["event_type"] == "session_stop")
    error = copy.deepcopy(maker.records[place - 1])
    error.update(event_type="exchange_error", code=1, msg="?", context="", ts_ns=error["ts_ns"] + 1)
    error.update(level="info", is_error=False, is_anomaly=False)
    for key in ("old", "new", "why", "by", "latched"):
        error.pop(key, None)
    maker.records.insert(place, error)


def claim_a_failed_drill(maker: JournalMaker) -> None:
    """The last drill says passed; what it found says otherwise."""
    drill = [one for one in maker.records if one["event_type"] == "drill"][-1]
    drill["detail"]["orders_let_through"] = 2


def empty_a_drill(maker: JournalMaker) -> None:
    """The last drill says passed, and no longer says what it found."""
    [one for one in maker.records if one["event_type"] == "drill"][-1]["detail"] = {}


def rename_the_code(maker: JournalMaker) -> None:
    """Version and commit are rewritten everywhere; the code's digest is that of what ran."""
    for record in maker.records:
        if record["event_type"] in {"run_start", "session_start"}:
            record.update(version="9.9.9", commit="5afe" * 10, code=installed().code)


def take_out_the_denials(maker: JournalMaker) -> None:
    """Every wish that the caps refused is taken out, and the stop lines count none."""
    maker.records = [one for one in maker.records if one["event_type"] != "order_denied"]
    for record in maker.records:
        if record["event_type"] == "session_stop":
            record["denied"] = 0


def begin_with_the_second_run(maker: JournalMaker) -> None:
    """The first run is left out, and the others keep their numbers."""
    for record in maker.records:
        if record["event_type"] == "run_start":
            record["run_number"] += 1


EDITS: list[tuple[Callable[[JournalMaker], None], str, str]] = [
    (remove_a_reject, "NO_GO", "JOURNAL_NO_GO"),
    (remove_every_trace_of_an_order, "NO_GO", "JOURNAL_NO_GO"),
    (alter_a_fill, "NO_GO", "JOURNAL_NO_GO"),
    (remove_a_fill, "NO_GO", "JOURNAL_NO_GO"),
    (drop_the_tail, "NO_GO", "JOURNAL_NO_GO"),
    (clone_a_session, "NO_GO", "SESSION_TWICE"),
    (pad_with_heartbeats, "NO_GO", "JOURNAL_NO_GO"),
    (silence_the_middle, "NO_GO", "JOURNAL_NO_GO"),
    (remove_the_first_session, "NO_GO", "JOURNAL_NO_GO"),
    (call_the_simulator_a_testnet, "NO_GO", "JOURNAL_NO_GO"),
    (remove_the_drill, "INSUFFICIENT", "DRILL_MISSING"),
    (fail_the_last_drill, "NO_GO", "DRILL_FAILED"),
    (unflag_an_error, "NO_GO", "ERROR_UNEXPLAINED"),
    (claim_a_failed_drill, "NO_GO", "DRILL_FALSE"),
    (empty_a_drill, "INSUFFICIENT", "DRILL_UNDECIDED"),
    (rename_the_code, "NO_GO", "JOURNAL_NO_GO"),
    (take_out_the_denials, "NO_GO", "JOURNAL_NO_GO"),
    (begin_with_the_second_run, "NO_GO", "JOURNAL_NO_GO"),
]
"""Edit, decision, code."""


# ------------------------------------------------------------------ tricks around the record
def _only_testnet(books: dict) -> dict:
    return {key: value for key, value in books.items() if key not in {"requests", "faults"}}


def edited(edit: Callable[[JournalMaker], None], folder: Path) -> Judgement:
    """The decision after one edit; the venue's books stay the honest ones."""
    maker = campaign()
    books = _only_testnet(maker.books())
    edit(maker)
    return verdict_of(*save(maker, folder / "box", books=books))


def rename_the_simulator(folder: Path) -> Judgement:
    """Simulated sessions under the testnet's name, with the simulator's books."""
    maker = campaign(mode="sim")
    for record in maker.records:
        record["mode"] = "testnet"
    return verdict_of(*save(maker, folder / "box", books=maker.books()))


def withhold_the_books(folder: Path) -> Judgement:
    """The venue's own history is not shown."""
    write_journal(folder / "box/journal", encode(campaign().records), is_anchored=True)
    inputs = find_inputs(folder / "box")
    return verdict_of(*campaign_of(build_report(inputs.segments), "box"))


def withhold_the_refusals(folder: Path) -> Judgement:
    """The books are shown without the list of what the venue refused."""
    books = _only_testnet(campaign().books())
    del books["rejects"]
    return verdict_of(*save(campaign(), folder / "box", books=books))


def withhold_the_balances(folder: Path) -> Judgement:
    """The books are shown without balances."""
    books = _only_testnet(campaign().books())
    del books["initial_balances"]
    return verdict_of(*save(campaign(), folder / "box", books=books))


def leave_out_the_anchors(folder: Path) -> Judgement:
    """The journal is handed in without the heads that were written beside it."""
    save(campaign(), folder / "box")
    (folder / "box/journal/anchors.jsonl").unlink()
    inputs = find_inputs(folder / "box")
    return verdict_of(*campaign_of(build_report(inputs.segments, ledger=inputs.ledger), "box"))


def anchor_the_beginning_only(folder: Path) -> Judgement:
    """The anchors end before the last session does."""
    save(campaign(), folder / "box")
    path = folder / "box/journal/anchors.jsonl"
    first = (folder / "box/journal/journal-000001.jsonl").read_bytes().splitlines()[9]
    head = {"segment": "journal-000001.jsonl", "seq": 10, "head": hashlib.sha256(first).hexdigest()}
    path.write_text(json.dumps(head) + "\n")
    inputs = find_inputs(folder / "box")
    report = build_report(inputs.segments, ledger=inputs.ledger, anchors=path)
    return verdict_of(*campaign_of(report, "box"))


def idle_for_ten_thousand_lines(folder: Path) -> Judgement:
    """A long idle session: many lines, no order, no trade."""
    maker = JournalMaker(5, mode="testnet", exchange="binance-spot-testnet")
    maker.run_start()
    maker.session_start()
    maker.wait(3_000_000)
    maker.session_stop()
    maker.run_stop()
    return verdict_of(*save(maker, folder / "box"))


def pad_with_simulated_sessions(folder: Path) -> Judgement:
    """Two real sessions, and simulated ones to make up the number."""
    real = save(campaign(sessions=2), folder / "real")
    padding = save(campaign(mode="sim", seed=6), folder / "sim")
    return verdict_of(*real, *padding)


def show_one_campaign_from_two_folders(folder: Path) -> Judgement:
    """The same sessions are handed in twice."""
    return verdict_of(*save(campaign(), folder / "a"), *save(campaign(), folder / "b"))


def change_the_caps_between_sessions(folder: Path) -> Judgement:
    """The caps are loosened before the last session; the older ones are to count on."""
    maker = campaign()
    starts = [one for one in maker.records if one["event_type"] == "session_start"]
    starts[-1]["caps_hash"] = "another"
    return verdict_of(*save(maker, folder / "box"))


def leave_a_red_gate(folder: Path) -> Judgement:
    """A good campaign while the stability gate is red."""
    red = [LaunchGateState("stability_gate", GateLight.RED, 1.0, "no")]
    return verdict_of(*save(campaign(), folder / "box"), gates=red)


def let_a_gate_grow_old(folder: Path) -> Judgement:
    """A gate that was green last month."""
    old = [LaunchGateState("stability_gate", GateLight.STALE, 700.0, "made 700.00 h ago")]
    return verdict_of(*save(campaign(), folder / "box"), gates=old)


AROUND: list[tuple[Callable[[Path], Judgement], str, str]] = [
    (rename_the_simulator, "NO_GO", "SIMULATOR_AS_TESTNET"),
    (withhold_the_books, "INSUFFICIENT", "JOURNAL_UNPROVEN"),
    (withhold_the_refusals, "INSUFFICIENT", "JOURNAL_UNPROVEN"),
    (withhold_the_balances, "INSUFFICIENT", "JOURNAL_UNPROVEN"),
    (leave_out_the_anchors, "INSUFFICIENT", "JOURNAL_UNPROVEN"),
    (anchor_the_beginning_only, "INSUFFICIENT", "JOURNAL_UNPROVEN"),
    (idle_for_ten_thousand_lines, "INSUFFICIENT", "TOO_FEW_SESSIONS"),
    (pad_with_simulated_sessions, "INSUFFICIENT", "NOT_TESTNET"),
    (show_one_campaign_from_two_folders, "NO_GO", "SESSION_TWICE"),
    (change_the_caps_between_sessions, "NO_GO", "TOO_FEW_SESSIONS"),
    (leave_a_red_gate, "NO_GO", "GATE_RED"),
    (let_a_gate_grow_old, "INSUFFICIENT", "GATE_STALE"),
]
"""Trick, decision, code."""
