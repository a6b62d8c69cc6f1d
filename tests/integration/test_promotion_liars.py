"""A clever operator wants a promotion that was not earned: each trick, its verdict, its reason.

The honest campaign is READY; every trick starts from it. Journals are re-numbered and re-chained
after the edit, so that the hash chain alone does not give the trick away.
"""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evidence.pack import find_inputs
from evidence.promotion.campaign import CampaignJournal, campaign_of
from evidence.promotion.decision import Judgement, decide
from evidence.promotion.gates_now import GateLight, GateState
from evidence.promotion.policy import Policy
from evidence.report import build_report
from tests.support.journal_maker import START_NS, JournalMaker, encode, write_journal

NOW = datetime.fromtimestamp(START_NS / 10**9, UTC) + timedelta(hours=1)
POLICY = Policy(
    sessions_min=3,
    session_minutes_min=0,
    session_orders_min=10,
    session_fills_min=1,
    campaign_orders_min=60,
    campaign_minutes_min=0,
    drills_required=["kill"],
    cap_regions_percent_min={"order_notional_quote_max": 5},
    anomalies_per_session_max={"order_reject": 20},
)
GREEN = [GateState("stability_gate", GateLight.GREEN, 1.0, "")]


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
    write_journal(folder / "journal", encode(maker.records))
    kept = copy.deepcopy(maker.books() if books is None else books)
    if maker.mode == "testnet" and books is None:
        kept = {key: value for key, value in kept.items() if key not in {"requests", "faults"}}
    (folder / "ledger.json").write_text(json.dumps(kept))
    inputs = find_inputs(folder)
    return campaign_of(build_report(inputs.segments, ledger=inputs.ledger), folder.name)


def verdict_of(*journals: CampaignJournal, gates=None, policy: Policy = POLICY) -> Judgement:
    return decide(journals, GREEN if gates is None else gates, policy, NOW)


def test_the_honest_campaign_is_ready(tmp_path):
    judgement = verdict_of(*save(campaign(), tmp_path))
    assert (judgement.decision, judgement.reasons) == ("READY_FOR_LIVE_PILOT", [])


# ------------------------------------------------------------------ edits of the record
def first(maker: JournalMaker, event_type: str) -> dict:
    return next(one for one in maker.records if one["event_type"] == event_type)


def remove_a_reject(maker: JournalMaker) -> None:
    maker.records.remove(first(maker, "order_reject"))


def remove_every_trace_of_an_order(maker: JournalMaker) -> None:
    cid = first(maker, "order_reject")["client_order_id"]
    maker.records = [one for one in maker.records if one.get("client_order_id") != cid]


def alter_a_fill(maker: JournalMaker) -> None:
    first(maker, "fill")["price"] = "2990"


def remove_a_fill(maker: JournalMaker) -> None:
    maker.records.remove(first(maker, "fill"))


def drop_the_tail(maker: JournalMaker) -> None:
    del maker.records[-len(maker.records) // 8 :]


def clone_a_session(maker: JournalMaker) -> None:
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
    beat = first(maker, "heartbeat")
    place = maker.records.index(beat)
    maker.records[place:place] = [copy.deepcopy(beat) for _ in range(500)]


def silence_the_middle(maker: JournalMaker) -> None:
    beats = [one for one in maker.records if one["event_type"] == "heartbeat"]
    for beat in beats[1:-1]:
        maker.records.remove(beat)
    for record in maker.records[len(maker.records) // 2 :]:
        record["ts_ns"] += 60 * 10**9


def remove_the_first_session(maker: JournalMaker) -> None:
    stop = next(i for i, r in enumerate(maker.records) if r["event_type"] == "session_stop")
    start = next(i for i, r in enumerate(maker.records) if r["event_type"] == "session_start")
    del maker.records[start : stop + 1]


def call_the_simulator_a_testnet(maker: JournalMaker) -> None:
    for record in maker.records:
        if record["mode"] == "testnet" and record["session_id"].endswith("s1"):
            record["exchange"] = "sim"
        if record["event_type"] == "session_start" and record["session_id"].endswith("s1"):
            record["environment"] = "sim"


def remove_the_drill(maker: JournalMaker) -> None:
    maker.records = [one for one in maker.records if one["event_type"] != "drill"]


def fail_the_last_drill(maker: JournalMaker) -> None:
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
]


@pytest.mark.parametrize(
    ("edit", "decision", "code"), EDITS, ids=[edit.__name__ for edit, _, _ in EDITS]
)
def test_an_edited_record_is_never_promoted(tmp_path, edit, decision, code):
    maker = campaign()
    honest = maker.books()
    books = {key: value for key, value in honest.items() if key not in {"requests", "faults"}}
    edit(maker)
    judgement = verdict_of(*save(maker, tmp_path, books=books))
    assert judgement.decision == decision
    assert code in {reason.code for reason in judgement.reasons}


# ------------------------------------------------------------------ tricks around the record
def test_simulated_sessions_under_the_testnets_name_with_the_simulators_books(tmp_path):
    maker = campaign(mode="sim")
    for record in maker.records:
        record["mode"] = "testnet"
    judgement = verdict_of(*save(maker, tmp_path, books=maker.books()))
    assert judgement.decision == "NO_GO"
    assert {"JOURNAL_NO_GO", "SIMULATOR_AS_TESTNET"} <= {one.code for one in judgement.reasons}


def test_a_journal_without_the_venues_books_proves_nothing(tmp_path):
    write_journal(tmp_path / "journal", encode(campaign().records))
    inputs = find_inputs(tmp_path)
    judgement = verdict_of(*campaign_of(build_report(inputs.segments), "box"))
    assert judgement.decision == "INSUFFICIENT"
    assert "JOURNAL_UNPROVEN" in {reason.code for reason in judgement.reasons}


def test_ten_thousand_quiet_lines_are_not_a_session(tmp_path):
    """Sample size by lines: a long idle session has many lines and shows nothing."""
    maker = JournalMaker(5, mode="testnet", exchange="binance-spot-testnet")
    maker.run_start()
    maker.session_start()
    maker.wait(3_000_000)
    maker.session_stop()
    maker.run_stop()
    assert len(maker.records) > 3000
    judgement = verdict_of(*save(maker, tmp_path))
    assert judgement.decision != "READY_FOR_LIVE_PILOT"
    assert judgement.qualifying == []
    assert judgement.not_counted == [("abc123-s1", "0 of 10 orders; 0 of 1 fills")]


def test_real_sessions_padded_with_simulated_ones(tmp_path):
    real = save(campaign(sessions=2), tmp_path / "real")
    padding = save(campaign(mode="sim", seed=6), tmp_path / "sim")
    judgement = verdict_of(*real, *padding)
    assert judgement.decision == "INSUFFICIENT"
    assert len(judgement.qualifying) == 2


def test_the_same_campaign_from_two_folders(tmp_path):
    journals = save(campaign(), tmp_path / "a") + save(campaign(), tmp_path / "b")
    judgement = verdict_of(*journals, policy=POLICY)
    assert judgement.decision == "NO_GO"
    assert "SESSION_TWICE" in {reason.code for reason in judgement.reasons}


@pytest.mark.parametrize("name", ["commit", "config_hash", "caps_hash", "account"])
def test_sessions_of_two_bindings_do_not_add_up(tmp_path, name):
    maker = campaign()
    starts = [one for one in maker.records if one["event_type"] == "session_start"]
    starts[-1][name] = "another"
    judgement = verdict_of(*save(maker, tmp_path))
    assert judgement.decision in {"CONTINUE_TESTNET", "NO_GO"}
    assert len(judgement.campaign) == 1


def test_a_green_campaign_under_a_red_gate(tmp_path):
    red = [GateState("stability_gate", GateLight.RED, 1.0, "no")]
    judgement = verdict_of(*save(campaign(), tmp_path), gates=red)
    assert judgement.decision == "NO_GO"
