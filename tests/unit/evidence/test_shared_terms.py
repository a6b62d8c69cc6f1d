"""Caps and filters that many decisions state are read once, and never one table for another."""

import json
from typing import Any

import pytest

from evidence.judge.decision_recheck import recheck
from evidence.judge.redecide import Redecision
from evidence.judge.risk_contexts import KEPT_MAX, RiskContexts
from evidence.read.journal_lines import InstrumentsLine, SessionStartLine
from tests.support.gate_world import GateWorld
from tests.support.journal_maker import encode, whole_story, write_journal

Plain = dict[str, Any]
ELSEWHERE = "its caps are not those that the session's start wrote down"
OTHER_FILTERS = "its filters are not those that the venue told"


def approvals(records):
    return [record for record in records if record["event_type"] == "order_approved"]


def stated() -> Plain:
    """What an approval of an honest journal states."""
    decision: Plain = json.loads(json.dumps(approvals(whole_story().records)[2]["decision"]))
    return decision


def with_cap(decision: Plain, table: str, name: str, value: object) -> Plain:
    return {**decision, table: {**decision[table], name: value}}


@pytest.mark.parametrize("value", [100.0, 99, "100.5"])
def test_caps_that_differ_from_those_before_by_a_word_are_read_anew(tmp_path, value):
    """`100.0 == 100`, and a float is no amount."""
    maker = whole_story()
    record = approvals(maker.records)[5]
    assert record["decision"]["caps"]["collar_bps_max"] == 100
    record["decision"] = with_cap(record["decision"], "caps", "collar_bps_max", value)
    (journal,) = recheck([write_journal(tmp_path, encode(maker.records))])["journals"]
    kind = "undecidable" if isinstance(value, float) else "input"
    seq = maker.records.index(record) + 1
    (example,) = journal["disagreements"][kind]["examples"]
    assert example.startswith(f"seq {seq}:")
    assert journal["agreed"] == journal["checked"] - 1


@pytest.mark.parametrize(
    ("table", "name", "value", "reason"),
    [
        ("caps", "order_qty_base_max", "0.001", "order_qty"),
        ("caps", "market_slippage_bps", 0, "cap_not_set"),
        ("portfolio_caps", "clock_age_ms_max", None, "cap_not_set"),
        ("portfolio_caps", "orders_per_day_max", 0, "orders_per_day"),
        ("filters", "qty_min", "7", "filter_qty"),
        ("filters", "status", "HALT", "symbol_not_trading"),
    ],
)
def test_each_decision_is_decided_by_the_tables_that_it_states(table, name, value, reason):
    held, loose = RiskContexts(), stated()
    tight = with_cap(loose, table, name, value)
    for decision, verdict in ((loose, "approved"), (tight, reason)) * 2:
        inputs = json.loads(json.dumps(decision))  # another line's, so no table is the same object
        assert Redecision(inputs, held.terms_of(inputs)).verdict() == verdict


def test_tables_are_kept_for_some_decisions_and_right_for_all():
    held, decision = RiskContexts(), stated()
    for qty in [*range(3 * KEPT_MAX), *range(3 * KEPT_MAX)]:
        inputs = with_cap(decision, "caps", "order_qty_base_max", str(qty))
        terms = held.terms_of(inputs)
        assert terms is not None
        assert held.terms_of(json.loads(json.dumps(inputs))) is terms
        assert terms.cap["order_qty_base_max"] == qty
    assert len(held._terms) <= KEPT_MAX


def test_what_a_table_differs_by_is_found_anew_when_other_caps_or_filters_are_in_force():
    held, decision = RiskContexts(), stated()
    start = next(r for r in whole_story().records if r["event_type"] == "session_start")
    terms = held.terms_of(decision)

    def begin(caps: Plain) -> None:
        line = SessionStartLine(1, 1, "", "sim", caps_hash=start["caps_hash"], caps=caps)
        held.session_started(line)

    def differences() -> list[str]:
        assert held.differences(decision, terms) == held.differences(decision)
        return held.differences(decision, terms)

    begin(start["caps"])
    assert differences() == []
    begin({**start["caps"], "orders_per_day_max": 5})
    assert differences() == [ELSEWHERE]
    held.run_started()
    assert differences() == []
    told = {"instrument_id": decision["instrument_id"], **decision["filters"], "tick": "5"}
    held.instruments_told(InstrumentsLine(1, 1, "", "sim", instruments=[told]))
    assert differences() == [OTHER_FILTERS]


def test_the_same_tables_under_another_name_are_compared_under_that_name():
    held, decision = RiskContexts(), stated()
    start = next(r for r in whole_story().records if r["event_type"] == "session_start")
    caps = {**start["caps"], "orders_per_day_max": 5}
    held.session_started(SessionStartLine(1, 1, "", "sim", caps_hash="22", caps=caps))
    told = {"instrument_id": "BNBUSDT@sim", **decision["filters"], "tick": "5"}
    held.instruments_told(InstrumentsLine(1, 1, "", "sim", instruments=[told]))
    unknown = "its caps are not the session's caps (caps_hash)"
    for names, wrong in (
        ({"caps_hash": "33"}, [unknown]),
        ({}, [ELSEWHERE]),
        ({"instrument_id": "BNBUSDT@sim"}, [ELSEWHERE, OTHER_FILTERS]),
    ):
        named = {**decision, **names}
        assert held.differences(named, held.terms_of(named)) == wrong


def test_a_text_that_is_no_amount_is_not_the_amount_of_its_decision(tmp_path):
    maker = whole_story()
    record = approvals(maker.records)[5]
    record["price"] = "one"
    (journal,) = recheck([write_journal(tmp_path, encode(maker.records))])["journals"]
    assert "price: " in journal["disagreements"]["input"]["examples"][0]


@pytest.mark.parametrize("part", ["standing", "market"])
def test_an_input_that_stands_twice_in_a_decision_makes_it_undecidable(tmp_path, part):
    """The one beside was compared with the lines before, the one in the part was decided from."""
    maker = whole_story()
    record = approvals(maker.records)[5]
    record["decision"] = {**record["decision"], part: {"position": "0"}}
    (journal,) = recheck([write_journal(tmp_path, encode(maker.records))])["journals"]
    (example,) = journal["disagreements"]["undecidable"]["examples"]
    assert f"{part} states again what stands beside it" in example
    assert journal["agreed"] == journal["checked"] - 1


def test_nor_does_a_part_state_caps_beside_those_of_the_context(tmp_path):
    maker = GateWorld(1).run(120).maker
    record = approvals(maker.records)[-1]
    assert "context" in record["decision"]
    caps = {"caps": {"order_qty_base_max": "unlimited"}}
    record["decision"]["market"] = {**record["decision"]["market"], **caps}
    (journal,) = recheck([write_journal(tmp_path, encode(maker.records))])["journals"]
    (example,) = journal["disagreements"]["undecidable"]["examples"]
    assert "market states again what stands beside it" in example
