"""A recovered engine equals its uninterrupted twin; a crash leaves nothing behind."""

from typing import Any

import pytest

from control.status_snapshot import tightening_lines
from daemon.core.canonical import canonical, hash_of
from daemon.core.fold import FoldError
from daemon.core.turn_context import TurnContext
from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.enums import ReportSource, VenueOrderStatus
from daemon.model.inputs import OutcomeUnknown, SnapshotTaken, VenueReject, VenueReport
from daemon.model.reports import NotFound, Reject
from tests.support.builders import (
    BTC,
    caps,
    command,
    config,
    engine,
    fill,
    report,
    snapshot,
    wish,
)
from tests.support.screenplay import Stage, cancels

V = VenueOrderStatus


def recovered(facts: list[dict[str, Any]], now_ns: int) -> Any:
    twin, _, _ = engine(config(run=config().run))
    for fact in facts:
        twin.apply_fact(fact)
    twin.finish_recovery(now_ns)
    return twin


def eventful() -> Stage:
    """A session with a bit of everything."""
    stage = Stage().ready().start()
    first = stage.place(wish(qty="0.2")).client_order_id
    stage.tell(VenueReport(report(first, qty="0.2")))
    one = fill(first, 1, "0.0500", fee="0.00010", fee_asset="BTC")
    stage.tell(
        VenueReport(report(first, V.PARTIALLY_FILLED, cum="0.05000", fills=(one,), qty="0.200"))
    )
    second = stage.place(wish(price="98.10")).client_order_id
    no = Reject(client_order_id=second, instrument_id=BTC, code=-2010, reason="no", ts_recv_ns=0)
    stage.tell(VenueReject(no))
    third = stage.place(wish(price="98.20")).client_order_id
    stage.tell(OutcomeUnknown(third, BTC, "place", "deadline"))
    stage.wishes(wish(price="98.30"))
    stage.after(700)
    stage.tell(command("caps-tighten", "calm", changes={"orders_open_max": 20}))
    stage.tell(command("re-enable", "looked"))
    stage.tell(command("cancel-all"))
    stage.tell(VenueReport(report(third, V.CANCELED, cum="0.01", venue_id="3")))
    return stage


def test_folding_the_records_gives_the_live_state() -> None:
    stage = eventful()
    twin = recovered(stage.facts, stage.now_ns)
    stage.gate.risk.usage(stage.now_ns)
    assert canonical(twin.state()) == canonical(stage.engine.state())
    assert twin.state_hash() == stage.engine.state_hash()


def test_a_checkpoint_carries_everything() -> None:
    stage = eventful()
    twin, _, _ = engine(config(run=config().run))
    twin.restore(stage.engine.state())
    twin.finish_recovery(stage.now_ns)
    assert twin.state_hash() == stage.engine.state_hash()


def test_what_an_operator_tightened_survives_a_crash_but_not_another_config() -> None:
    stage = eventful()
    stage.tell(command("caps-tighten", "calmer", changes={"orders_open_max": 7}))
    for make in (lambda e: [e.apply_fact(f) for f in stage.facts],
                 lambda e: e.restore(stage.engine.state())):  # fmt: skip
        twin, gate, _ = engine(config(run=config().run))
        make(twin)
        assert gate.risk.capset.orders_open_max == 7
        told = tightening_lines(twin.status(stage.now_ns))
        assert told == ["tightened by `caps set`: orders_open_max 50→7"]
        other, gate, _ = engine(config(run=config().run), caps(order_qty_base_max="0.9"))
        make(other)
        assert gate.risk.capset.orders_open_max == 50
        told = tightening_lines(other.status(stage.now_ns))
        assert told == ["[caps] of the file was edited, which ended `caps set`: orders_open_max 7"]


def test_cut_at_every_record_boundary_the_books_are_what_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each line is written after its change: folding up to it gives the state of that moment."""
    hashes: list[str] = []
    written = TurnContext.record

    def record(self: TurnContext, event_type: Any, fields: Any) -> None:
        written(self, event_type, fields)
        state = self.ledger.state()
        del state["interceptor"]
        hashes.append(hash_of(state))

    monkeypatch.setattr(TurnContext, "record", record)
    stage = eventful()
    monkeypatch.undo()
    assert len(hashes) == len(stage.facts) > 20
    twin, _, _ = engine(config(run=config().run))
    for number, fact in enumerate(stage.facts):
        twin.apply_fact(fact)
        state = twin.state()
        del state["interceptor"]
        assert hash_of(state) == hashes[number], (number, fact["event_type"])


def test_after_a_crash_the_session_is_closed_and_what_was_in_flight_is_unknown() -> None:
    stage = Stage().ready().start()
    cid = stage.place(wish()).client_order_id
    again = Stage(made=config(run=type(config().run)("abc123-2")))
    for fact in stage.facts:
        again.engine.apply_fact(fact)
    again.now_ns = stage.now_ns + 100 * NS_PER_MS
    again.engine.finish_recovery(again.now_ns)
    again.ready_links()
    stop = again.facts_of("session_stop")[0]
    assert stop["session_id"] == "abc123-1-s1"
    assert stop["reason"].startswith("crash")
    assert again.status_of(cid) == "UNKNOWN"
    assert again.engine.session_id == ""


def test_a_crash_between_fill_and_journal_is_mended_by_the_venues_history() -> None:
    stage = Stage().ready().start()
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    again = Stage(made=config(run=type(config().run)("abc123-2")))
    for fact in stage.facts:
        again.engine.apply_fact(fact)
    again.now_ns = stage.now_ns + NS_PER_S
    again.engine.finish_recovery(again.now_ns)
    again.ready_links()
    one = fill(cid, 5, "0.04")
    still_open = report(cid, V.PARTIALLY_FILLED, cum="0.04", source=ReportSource.QUERY)
    effects = again.tell(
        SnapshotTaken(
            snapshot(
                balances={"USDT": "99996.04", "BTC": "100.04", "ETH": "100"},
                open_orders=(still_open,),
                fills=(one,),
            )
        )
    )
    booked = again.facts_of("fill")
    assert [(f["recovered"], f["qty"]) for f in booked] == [(True, "0.04")]
    assert again.position() == "0.04"
    assert cancels(effects) == [cid], "left from an earlier run"
    assert again.engine.gate_state.value == "READY"
    assert again.incidents() == []


def test_an_order_that_never_arrived_is_settled_by_proof_after_a_restart() -> None:
    stage = Stage().ready().start()
    cid = stage.place(wish()).client_order_id
    again = Stage(made=config(run=type(config().run)("abc123-2")))
    for fact in stage.facts:
        again.engine.apply_fact(fact)
    again.now_ns = stage.now_ns + 5 * NS_PER_S
    again.engine.finish_recovery(again.now_ns)
    again.ready_links()
    gone = NotFound(client_order_id=cid, instrument_id=BTC, ts_recv_ns=0)
    again.tell(SnapshotTaken(snapshot(absent=(gone,))))
    assert again.status_of(cid) == "REJECTED"
    assert again.gate.risk.books.open_worst_case(BTC) == (0, 0)


def test_a_line_that_cannot_be_read_stops_recovery_with_its_place() -> None:
    twin, _, _ = engine()
    line = {"seq": 41, "ts_ns": 1, "event_type": "fill", "client_order_id": "x", "exec_id": "e"}
    with pytest.raises(FoldError, match=r"seq 41 \(fill\) cannot be folded"):
        twin.apply_fact(line)
