"""What a report concludes, and why: honest journals, crashes, broken caps, open ends."""

import hashlib
import json

import pytest

from daemon.model.records import EventType
from evidence.report.outside_anchors import witness_source
from evidence.report.report import build_report, write_report
from tests.support.journal_maker import CAPS, JournalMaker, whole_story
from tests.support.witnessed import Witnessed


def judged(maker, tmp_path, **kwargs):
    journal, ledger = maker.save(tmp_path, **kwargs)
    return build_report([journal], ledger=ledger)


def test_a_clean_corroborated_journal_is_ok_and_a_rehearsal_stays_one(tmp_path):
    report = judged(whole_story(sessions=2), tmp_path)
    assert (report.verdict, report.reasons) == ("OK", [])
    assert report.counts_as_testnet_evidence is False


def test_a_testnet_journal_counts(tmp_path):
    maker = whole_story(mode="testnet", exchange="binance-spot-testnet")
    journal, ledger = maker.save(tmp_path)
    books = json.loads(ledger.read_text())
    ledger.write_text(
        json.dumps({k: v for k, v in books.items() if k not in {"faults", "requests"}})
    )
    assert build_report([journal], ledger=ledger).verdict == "UNANCHORED"
    witnessed = Witnessed(tmp_path / "witness")
    out = witnessed.export(maker.lines(), (len(maker.records),), tmp_path / "witness.jsonl")
    outside = [witness_source(str(out), witnessed.witness_pub)]
    report = build_report([journal], ledger=ledger, outside=outside)
    assert report.verdict == "OK"
    assert report.counts_as_testnet_evidence is True


def test_without_the_venues_books_nothing_is_ok(tmp_path):
    journal, _ = whole_story().save(tmp_path)
    report = build_report([journal])
    assert report.verdict == "INSUFFICIENT"
    assert report.reasons == [
        "corroborated: the venue's books were not given: nothing confirms the journal"
    ]


def test_the_accountants_figures_match_the_venues_books(tmp_path):
    maker = whole_story(orders=60)
    report = judged(maker, tmp_path)
    plain = report.to_json()["journals"][0]
    assert plain["orders"]["fills"] == len(maker.ledger["fills"])
    assert sum(plain["orders"]["ends"].values()) == plain["orders"]["approved"] == 60
    for symbol, position in maker.positions.items():
        assert plain["positions"]["symbols"][symbol]["position"] == str(position.normalize())


def test_profit_is_cash_plus_position_at_the_mark(tmp_path):
    maker = JournalMaker()
    maker.run_start()
    maker.session_start()
    for side, price in (("BUY", "3000"), ("SELL", "3010")):
        cid = maker.approve("BTCUSDT", side, "0.1", price)
        maker.accept(cid)
        maker.fill(cid)
    maker.session_stop()
    maker.run_stop()
    btc = judged(maker, tmp_path).to_json()["journals"][0]["positions"]["symbols"]["BTCUSDT"]
    # bought 0.1 at 3000 (fee 0.0001 BTC), sold 0.1 at 3010 (fee 0.301 USDT)
    assert btc["position"] == "-0.0001"
    assert btc["profit_quote"] == "0.398"  # 1 - 0.301 - 0.0001 x 3010
    assert btc["fees"] == {"BTC": "0.0001", "USDT": "0.301"}


def test_an_order_without_an_end_is_listed(tmp_path):
    maker = JournalMaker()
    maker.run_start()
    maker.session_start()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.accept(cid)
    maker.open.clear()
    maker.session_stop()
    maker.run_stop()
    report = judged(maker, tmp_path)
    assert report.verdict == "NO_GO"
    assert any("without_end" in reason and cid in reason for reason in report.reasons)


def test_a_crash_is_told_and_a_recovered_journal_is_still_complete(tmp_path):
    maker = JournalMaker()
    maker.run_start()
    maker.session_start()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.accept(cid)
    maker.wait(3000)
    crashed = maker.session_id
    maker.session_id = ""
    maker.run_start()
    maker.write(EventType.RECOVERY, records=10, from_seq=1, torn_bytes=3, torn_sha256="ab")
    maker.cancel(cid)
    maker.session_start()
    maker.trade(5)
    maker.session_stop()
    maker.run_stop()
    report = judged(maker, tmp_path)
    assert report.verdict == "OK", report.reasons
    sessions = report.to_json()["journals"][0]["sessions"]
    assert sessions["crashes"] == 1
    assert (sessions["sessions"][0]["session_id"], sessions["sessions"][0]["end"]) == (
        crashed,
        "crashed",
    )


def test_a_breach_is_found_in_the_journal_and_at_the_venue(tmp_path):
    caps = json.loads(json.dumps(CAPS))
    caps["symbols"]["BTCUSDT"]["position_long_base_max"] = "0.05"
    maker = JournalMaker()
    maker.run_start()
    maker.session_start(caps)
    for _ in range(2):
        cid = maker.approve("BTCUSDT", "BUY", "0.03", "3000")
        maker.accept(cid)
    maker.session_stop()
    maker.run_stop()
    report = judged(maker, tmp_path)
    assert report.verdict == "NO_GO"
    assert report.summary()["cap_breaches_at_venue"] == 1
    assert any("complete" in r and "position_long_base_max BTCUSDT" in r for r in report.reasons)
    assert any("cap breaches at venue" in r and "0.06 of 0.05" in r for r in report.reasons)


@pytest.mark.parametrize(
    ("cap", "value", "orders"),
    [
        ("order_qty_base_max", "0.009", 1),
        ("order_notional_quote_max", "29", 1),
        ("exposure_quote_max", "59", 2),
        ("orders_open_max", 1, 2),
        ("orders_per_hour_max", 1, 2),
        ("exposure_gross_numeraire_max", "59", 2),
    ],
)
def test_each_cap_is_replayed_at_the_venue(tmp_path, cap, value, orders):
    caps = json.loads(json.dumps(CAPS))
    holder = caps["symbols"]["BTCUSDT"] if cap in caps["symbols"]["BTCUSDT"] else caps
    holder[cap] = value
    maker = JournalMaker()
    maker.run_start()
    maker.session_start(caps)
    for _ in range(orders):
        maker.accept(maker.approve("BTCUSDT", "BUY", "0.01", "3000"))
    maker.session_stop()
    maker.run_stop()
    report = judged(maker, tmp_path)
    (offence,) = report.journals[0].comparison.offences()
    assert offence == "cap_breaches_at_venue"
    assert cap in report.journals[0].comparison.cap_breaches_at_venue.listed[0]


def test_an_unset_cap_is_zero_so_any_order_breaks_it(tmp_path):
    caps = json.loads(json.dumps(CAPS))
    del caps["symbols"]["BTCUSDT"]["order_qty_base_max"]
    maker = JournalMaker()
    maker.run_start()
    maker.session_start(caps)
    maker.accept(maker.approve("BTCUSDT", "BUY", "0.01", "3000"))
    maker.session_stop()
    maker.run_stop()
    assert judged(maker, tmp_path).summary()["cap_breaches_at_venue"] == 1


def test_unknown_orders_and_how_they_ended(tmp_path):
    maker = JournalMaker()
    maker.run_start()
    maker.session_start()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    names = {"client_order_id": cid, "symbol": "BTCUSDT", "instrument_id": "BTCUSDT@sim"}
    maker.write(EventType.TIMEOUT, **names, request="place", msg="deadline")
    maker.state(cid, "UNKNOWN", "silence")
    maker.wait(2500)
    maker.state(cid, "REJECTED", "not found when asked 2500 ms after sending")
    maker.write(EventType.ORDER_RESOLVED, **names, outcome="absent", proof="not found")
    maker.session_stop()
    maker.run_stop()
    report = judged(maker, tmp_path)
    orders = report.to_json()["journals"][0]["orders"]
    assert report.verdict == "OK", report.reasons
    assert (orders["timeouts"], orders["unknown_ends"]) == (1, {"absent": 1})
    assert orders["latency_ns"]["sent_to_resolution"]["count"] == 1


def test_a_kill_that_was_never_verified_fails(tmp_path):
    maker = whole_story()
    maker.records = [r for r in maker.records if r.get("step") != "verified_empty"]
    report = judged(maker, tmp_path)
    assert report.verdict == "NO_GO"
    assert any("verified empty" in reason for reason in report.reasons)


def test_both_files_hold_the_same_verdict_and_reasons(tmp_path):
    journal, _ = whole_story().save(tmp_path)
    report = build_report([journal])
    json_path, markdown_path = write_report(report, tmp_path / "out")
    plain, text = json.loads(json_path.read_text()), markdown_path.read_text()
    assert f"# Evidence report: {plain['verdict']}" in text
    for reason in plain["reasons"]:
        assert reason in text
    orders = plain["journals"][0]["orders"]
    assert f"| {orders['approved']} | {orders['denied']} | {orders['fills']} |" in text


def test_an_anchor_catches_a_rewritten_journal(tmp_path):
    maker = whole_story()
    journal, ledger = maker.save(tmp_path)
    lines = maker.lines()
    half = len(lines) // 2
    anchor = {
        "segment": "journal-000001.jsonl",
        "seq": half,
        "head": json.loads(lines[half])["prev"],
    }
    anchors = tmp_path / "anchors.jsonl"
    end = {**anchor, "seq": len(lines), "head": hashlib.sha256(lines[-1].rstrip()).hexdigest()}
    anchors.write_text(json.dumps(anchor) + "\n" + json.dumps(end) + "\n")
    assert build_report([journal], ledger=ledger, anchors=anchors).verdict == "OK"
    maker.records[5]["msg"] = "rewritten, with every hash made good again"
    journal, ledger = maker.save(tmp_path)
    report = build_report([journal], ledger=ledger, anchors=anchors)
    assert report.verdict == "NO_GO"
    assert any("not the one that was anchored" in reason for reason in report.reasons)


def caps_changed_after_trading(tmp_path, changes):
    maker = JournalMaker(seed=7)
    maker.run_start()
    maker.session_start()
    maker.trade(4)
    maker.write(
        EventType.CAPS_CHANGED,
        old_hash=maker.records[0]["caps_hash"],
        new_hash="f" * 64,
        changes=changes,
        by="root",
        reason="test",
    )
    maker.session_stop()
    maker.run_stop()
    return judged(maker, tmp_path)


def test_caps_tightened_in_a_session_are_in_order(tmp_path):
    report = caps_changed_after_trading(tmp_path, {"orders_open_max": 10, "balance_free_min": {}})
    assert report.verdict == "OK", report.reasons


@pytest.mark.parametrize(
    "changes",
    [
        {"orders_open_max": 99},
        {"symbols.BTCUSDT.order_qty_base_max": "0.2"},
        {"messages_per_second_cancel_reserve": 10},
    ],
)
def test_caps_loosened_in_a_session_are_no_go(tmp_path, changes):
    report = caps_changed_after_trading(tmp_path, changes)
    assert report.verdict == "NO_GO"
    assert any("caps_loosened" in reason for reason in report.reasons), report.reasons
